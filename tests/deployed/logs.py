"""Checks all log lines of the functions of a deployed stack.

logs.py STACK: each line is JSON and names its invocation, the metrics of the dashboard are present, and no line has a
credential.
"""

import collections
import json
import re
import sys

import boto3

# The lines that Lambda itself writes.
PLATFORM = re.compile(r"(START|END|REPORT|INIT_START) ")
# Keys and tokens, and the hash by which the table stores a key.
CREDENTIAL = re.compile(r"\b(tt_(live|admin|agent|ro)_|itsm_)\w{16,}|\beyJ[\w-]{8,}\.[\w-]+\.|\b[0-9a-f]{64}\b")
METRICS = {"Latency", "Failures", "TicketsAssigned", "TicketsUnrouted", "TicketsBegunWaiting", "DeadLetters", "ColdStart"}

stack = sys.argv[1]
logs = boto3.client("logs")
functions, metrics = collections.Counter(), collections.Counter()
for group in logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{stack}-")["logGroups"]:
    name = group["logGroupName"]
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
        for line in (line for event in page["events"] for line in event["message"].splitlines()):
            if not line or PLATFORM.match(line):
                continue
            if found := CREDENTIAL.search(line):
                sys.exit(f"{name} has a credential: {line.replace(found[0], found[0][:12] + '...')}")
            try:
                fields = json.loads(line)
            except ValueError:
                sys.exit(f"{name} has a line that is no JSON: {line}")
            functions[name.rsplit("-", 1)[-1]] += 1
            if "_aws" in fields:
                metrics.update(metric["Name"] for kind in fields["_aws"]["CloudWatchMetrics"] for metric in kind["Metrics"])
            elif missing := {"timestamp", "level", "message"} - fields.keys():
                sys.exit(f"{name} has a line without {sorted(missing)}: {line}")
            if "requestId" not in fields and fields.get("level") != "WARN":
                sys.exit(f"{name} has a line without an invocation: {line}")
if missing := METRICS - metrics.keys():
    sys.exit(f"no line has the metrics {sorted(missing)}; found: {dict(metrics)}")
print(f"deployed: {sum(functions.values())} lines of {len(functions)} functions are JSON, and none has a credential")
