"""The policies are the templates', and are no wider than what a fleet calls."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dispatcher.changes import instance_states
from dispatcher.changes.event_receiver import MOST_RECEIVES
from sidelight.aws.network import permission
from sidelight.aws.permissions.policy_files import POLICY_FILES, TEMPLATE_POLICIES, TemplatePolicy
from sidelight.aws.permissions.rendering import document
from sidelight.fleet.agents.associations_plan import DATA_SYNC, DOCUMENT, INSPECTOR, OWN
from sidelight.fleet.agents.deep_inspection.document import DOCUMENT_NAME
from sidelight.reachability.answers.stems import STEMS
from tests.fixtures.iam_policies import DEPLOY, actions

ALL = [file.name for file in POLICY_FILES if file.roles]


class Template(yaml.SafeLoader):
    """CloudFormation's short forms as the text that `deploy/iam` has for them."""


def _short_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        text = loader.construct_scalar(node)
        return f"${{{text}}}" if tag == "Ref" else text
    return None


Template.add_multi_constructor("!", _short_form)


@pytest.mark.parametrize("policy", TEMPLATE_POLICIES, ids=lambda one: one.resource)
def test_a_template_has_the_policy_of_its_source(policy: TemplatePolicy) -> None:
    text = (DEPLOY / "cloudformation" / f"{policy.template}.yaml").read_text()
    resource = yaml.load(text, Loader=Template)["Resources"][policy.resource]  # noqa: S506 - safe
    properties = resource["Properties"]
    assert properties["PolicyDocument"] == document(policy.statements)
    assert properties["PolicyName"] == policy.policy_name
    assert resource.get("Condition", "") == policy.condition


# A new resource of an old name: CloudFormation deletes the policy after it has written it.
def test_deployed_stacks_keep_their_policies_and_parameters() -> None:
    names = {(one.template, one.resource): one.policy_name for one in TEMPLATE_POLICIES}
    deployed = {
        "target": {
            "Scan": "scan", "ReadByAgents": "agents", "CollectByAgents": "deep-inspection",
            "Reports": "reports", "Network": "network", "Share": "share",
        },
        "scanner": {
            "Enter": "enter", "Read": "read-shared", "Bus": "publish-to-bus",
            "Inventories": "read-inventories", "Changes": "receive-changes",
            "Topic": "publish-to-topic", "Queues": "use-queues",
        },
    }  # fmt: skip
    for template, resources in deployed.items():
        for resource, name in resources.items():
            assert names[template, resource] == name
    required = {"target": {"HubRoleArn", "ExternalId", "DeploymentId"}, "scanner": set()}
    for template, expected in required.items():
        text = (DEPLOY / "cloudformation" / f"{template}.yaml").read_text()
        parameters = yaml.load(text, Loader=Template)["Parameters"]  # noqa: S506 - a SafeLoader
        assert {name for name, one in parameters.items() if "Default" not in one} == expected


def test_what_is_deployed_for_one_role_is_the_policy_for_one_role() -> None:
    separate = statements("target-orchestrator-policy") + statements("target-reader-policy")
    both = [one for one in separate if one["Sid"] != "ListSnapshots"]
    assert statements("target-policy") == both


def test_no_policy_writes_beyond_our_snapshots_events_and_associations() -> None:
    writes = {
        action
        for name in ALL
        for action in actions(name)
        if not action.split(":")[1].startswith(("Describe", "List", "Get", "Search", "Simulate"))
    }
    assert writes == {
        "ec2:CreateSnapshots", "ec2:CreateTags", "ec2:DeleteSnapshot",
        "ec2:ModifySnapshotAttribute", "events:PutEvents", "kms:CreateGrant", "kms:Decrypt",
        "kms:GenerateDataKey", "s3:AbortMultipartUpload", "s3:PutObject",
        "securityhub:BatchImportFindings", "sns:Publish",
        "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage",
        "sqs:SendMessage", "ssm:CreateAssociation", "ssm:CreateDocument",
        "ssm:CreateResourceDataSync", "ssm:DeleteAssociation", "ssm:DeleteDocument",
        "ssm:DeleteResourceDataSync", "ssm:UpdateAssociation", "ssm:UpdateDocument",
        "ssm:UpdateDocumentDefaultVersion", "sts:AssumeRole", "sts:TagSession",
    }  # fmt: skip


