"""Prepares a deployed stack for the black-box tests, and prints its description as JSON.

describe.py STACK: creates a queue that receives the announcements, and shortens the visibility timeouts of the queues.
"""

import json
import os
import sys
from urllib.parse import urlsplit

import boto3

# Seconds until a failed message is redelivered. A test waits for ten receives, after which the message is a dead letter.
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

# The emulator finds the API by the first label of the host name.
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
