"""Describes a deployed stack for the black-box tests, as JSON, once what they need stands beside it.

describe.py STACK: a queue that hears what the bus announces, and messages that come again soon after they failed.
"""

import json
import os
import sys
from urllib.parse import urlsplit

import boto3

# What a test waits for a message to come again, ten times over until it is a dead letter: seconds.
VISIBILITY_TIMEOUT = 3

stack = sys.argv[1]
endpoint = os.environ["AWS_ENDPOINT_URL"]
described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}

sqs = boto3.client("sqs")
queues = {}
for name in ["tickets", "users", "jobs", "long-jobs"]:
    prefix = "".join(part.capitalize() for part in name.split("-"))
    url = outputs[f"{prefix}QueueUrl"]
    queues[name] = {"url": url, "dead_letters_url": outputs[f"{prefix}DeadLettersUrl"]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(VISIBILITY_TIMEOUT)})

events = boto3.client("events")
announcements = sqs.create_queue(QueueName=f"{stack}-announcements")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=announcements, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
policy = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
    ],
}
sqs.set_queue_attributes(QueueUrl=announcements, Attributes={"Policy": json.dumps(policy)})
bus = outputs["EventBusName"]
pattern = json.dumps({"source": ["muster"]})
events.put_rule(Name="announcements", EventBusName=bus, EventPattern=pattern)
events.put_targets(Rule="announcements", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])

# The gateway of the emulator knows an API by its name's first part.
api_id = urlsplit(outputs["ApiUrl"]).hostname.split(".")[0]
print(
    json.dumps(
        {
            "url": f"http://{api_id}.execute-api.localhost:{urlsplit(endpoint).port}",
            "endpoint_url": endpoint,
            "table": outputs["TableName"],
            "queues": queues,
            "announcements_url": announcements,
        },
        indent=2,
    )
)
