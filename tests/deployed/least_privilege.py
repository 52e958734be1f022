"""Removes each action from each policy of a deployed stack, one at a time, and expects the test that needs it to fail.

least_privilege.py STACK [NAME]: all actions, or those with this text in their names

least_privilege.txt has a line for each action of the policies, and no others: the action's test, or the reason why it has
none. After an action is restored, the messages that failed without it must be processed.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import boto3

# Seconds after which a waiting test fails, in the order in which they are tried. They are so few that no message becomes a
# dead letter.
PATIENCE = [5, 10, 20]
TABLE = Path(__file__).with_name("least_privilege.txt")

stack = sys.argv[1]
iam = boto3.client("iam")
sqs = boto3.client("sqs")
cloudformation = boto3.client("cloudformation")
resources = cloudformation.list_stack_resources(StackName=stack)["StackResourceSummaries"]
urls = [resource["PhysicalResourceId"] for resource in resources if resource["ResourceType"] == "AWS::SQS::Queue"]


def attributes_of(queue):
    return sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]


# Without the dead-letter queues, which have no consumer.
queues = [url for url in urls if "RedrivePolicy" in attributes_of(url)]


def as_list(value):
    return value if isinstance(value, list) else [value]


def kind(arn):
    """Returns the name of an ARN in least_privilege.txt: the logical id of its resource, and an index."""
    service = arn.split(":")[2]
    for resource in resources:
        # The queue and the log group of a function may have the same name.
        if resource["ResourceType"].split("::")[1].lower() != service:
            continue
        physical = resource["PhysicalResourceId"].rsplit("/", 1)[-1]
        if arn.endswith((f":{physical}", f"/{physical}")):
            return resource["LogicalResourceId"]
        if f"/{physical}/" in arn or f":{physical}/" in arn:
            # The ARN of a stream ends with its creation time.
            return resource["LogicalResourceId"] + arn.rsplit(physical, 1)[1].split("/stream/")[0].replace("/*", "")
    return arn


def permissions():
    """Yields each action of the functions' roles: its name in least_privilege.txt, and the data to remove it."""
    for resource in resources:
        if resource["ResourceType"] != "AWS::IAM::Role":
            continue
        role = resource["PhysicalResourceId"]
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for at, statement in enumerate(document["Statement"]):
                for action in as_list(statement["Action"]):
                    target = ",".join(kind(arn) for arn in as_list(statement["Resource"]))
                    name = f"{resource['LogicalResourceId'].removesuffix('Role')} {action} {target}"
                    yield name, (role, policy, document, at, action)


def put(role, policy, document):
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))


def without(document, at, action):
    statements = [dict(statement) for statement in document["Statement"]]
    statements[at]["Action"] = [other for other in as_list(statements[at]["Action"]) if other != action]
    if not statements[at]["Action"]:
        del statements[at]
    return {**document, "Statement": statements}


def passes(tests, patience):
    command = ["cargo", "test", "--locked", "--quiet", "--package", "muster-tests", "--", "--exact", *tests]
    environment = {**os.environ, "RUST_BACKTRACE": "0", "MUSTER_TEST_PATIENCE": str(patience)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if f"running {len(tests)} test" not in result.stdout:
        sys.exit(f"the test does not exist, or does not build: {' '.join(tests)}\n{result.stdout}{result.stderr}")
    return result.returncode == 0, result.stdout


def until_handled(name):
    """Waits until all queues are empty: with the action restored, failed messages succeed when they are redelivered."""
    deadline = time.monotonic() + 600
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    while True:
        left = {}
        for url in queues:
            attributes = attributes_of(url)
            if any(attributes[count] != "0" for count in counts):
                left[url.rsplit("/", 1)[-1]] = [attributes[count] for count in counts]
        if not left:
            return
        if time.monotonic() > deadline:
            sys.exit(f"{name}: the action is restored, but messages are left: {left}")
        time.sleep(0.2)


table, reasons = {}, {}
for line in TABLE.read_text().splitlines():
    if line and not line.startswith("#"):
        name, _, proof = line.partition(": ")
        if proof.startswith("("):
            reasons[name] = proof
        else:
            table[name] = proof

found = dict(permissions())
if unknown := sorted(found.keys() - table.keys() - reasons.keys()):
    sys.exit("least_privilege.txt has no line for these actions: " + "; ".join(unknown))
if stale := sorted((table.keys() | reasons.keys()) - found.keys()):
    sys.exit("no policy has these actions of least_privilege.txt: " + "; ".join(stale))

wanted = sys.argv[2] if len(sys.argv) > 2 else ""
tried = {name: test for name, test in table.items() if wanted in name}
# A test that is too slow fails with all permissions, and its failure proves no need for an action.
for patience in PATIENCE:
    passed, output = passes(sorted(set(tried.values())), patience)
    if passed:
        break
else:
    sys.exit(f"tests fail with all permissions:\n{output}")

unneeded = []
for name, test in tried.items():
    role, policy, document, at, action = found[name]
    put(role, policy, without(document, at, action))
    try:
        passed, _ = passes([test], patience)
    finally:
        put(role, policy, document)
    until_handled(name)
    if passed:
        unneeded.append(f"{name}: {test}")
if unneeded:
    sys.exit("these tests pass without their action:\n" + "\n".join(unneeded))
if changed := [name for name, permission in permissions() if permission != found[name]]:
    sys.exit("these policies were not restored: " + "; ".join(changed))
print(f"deployed: without each of {len(tried)} actions a test fails, with a patience of {patience} s; not tried:")
for name, reason in reasons.items():
    print(f"deployed:   {name} {reason}")
