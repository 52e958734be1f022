"""Transforms template.yaml with SAM for each stage, as CloudFormation does, writes the results into a folder, and checks
rules that no linter has. Run by .ci/template."""

import json
import re
import sys
import tomllib
from pathlib import Path

from boto3.session import Session
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse


def transform(stage):
    template = yaml_parse(Path("template.yaml").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # `sam deploy` replaces the folder by such a URL.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    parameters = {"Stage": stage}
    translator = Translator({}, Parser(), boto_session=Session(region_name="us-east-1"))
    return translator.translate(template, parameters)


def of_type(template, kind):
    return {name: it for name, it in template["Resources"].items() if it["Type"].startswith(kind)}


def check_deployments(templates):
    """Prod moves the alias of each function gradually. Dev has no resources of CodeDeploy."""
    functions = of_type(templates["prod"], "AWS::Lambda::Function")
    groups = of_type(templates["prod"], "AWS::CodeDeploy::DeploymentGroup")
    assert groups.keys() == {f"{name}DeploymentGroup" for name in functions}, groups.keys()
    for name, group in groups.items():
        assert group["Properties"].get("AlarmConfiguration"), f"{name} has no alarms, so it never rolls back"
        assert group["Properties"]["ServiceRoleArn"] == {"Fn::GetAtt": ["CodeDeployRole", "Arn"]}, name
    policies = templates["prod"]["Resources"]["CodeDeployRole"]["Properties"]["ManagedPolicyArns"]
    assert "AWSCodeDeployRoleForLambdaLimited" in json.dumps(policies), policies
    assert not of_type(templates["dev"], "AWS::CodeDeploy::"), "dev has resources of CodeDeploy"
    # SAM compares properties as they are written, so a new value of a parameter alone publishes no version.
    for name, version in of_type(templates["prod"], "AWS::Lambda::Version").items():
        function = templates["prod"]["Resources"][version["Properties"]["FunctionName"]["Ref"]]["Properties"]
        variables = json.dumps(function["Environment"]["Variables"])
        for parameter in ("MemorySize", "ProxySecretSha256"):
            is_used = parameter == "MemorySize" or parameter in variables
            is_described = f"${{{parameter}}}" in json.dumps(version["Properties"])
            assert is_described == is_used, f"{name}: the description of the version and its use of {parameter} differ"


def metrics_of(alarm):
    """Returns the metrics of an alarm: namespace, name and dimensions."""
    properties = alarm["Properties"]
    stats = [it["MetricStat"]["Metric"] for it in properties.get("Metrics", []) if "MetricStat" in it]
    return [
        (it["Namespace"], it["MetricName"], {dimension["Name"]: dimension["Value"] for dimension in it["Dimensions"]})
        for it in stats or [properties]
    ]


def check_canary(template):
    """Each deployment group stops on both alarms of new versions. Both cover the new version of each function."""
    functions = set(of_type(template, "AWS::Lambda::Function"))
    alarms = {"NewVersionsAlarm": "ExecutedVersion", "NewVersionsFailuresAlarm": "Version"}
    for name, group in of_type(template, "AWS::CodeDeploy::DeploymentGroup").items():
        configured = group["Properties"]["AlarmConfiguration"]["Fn::If"][1]
        expected = {"Enabled": True, "Alarms": [{"Name": {"Ref": alarm}} for alarm in alarms]}
        assert configured == expected, f"{name} has {configured}"
    for alarm, dimension in alarms.items():
        metrics = metrics_of(template["Resources"][alarm])
        # The logical id of a version is that of its function, followed by "Version" and a hash.
        versions = {metric[2][dimension]["Fn::GetAtt"][0].split("Version")[0] for metric in metrics}
        assert versions == functions and len(metrics) == len(functions), f"{alarm} is on {versions}"
        # CloudWatch: "an alarm can include up to 10 metrics in a metric math expression".
        assert len(metrics) <= 10, alarm
    # FailedInvocations has values after a deployment too, so the next deployment needs a new alarm.
    _, parts = template["Resources"]["NewVersionsFailuresAlarm"]["Properties"]["AlarmName"]["Fn::Join"]
    named = {part["Fn::GetAtt"][0].split("Version")[0] for part in parts if "Fn::GetAtt" in part}
    assert named == functions, f"new versions of {functions - named} do not replace the alarm"


def check_alarms(template):
    """Each alarm also reports the return to OK, and its metrics exist."""
    written = set(re.findall(r'\("(\w+)", "(?:Count|Milliseconds)"\)', Path("shared/service/src/telemetry/emf.rs").read_text()))
    alarms = {name: alarm["Properties"] for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items()}
    for name, alarm in alarms.items():
        assert alarm.get("AlarmActions") == alarm.get("OKActions"), f"{name} does not report its return to OK"
        assert alarm.get("AlarmActions") or alarm.get("TreatMissingData") == "notBreaching", name
        for namespace, metric, _ in metrics_of(template["Resources"][name]):
            assert namespace != "Muster" or metric in written, f"{name} is on {metric}, which no function writes"

    # A failed message is no error of the function, and after three receives it does not count for the age of the oldest
    # message.
    handed_back = alarms["MessagesHandedBackAlarm"]
    assert (handed_back["MetricName"], handed_back["Threshold"]) == ("MessagesHandedBack", 0)
    assert handed_back["Period"] * handed_back["EvaluationPeriods"] <= 900, "an outage is reported too late"
    # A schedule or a mapping that stops writes no more values of its metric.
    for name, metric in {"ScheduleAlarm": "TicketsWaiting", "StreamStoppedAlarm": "PolledEventCount"}.items():
        alarm = alarms[name]
        expected = (metric, "SampleCount", "LessThanThreshold", 1, "breaching")
        settings = ("MetricName", "Statistic", "ComparisonOperator", "Threshold", "TreatMissingData")
        assert tuple(alarm[setting] for setting in settings) == expected, name
    # An alarm that is already in ALARM does not report further dead letters.
    for queue in ("Tickets", "Users", "Jobs", "LongJobs"):
        alarm = alarms[f"{queue}DeadLettersGrowthAlarm"]
        assert alarm["Metrics"][0]["Expression"] == "DIFF(letters)", alarm
        ((_, _, dimensions),) = metrics_of({"Properties": alarm})
        assert dimensions["QueueName"]["Fn::GetAtt"][0] == f"{queue}DeadLetters", dimensions
    rate = alarms["ApiErrorsAlarm"]["Metrics"][0]["Expression"]
    assert rate == "IF(failed > 5, 100 * failed / requests, 0)", rate
    errors = alarms["FunctionErrorsAlarm"]
    assert (errors["DatapointsToAlarm"], errors["EvaluationPeriods"]) == (2, 3), "one crash is enough for an alarm"


def check_queues(template):
    """A dead-letter queue accepts messages of its source queue alone. The queues of senders take up to 256 KiB."""
    queues = {name: it["Properties"] for name, it in template["Resources"].items() if it["Type"] == "AWS::SQS::Queue"}
    assert len(queues) == 8, queues.keys()
    for name, queue in queues.items():
        letters = queue.get("RedrivePolicy", {}).get("deadLetterTargetArn", {}).get("Fn::GetAtt", [None])[0]
        if letters:
            allowed = queues[letters]["RedriveAllowPolicy"]
            arn = {"Fn::Sub": "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + queue["QueueName"]["Fn::Sub"]}
            assert allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [arn]}, f"{letters} accepts messages of {allowed}"
    for name in ("TicketsQueue", "UsersQueue"):
        assert queues[name]["MaximumMessageSize"] == 262144, name


def check_fairness(template):
    """The mapping of urgent jobs has so few messages in flight that a job of a quiet organization is done before the next
    50 of a noisy one. The mapping of long jobs has at least the 30 in flight that make one organization noisy by the
    concurrency share. Neither has a batching window. AWS, "How Amazon SQS fair queues work":
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html"""
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping")
    for name, least, most in (("JobsFunctionJobs", 10, 20), ("JobsFunctionLongJobs", 30, 50)):
        mapping = mappings[name]["Properties"]
        in_flight = mapping["BatchSize"] * mapping["ScalingConfig"]["MaximumConcurrency"]
        assert least <= in_flight <= most and mapping["BatchSize"] <= 10, f"{name} has {in_flight} messages in flight"
        assert "MaximumBatchingWindowInSeconds" not in mapping, name


def check_domain(template):
    """A domain name replaces the default endpoint and takes IPv6. Functions that check addresses have the proxy's hash."""
    body = template["Resources"]["HttpApi"]["Properties"]["Body"]
    (server,) = body["servers"]
    is_off = server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"]
    assert is_off == {"Fn::If": ["HasDomainName", True, False]}, is_off
    domain, mapping = (template["Resources"][name] for name in ("ApiDomain", "ApiDomainMapping"))
    assert domain["Condition"] == mapping["Condition"] == "HasDomainName"
    (configuration,) = domain["Properties"]["DomainNameConfigurations"]
    assert configuration["IpAddressType"] == "dualstack", configuration
    assert mapping["Properties"]["Stage"]["Ref"] in template["Resources"], mapping
    assert template["Rules"].keys() == {"DomainNameAndCertificate", "ProxyAndDomainName"}, template["Rules"]
    for name in ("TeamsFunction", "MembersFunction", "WorkloadFunction"):
        variables = template["Resources"][name]["Properties"]["Environment"]["Variables"]
        assert variables["PROXY_SECRET_SHA256"] == {"Ref": "ProxySecretSha256"}, name
        assert "TABLE_NAME" in variables, name


def check_retention(template):
    """Resources with data outlive their stack, unless its creation fails."""
    retained = {name: it["DeletionPolicy"] for name, it in template["Resources"].items() if it.get("UpdateReplacePolicy") == "Retain"}
    assert set(retained) == {"Table", "FailedRecordsBucket", "FailedRecordsBucketPolicy"}, retained
    assert set(retained.values()) == {"RetainExceptOnCreate"}, retained


def check_dashboard(template):
    """The body is valid for CloudWatch: JSON, widgets within 24 columns, and SEARCH up to 1,024 characters."""
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    text, variables = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
    # The longest name of a function.
    name = "x" * 64
    lists = {key: value["Fn::Join"] for key, value in variables.items() if "Fn::Join" in value}
    values = {key: separator.join([name] * len(items)) for key, (separator, items) in lists.items()}
    body = json.loads(re.sub(r"\$\{([\w:.]+)\}", lambda match: values.get(match[1], name), text))
    assert "${" not in json.dumps(body), "a variable is not substituted"
    assert body["periodOverride"] == "inherit", "CloudWatch would choose the period by the time range, and sums of an hour would be wrong"
    for widget in body["widgets"]:
        properties = widget["properties"]
        assert widget["width"] <= 24 and widget["height"] > 0, widget
        assert properties.get("title") or properties.get("markdown"), widget
        assert widget["type"] != "metric" or properties["metrics"], widget
        for metric in properties.get("metrics", []):
            expression = metric[0].get("expression", "") if isinstance(metric[0], dict) else ""
            assert len(expression) <= 1024, expression
    headings = [it["properties"]["markdown"].split("\n")[0] for it in body["widgets"] if it["type"] == "text"]
    assert headings == ["# Health", "# Backlogs and waiting tickets", "# Cost"], headings


def check_costs(templates):
    """docs/scaling.md has the numbers of alarms and of their metrics at each stage, which are billed."""
    guide = Path("docs/scaling.md").read_text()
    for stage, template in templates.items():
        alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
        alarms = [it for it in alarms if stage == "prod" or it.get("Condition") != "IsProd"]
        figures = f"{stage}: {len(alarms)} alarms on {sum(len(metrics_of(it)) for it in alarms)} metrics"
        assert figures in guide, f"docs/scaling.md lacks '{figures}'"


def check_sam_version():
    """The SAM version that docs/configuration.md requires is not newer than the tested version."""
    required = re.search(r"version ([\d.]+) or newer", Path("docs/configuration.md").read_text())[1]
    tested = re.search(r"^sam_version=([\d.]+)$", Path("scripts/lib/sam.sh").read_text(), re.MULTILINE)[1]
    numbers = [tuple(map(int, version.split("."))) for version in (required, tested)]
    assert numbers[0] <= numbers[1], f"docs/configuration.md requires {required}, but {tested} is tested"


def check_throttles(template):
    """Every route without a credential has its own throttle, below that of the whole API."""
    (stage,) = of_type(template, "AWS::ApiGatewayV2::Stage").values()
    (api,) = (it for it in template["Resources"].values() if it["Type"] == "AWS::ApiGatewayV2::Api")
    routes = {f"{method.upper()} {path}" for path, methods in api["Properties"]["Body"]["paths"].items() for method in methods}
    throttles = stage["Properties"]["RouteSettings"]
    public = {f"GET {path}" for path in ("/", "/docs", "/health", "/openapi.json", "/schemas/{name}")}
    assert throttles.keys() == public <= routes, (throttles, routes)
    for limit in ("ThrottlingBurstLimit", "ThrottlingRateLimit"):
        default = stage["Properties"]["DefaultRouteSettings"][limit]
        default = template["Parameters"][default["Ref"]]["Default"] if isinstance(default, dict) else default
        assert all(0 < settings[limit] < default for settings in throttles.values()), throttles


def check_samconfig(template):
    """The default environment is dev, build and deploy have the same architecture, and the template has every
    parameter."""
    config = tomllib.loads(Path("samconfig.toml").read_text())
    assert config.pop("version") == 0.1
    assert config["default"] == config["dev"], "default is not dev"
    assert config.keys() == {"default", "dev", "prod"}, config.keys()
    architectures = set()
    for name, commands in config.items():
        for command in ("build", "deploy"):
            overrides = dict(override.split("=", 1) for override in commands[command]["parameters"]["parameter_overrides"])
            assert overrides.keys() <= template["Parameters"].keys(), overrides
            architectures.add(overrides["Architecture"])
        assert overrides["Stage"] == ("dev" if name == "default" else name), overrides
    assert len(architectures) == 1, architectures


def main(folder):
    templates = {stage: transform(stage) for stage in ("dev", "prod")}
    for stage, template in templates.items():
        (Path(folder) / f"{stage}.json").write_text(json.dumps(template, indent=1))
        check_alarms(template)
        check_queues(template)
        check_fairness(template)
        check_domain(template)
        check_retention(template)
        check_dashboard(template)
        check_throttles(template)
    check_deployments(templates)
    check_canary(templates["prod"])
    check_costs(templates)
    check_sam_version()
    check_samconfig(templates["prod"])


main(sys.argv[1])
