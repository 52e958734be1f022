"""Starts MiniStack 1.5.33, an emulator of AWS, with the additions that the unchanged template requires.

The comment of each part states a behavior of AWS that the emulator lacks. No part changes the deployed stack.
"""

import contextlib
import contextvars
import json
import socketserver
import sys
import threading

from ministack.core import iam_evaluator
from ministack.services import apigateway, dynamodb, lambda_svc
from ministack.services.cloudformation import provisioners

HANDLERS = provisioners._RESOURCE_HANDLERS


def checked(response):
    """Returns the body of a response of the emulator, which must be a success."""
    status, _, body = response
    if status >= 400:
        raise ValueError(body)
    return json.loads(body)


def created_by(resource_type, create, update=None):
    """Replaces the functions that create and update resources of a type. The new ones get the former ones as an argument."""
    handler = HANDLERS[resource_type]
    original_create = handler["create"]
    handler["create"] = lambda *arguments: create(original_create, *arguments)
    if update:
        original_update = handler["update"]
        handler["update"] = lambda *arguments, **options: update(original_update, *arguments, **options)


# With Nagle's algorithm, each small response to a function waits 40 ms for an acknowledgement.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True


# --- The API: SAM passes all routes in an OpenAPI body, which the emulator ignores -----------------------------------


def import_body(api_id, body):
    apigateway._routes[api_id], apigateway._integrations[api_id] = {}, {}
    for path, operations in body.get("paths", {}).items():
        for method, operation in operations.items():
            integration = operation.get("x-amazon-apigateway-integration")
            if not integration:
                continue
            target = checked(
                apigateway._create_integration(
                    api_id,
                    {
                        "integrationType": integration["type"].upper(),
                        "integrationUri": integration["uri"],
                        "integrationMethod": integration["httpMethod"],
                        "payloadFormatVersion": integration["payloadFormatVersion"],
                    },
                )
            )
            verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            route_key = path if path == "$default" else f"{verb} {path}"
            target = f"integrations/{target['integrationId']}"
            checked(apigateway._create_route(api_id, {"routeKey": route_key, "target": target}))
    cors = body.get("x-amazon-apigateway-cors")
    if cors:
        checked(apigateway._update_api(api_id, {"corsConfiguration": cors}))


def create_api(create, logical_id, properties, stack_name):
    api_id, attributes = create(logical_id, properties, stack_name)
    import_body(api_id, properties.get("Body", {}))
    return api_id, attributes


def update_api(update, api_id, old, new, stack_name, logical_id=None):
    api_id, attributes = update(api_id, old, new, stack_name, logical_id=logical_id)
    import_body(api_id, new.get("Body", {}))
    return api_id, attributes


created_by("AWS::ApiGatewayV2::Api", create_api, update_api)


# The gateway sends the request id in a header, adds no content type to a response without one, and renames WWW-Authenticate.
# The functions write header names in lowercase, so a capitalized Content-Type is the emulator's.

request_id = contextvars.ContextVar("request_id", default=None)
make_uuid = apigateway.new_uuid
invoke_function = apigateway._invoke_lambda_proxy


async def invoke_and_name(*arguments, **options):
    chosen = make_uuid()
    token = request_id.set(chosen)
    try:
        status, headers, body = await invoke_function(*arguments, **options)
    finally:
        request_id.reset(token)
    headers.pop("Content-Type", None)
    renamed = {"www-authenticate": "x-amzn-remapped-www-authenticate"}
    headers = {renamed.get(name.lower(), name): value for name, value in headers.items()}
    return status, {**headers, "apigw-requestid": chosen}, body


apigateway.new_uuid = lambda: request_id.get() or make_uuid()
apigateway._invoke_lambda_proxy = invoke_and_name


# --- The table: its time to live -------------------------------------------------------------------------------------


def create_table(create, logical_id, properties, stack_name):
    name, attributes = create(logical_id, properties, stack_name)
    specification = properties.get("TimeToLiveSpecification")
    if specification:
        # The emulator reads a boolean of a template as text.
        enabled = str(specification["Enabled"]).lower() == "true"
        specification = {"AttributeName": specification["AttributeName"], "Enabled": enabled}
        checked(dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": specification}))
    return name, attributes


created_by("AWS::DynamoDB::Table", create_table)


# --- Alarms: the emulator rejects alarms on metric math. They are accepted here, and never evaluated ------------------


def create_alarm(create, logical_id, properties, stack_name):
    if "Metrics" not in properties:
        return create(logical_id, properties, stack_name)
    name = provisioners._physical_name(stack_name, logical_id, max_len=255)
    return name, alarm(name)


def update_alarm(update, name, old, new, stack_name, **options):
    if "Metrics" not in new:
        return update(name, old, new, stack_name, **options)
    return name, alarm(name)


def alarm(name):
    return {"Arn": f"arn:aws:cloudwatch:us-east-1:000000000000:alarm:{name}"}


created_by("AWS::CloudWatch::Alarm", create_alarm, update_alarm)


# --- Lambda: each execution environment has its own CPU share, so concurrent requests do not slow each other down. Here all of
# them share the processors of this machine with the emulator, and a burst of cold starts alone would exceed the timeouts of the
# functions. So a request waits for a slot before its time starts, and messages wait on their queue. The slots suit two
# processors, because a container may show more processors than it has.

slots = threading.BoundedSemaphore(4)
execute = lambda_svc._execute_function_provided_warm


def execute_in_slot(function, event, request_id):
    with slots if "requestContext" in event else contextlib.nullcontext():
        return execute(function, event, request_id)


lambda_svc._execute_function_provided_warm = execute_in_slot

batches_at_once = lambda_svc._sqs_esm_concurrency
lambda_svc._sqs_esm_concurrency = lambda *arguments: min(2, batches_at_once(*arguments))


# --- IAM -------------------------------------------------------------------------------------------------------------

evaluate = iam_evaluator.evaluate


def evaluate_as_aws(context, *arguments, **options):
    # SQS authorizes a batch by the action of a single message.
    if context.action == "sqs:SendMessageBatch":
        context.action = "sqs:SendMessage"
    return evaluate(context, *arguments, **options)


iam_evaluator.evaluate = evaluate_as_aws

# Lambda reads a queue or a stream with the function's role. The emulator reads without a check of permissions.

READING = {
    "sqs": ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
    "dynamodb": [
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ],
}
all_mappings = lambda_svc._iter_all_esms


def allowed_mappings():
    for account, region, mapping in all_mappings():
        function, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], None)
        role = function["config"]["Role"]
        policies = iam_evaluator._gather_role_policies(role.rsplit("/", 1)[-1], account)
        source = mapping["EventSourceArn"]

        def is_allowed(action):
            context = iam_evaluator.EvalContext(role, "AssumedRole", account, action, source, region)
            return iam_evaluator.evaluate(context, policies).decision == "Allow"

        if all(is_allowed(action) for action in READING[source.split(":")[2]]):
            yield account, region, mapping


lambda_svc._iter_all_esms = allowed_mappings

# The emulator listens on loopback without TLS, and the policies of queues and bucket deny requests without TLS. So each
# request counts as one with TLS, and these statements are not tested here.
pin_request_origin = iam_evaluator.pin_request_origin
iam_evaluator.pin_request_origin = lambda source_ip, secure_transport: pin_request_origin(source_ip, True)


from ministack import app  # noqa: E402 - the import reads the names that are replaced above

# The emulator responds to `/health` of each host itself. On AWS, the path belongs to the API.
app._HEALTH_PATHS = ("/_ministack/health",)

sys.argv[0] = "ministack"
app.main()
