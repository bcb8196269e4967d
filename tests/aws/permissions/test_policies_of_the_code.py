"""The catalogue has every AWS call of the code; policies allow these calls and no others."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from sidelight.aws.permissions.__main__ import written
from sidelight.aws.permissions.call_catalogue import CALLS, AwsRole, granted_actions
from sidelight.aws.permissions.policy_files import (
    POLICY_FILES,
    TEMPLATE_POLICIES,
    PolicyFile,
    files_granting,
)
from sidelight.aws.permissions.rendering import as_json, document
from sidelight.aws.permissions.statements import INLINE_SIZE, MANAGED_SIZE
from sidelight.fleet.agents.associations_plan import DATA_SYNC, INSPECTOR, OWN
from sidelight.fleet.agents.deep_inspection.document import DOCUMENT_NAME

ROOT = Path(__file__).resolve().parents[3]
SERVICES = sorted({call.service for call in CALLS})
# Attributes and texts of the code that have an operation's name and are something else.
OTHER_MEANINGS = {
    "list_commands": "a group of the command line",
    "decrypt": "sealed access keys and page tokens",
    "disable": "accounts of the fleet, disabled by the command line",
    "enable": "accounts of the fleet, enabled by the command line",
    "encrypt": "sealed access keys and page tokens",
    "sign": "bundles of advisories, by a key in a file",
    "verify": "bundles of advisories, and databases' digests",
    "publish": "the message queue and the publisher of events",
}
# Calls that libraries make for the code: kombu (SQS), boto3's upload_file, the network model by
# its stems.
BY_LIBRARIES = {
    "sqs.ChangeMessageVisibility", "sqs.DeleteMessage", "sqs.GetQueueAttributes",
    "sqs.GetQueueUrl", "sqs.SendMessage", "s3.PutObject",
}  # fmt: skip
# Operations of two services of the same name: which one is meant.
MEANT = {"list_rules": "rbin"}


def operations() -> dict[str, list[tuple[str, str]]]:
    """Python names of the operations of all services in the catalogue."""
    session = botocore.session.get_session()
    found: dict[str, list[tuple[str, str]]] = {}
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            found.setdefault(xform_name(operation), []).append((service, operation))
    return found


def called_in_the_code() -> set[str]:
    """The operations whose Python names are in the code, as `service.Operation`."""
    known = operations()
    names = set()
    for package in ("sidelight", "workers", "dispatcher"):
        for path in (ROOT / package).rglob("*.py"):
            if "localcloud" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Attribute):
                    names.add(node.attr)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    names.add(node.value)
    return {
        f"{service}.{operation}"
        for name in names & known.keys() - OTHER_MEANINGS.keys()
        for service, operation in known[name]
        if MEANT.get(name, service) == service
    }


@pytest.mark.slow
def test_the_catalogue_has_the_calls_of_the_code_and_no_others() -> None:
    listed = {f"{call.service}.{call.operation}" for call in CALLS}
    stems = {f"{c.service}.{c.operation}" for c in CALLS if c.service in NETWORK_SERVICES}
    network = {f"ec2.{c.operation}" for c in CALLS if c.service == "ec2"} & described()
    called = called_in_the_code()
    assert called - listed == set()
    assert listed - called - stems - network - BY_LIBRARIES == set()


NETWORK_SERVICES = {"directconnect", "elb", "elbv2", "network-firewall"}


def described() -> set[str]:
    from sidelight.reachability.answers.stems import STEMS

    return {f"ec2.{stem.operation}" for stem in STEMS.values() if stem.service == "ec2"}


def granted(role: AwsRole) -> set[str]:
    return {
        action
        for file in POLICY_FILES
        if role in file.roles
        for statement in file.statements
        if not statement.denies
        for action in statement.actions
    }


def test_each_role_is_granted_what_its_calls_need() -> None:
    for role in (AwsRole.ORCHESTRATOR, AwsRole.READER, AwsRole.HUB):
        assert granted_actions(role) - granted(role) == set(), role


@pytest.mark.parametrize("file", POLICY_FILES, ids=lambda file: file.name)
def test_no_action_is_granted_that_no_call_of_the_role_needs(file: PolicyFile) -> None:
    needed = {action for role in file.roles for action in granted_actions(role)}
    allowed = {
        action for one in file.statements if not one.denies and file.roles for action in one.actions
    }
    assert allowed - needed == set()


def test_a_call_is_granted_or_the_catalogue_says_why_not() -> None:
    for call in CALLS:
        assert call.ungranted or all(files_granting(action) for action in call.actions), call
        if call.ungranted:
            assert not any(files_granting(action) for action in call.actions), call


def test_actions_are_named_one_by_one_and_listed_once() -> None:
    for file in POLICY_FILES:
        for statement in file.statements:
            assert not [name for name in statement.actions if "*" in name], statement.sid
            assert (
                list(statement.actions) == sorted(set(statement.actions))
                or len(statement.actions) == 2
            ), statement.sid


def test_the_files_are_what_the_source_says() -> None:
    for path, text in written(ROOT).items():
        assert path.read_text("utf-8") == text, f"{path}: run `make iam`"
    files = {path.stem for path in (ROOT / "deploy" / "iam").glob("*.json")}
    assert files == {file.name for file in POLICY_FILES}


def test_every_policy_is_within_the_size_of_a_managed_policy() -> None:
    for file in POLICY_FILES:
        compact = json.dumps(json.loads(as_json(file)), separators=(",", ":"))
        assert len(compact) <= MANAGED_SIZE * 0.9, (
            file.name
        )  # names and ARNs are longer than `${…}`


@pytest.mark.parametrize("template", ["target", "scanner"])
def test_the_inline_policies_of_a_role_are_within_iams_limit_together(template: str) -> None:
    texts = [
        json.dumps(document(one.statements), separators=(",", ":"))
        for one in TEMPLATE_POLICIES
        if one.template == template
    ]
    assert sum(map(len, texts)) <= INLINE_SIZE * 0.9


def test_names_of_documents_and_data_syncs_are_those_of_the_code() -> None:
    text = " ".join(as_json(file) for file in POLICY_FILES)
    assert f":document/{DOCUMENT_NAME}" in text
    for prefix in (INSPECTOR, OWN):
        assert f":resource-data-sync/{prefix}{DATA_SYNC}" in text


def test_the_tables_name_every_granted_call_and_those_that_are_not() -> None:
    page = (ROOT / "docs" / "accounts.md").read_text()
    for call in CALLS:
        if call.ungranted:
            assert f"| `{call.service}.{call.operation}` |" in page
    for file in POLICY_FILES:
        assert f"({Path('../deploy/iam') / file.name}.json)" in page