def test_the_network_policy_allows_the_calls_of_the_network_model_and_no_others() -> None:
    assert actions("target-network-policy") == {permission(stem) for stem in STEMS.values()}


def test_data_syncs_and_associations_are_ours_by_name_or_document() -> None:
    syncs = statement("target-agents-policy", "SendInventoriesToTheBucket")["Resource"]
    associations = statement("target-agents-policy", "CollectInventoriesByTheDocument")["Resource"]
    assert {name.rpartition("/")[2] for name in syncs} == {INSPECTOR + DATA_SYNC, OWN + DATA_SYNC}
    assert [name for name in associations if ":document/" in name] == [
        f"arn:${{AWS::Partition}}:ssm:*:*:document/{DOCUMENT}"
    ]


def test_the_collectors_document_is_the_only_one_that_may_be_written_or_run_with_it() -> None:
    for one in statements("target-deep-inspection-policy"):
        named = one["Resource"] if isinstance(one["Resource"], list) else [one["Resource"]]
        documents = [name for name in named if ":document/" in name]
        assert documents == [f"arn:${{AWS::Partition}}:ssm:*:*:document/{DOCUMENT_NAME}"]


def test_whatever_touches_a_snapshot_asks_for_our_tags() -> None:
    for name in ("target-policy", "target-sharing-policy"):
        policy = json.loads((DEPLOY / "iam" / f"{name}.json").read_text())
        for statement in policy["Statement"]:
            if statement["Effect"] == "Allow" and "snapshot/*" in str(statement["Resource"]):
                condition = json.dumps(statement["Condition"])
                assert "Tag/SidelightDeployment" in condition, statement["Sid"]


def statements(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DEPLOY / "iam" / f"{name}.json").read_text())[
        "Statement"
    ]
    return found


def statement(name: str, sid: str) -> dict[str, Any]:
    (found,) = [one for one in statements(name) if one["Sid"] == sid]
    return found


def test_what_is_deleted_or_shared_has_both_of_our_tags() -> None:
    for name, action in (
        ("target-policy", "ec2:DeleteSnapshot"),
        ("target-sharing-policy", "ec2:ModifySnapshotAttribute"),
    ):
        found = [
            one for one in statements(name)
            if one["Effect"] == "Allow" and action in str(one["Action"])
        ]  # fmt: skip
        for one in found:
            condition = one["Condition"]
            assert "aws:ResourceTag/SidelightDeployment" in condition["StringEquals"], name
            assert condition["Null"]["aws:ResourceTag/InspectorScan"] == "false", name
        assert found, name


def test_our_tags_are_written_at_the_creation_alone() -> None:
    (tagging,) = [one for one in statements("target-policy") if "ec2:CreateTags" in one["Action"]]
    assert tagging["Condition"]["StringEquals"]["ec2:CreateAction"] == "CreateSnapshots"
    assert not any("ec2:DeleteTags" in actions(name) for name in ALL)


def test_no_snapshot_can_be_made_public() -> None:
    share = statement("target-sharing-policy", "ShareOurSnapshotsWithTheScanner")
    assert share["Condition"]["Null"]["ec2:Add/group"] == "true"
    denial = statement("target-sharing-policy", "AndNeverWithAll")
    assert denial["Effect"] == "Deny"
    assert denial["Condition"] == {"Null": {"ec2:Add/group": "false"}}


def test_keys_decrypt_volumes_and_nothing_else() -> None:
    """Under a key that trusts IAM lie secrets as well: the call has to be EBS's, for a volume."""
    names = ("target-policy", "target-reader-policy", "scanner-sharing-policy", "key-policy")
    allowed = [
        one for name in names for one in statements(name)
        if one["Effect"] == "Allow" and one["Action"] == "kms:Decrypt"
    ]  # fmt: skip
    assert len(allowed) == len(names)
    assert {json.dumps(one["Condition"], sort_keys=True) for one in allowed} == {
        json.dumps(
            {
                "StringLike": {
                    "kms:EncryptionContext:aws:ebs:id": ["vol-*", "snap-*"],
                    "kms:ViaService": ["ec2.*.amazonaws.com", "ec2.*.amazonaws.com.cn"],
                }
            },
            sort_keys=True,
        )
    }


