"""The policies are the templates', and are no wider than what a fleet calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"

PAIRS = {
    "target-policy": ("target", "Scan"),
    "target-sharing-policy": ("target", "Share"),
    "scanner-policy": ("scanner", "Enter"),
    "scanner-sharing-policy": ("scanner", "Read"),
    "scanner-bus-policy": ("scanner", "Bus"),
    "scanner-topic-policy": ("scanner", "Topic"),
}


class Template(yaml.SafeLoader):
    """CloudFormation's short forms as the text that `deploy/iam` has for them."""


def _short_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        text = loader.construct_scalar(node)
        return f"${{{text}}}" if tag == "Ref" else text
    return None


Template.add_multi_constructor("!", _short_form)


def actions(name: str) -> set[str]:
    policy = json.loads((DEPLOY / "iam" / f"{name}.json").read_text())
    found: set[str] = set()
    for statement in policy["Statement"]:
        if statement["Effect"] == "Allow":
            action = statement["Action"]
            found |= {action} if isinstance(action, str) else set(action)
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_a_template_has_the_policy_of_its_file(name: str) -> None:
    template, resource = PAIRS[name]
    text = (DEPLOY / "cloudformation" / f"{template}.yaml").read_text()
    made = yaml.load(text, Loader=Template)  # noqa: S506 - a SafeLoader's child
    written = made["Resources"][resource]["Properties"]["PolicyDocument"]
    assert written == json.loads((DEPLOY / "iam" / f"{name}.json").read_text())


def test_no_policy_writes_beyond_our_snapshots_and_events() -> None:
    writes = {
        action
        for name in PAIRS
        for action in actions(name)
        if not action.split(":")[1].startswith(("Describe", "List", "Get"))
    }
    assert writes == {
        "ec2:CreateSnapshots", "ec2:CreateTags", "ec2:DeleteSnapshot",
        "ec2:ModifySnapshotAttribute", "events:PutEvents", "kms:CreateGrant", "kms:Decrypt",
        "sns:Publish", "sts:AssumeRole", "sts:TagSession",
    }  # fmt: skip


def test_whatever_touches_a_snapshot_asks_for_our_tags() -> None:
    for name in ("target-policy", "target-sharing-policy"):
        policy = json.loads((DEPLOY / "iam" / f"{name}.json").read_text())
        for statement in policy["Statement"]:
            if str(statement["Resource"]).endswith("snapshot/*"):
                asked = json.dumps(statement["Condition"])
                assert "Tag/SidelightDeployment" in asked, statement["Sid"]
