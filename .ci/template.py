"""Has SAM transform template.yaml at each stage, as CloudFormation would, writes what comes of it into a folder, and holds it
to what no linter knows. Run by .ci/template."""

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
            # What `sam deploy` puts in place of a folder.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    parameters = {"Stage": stage}
    translator = Translator({}, Parser(), boto_session=Session(region_name="us-east-1"))
    return translator.translate(template, parameters)


def of_type(template, kind):
    return {name: it for name, it in template["Resources"].items() if it["Type"].startswith(kind)}


def check_deployments(templates):
    """Prod moves each function's alias gradually, and dev needs nothing of CodeDeploy."""
    functions = of_type(templates["prod"], "AWS::Lambda::Function")
    groups = of_type(templates["prod"], "AWS::CodeDeploy::DeploymentGroup")
    assert groups.keys() == {f"{name}DeploymentGroup" for name in functions}, groups.keys()
    for name, group in groups.items():
        assert group["Properties"].get("AlarmConfiguration"), f"{name} rolls nothing back"
    assert not of_type(templates["dev"], "AWS::CodeDeploy::"), "dev has resources of CodeDeploy"
    # SAM looks at properties as they are written, so another value of a parameter makes no version by itself.
    for name, version in of_type(templates["prod"], "AWS::Lambda::Version").items():
        assert "${MemorySize}" in json.dumps(version["Properties"]), f"{name} stays when MemorySize changes"


def check_dashboard(template):
    """The body is what CloudWatch takes: JSON, no wider than it, and no SEARCH longer than 1,024 characters."""
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    text, variables = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
    # As long as the name of a function can be.
    name = "x" * 64
    lists = {key: value["Fn::Join"] for key, value in variables.items() if "Fn::Join" in value}
    values = {key: separator.join([name] * len(items)) for key, (separator, items) in lists.items()}
    body = json.loads(re.sub(r"\$\{([\w:.]+)\}", lambda match: values.get(match[1], name), text))
    assert "${" not in json.dumps(body), "something is not substituted"
    assert body["periodOverride"] == "inherit", "an hour's sum would be that of a period which goes by the range shown"
    for widget in body["widgets"]:
        properties = widget["properties"]
        assert widget["width"] <= 24 and widget["height"] > 0, widget
        assert properties.get("title") or properties.get("markdown"), widget
        assert widget["type"] != "metric" or properties["metrics"], widget
        for metric in properties.get("metrics", []):
            expression = metric[0].get("expression", "") if isinstance(metric[0], dict) else ""
            assert len(expression) <= 1024, expression
    headings = [it["properties"]["markdown"].split("\n")[0] for it in body["widgets"] if it["type"] == "text"]
    assert headings == ["# Is it healthy?", "# Who waits?", "# What does it cost?"], headings


def check_samconfig(template):
    """What is deployed by default is dev, and built for the architecture on which it is to run; every parameter is one of the
    template's."""
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
        check_dashboard(template)
    check_deployments(templates)
    check_samconfig(templates["prod"])


main(sys.argv[1])