def test_an_excluded_instance_is_not_snapshotted() -> None:
    denied = statement("target-policy", "ButNotOfExcludedInstances")
    assert (denied["Effect"], denied["Action"]) == ("Deny", "ec2:CreateSnapshots")
    assert denied["Condition"] == {"Null": {"aws:ResourceTag/InspectorEc2Exclusion": "false"}}


def test_the_scanner_trusts_the_charts_service_account_by_its_whole_name() -> None:
    template = (DEPLOY / "cloudformation" / "scanner.yaml").read_text()
    begin = template.index("- !Sub |") + len("- !Sub |")
    document = json.loads(template[begin : template.index("- !If", begin)])
    (trust,) = document["Statement"]
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {
            "${OidcProvider}:aud": "sts.amazonaws.com",
            "${OidcProvider}:sub": "system:serviceaccount:${ServiceAccount}",
        }
    }


def test_the_scanner_trusts_pod_identity_for_the_charts_service_account_alone() -> None:
    text = (DEPLOY / "cloudformation" / "scanner.yaml").read_text()
    begin = text.index("          - ByPodIdentity\n") + len("          - ByPodIdentity\n")
    end = text.index("          - Version", text.index("          - Version", begin) + 1)
    (trust,) = yaml.load(text[begin:end], Loader=Template)[0]["Statement"]  # noqa: S506 - safe
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert trust["Condition"]["StringEquals"].keys() == {
        "aws:SourceAccount",
        "aws:RequestTag/kubernetes-namespace",
        "aws:RequestTag/kubernetes-service-account",
    }


def test_the_image_has_what_each_broker_needs() -> None:
    lock = (DEPLOY / "requirements.lock").read_text()
    locked = {canonicalize_name(line.split("==")[0]) for line in lock.splitlines() if "==" in line}
    for requirement in map(Requirement, metadata.requires("kombu") or ()):
        marker = requirement.marker
        for extra in ("redis", "sqs"):
            if marker is not None and "extra" in str(marker) and marker.evaluate({"extra": extra}):
                assert canonicalize_name(requirement.name) in locked, f"{extra}: {requirement}"
    assert "pycurl" in locked


def test_what_sqs_needs_can_be_given_to_what_is_deployed() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    chart = yaml.safe_load((DEPLOY / "helm/sidelight/values.yaml").read_text())
    wanted = {"SIDELIGHT_SQS_PREFIX", "SIDELIGHT_BUDGETS_URL"}
    for name in ("dispatcher", "worker-waiting", "worker-computing"):
        environment = compose["services"][name]["environment"]
        assert wanted <= environment.keys()
        assert environment["SIDELIGHT_BROKER_URL"].startswith("${SIDELIGHT_BROKER_URL:-redis://")
    assert wanted <= chart["settings"].keys()


@pytest.mark.parametrize("name", ["changes", "changes-source"])
def test_changes_are_sent_by_eventbridge_alone_and_are_of_the_kinds_that_are_handled(
    name: str,
) -> None:
    text = (DEPLOY / "cloudformation" / f"{name}.yaml").read_text()
    resources = yaml.load(text, Loader=Template)["Resources"]  # noqa: S506 - a SafeLoader's child
    kinds = {
        (source, kind)
        for one in resources.values()
        if one["Type"] == "AWS::Events::Rule"
        for source in one["Properties"]["EventPattern"]["source"]
        for kind in one["Properties"]["EventPattern"]["detail-type"]
    }
    assert instance_states.KIND in kinds
    if name == "changes":
        (sending,) = resources["QueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
        assert sending["Principal"] == {"Service": "events.amazonaws.com"}
        assert "aws:SourceArn" in sending["Condition"]["ArnEquals"]
        bus = resources["BusPolicy"]["Properties"]["Statement"]["Condition"]["StringEquals"]
        assert "aws:PrincipalOrgID" in bus
        redrive = resources["Queue"]["Properties"]["RedrivePolicy"]
        assert redrive["maxReceiveCount"] == MOST_RECEIVES
    else:
        states = resources["Instances"]["Properties"]["EventPattern"]["detail"]["state"]
        assert set(states) == {"running", "stopped", "shutting-down", "terminated"}
