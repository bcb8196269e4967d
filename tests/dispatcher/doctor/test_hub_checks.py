"""`sidelight doctor` on the bucket, the queues and the targets that the scanner itself uses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from dispatcher.doctor.hub_checks import check_hub
from dispatcher.doctor.results import CheckStatus
from sidelight.aws.session import Session
from sidelight.fleet.settings import Settings
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.iam_policies import SCANNER, VALUES, filled_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dispatcher.doctor.results import Check

pytestmark = pytest.mark.services
REGION = "us-east-1"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path, conditions=KIND) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


def client(cloud: LocalCloud, service: str) -> Any:
    make: Any = boto3.client
    return make(service, endpoint_url=cloud.endpoint)


def checks(**changes: Any) -> dict[str, Check]:
    found = check_hub(Session(), Settings.of(**changes), REGION)
    return {check.name: check for check in found}


def over_sqs(cloud: LocalCloud) -> dict[str, Check]:
    prefix = f"{cloud.endpoint}/123456789012/sidelight-"
    return checks(broker_url="sqs://", sqs_prefix=prefix)


def test_nothing_is_called_that_no_setting_needs(cloud: LocalCloud) -> None:
    assert checks() == {}
    assert cloud.calls("*") == 0


def test_the_bucket_of_inventories_is_listed(cloud: LocalCloud) -> None:
    settings = {"agents": True, "inventory_bucket": "inventories"}
    name = "s3:ListBucket of inventories"
    assert checks(**settings)[name].status is CheckStatus.ERROR
    assert "create it" in checks(**settings)[name].remedy
    client(cloud, "s3").create_bucket(Bucket="inventories")
    assert checks(**settings)[name].status is CheckStatus.OK
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation="s3:*")])
    assert "scanner-inventories-policy.json" in checks(**settings)[name].remedy


def test_each_queue_of_the_broker_is_read(cloud: LocalCloud) -> None:
    missing = over_sqs(cloud)
    assert len(missing) == 10, "five stages, on demand and scheduled"
    assert {check.status for check in missing.values()} == {CheckStatus.ERROR}
    for name in missing:
        client(cloud, "sqs").create_queue(QueueName=name.rpartition("/")[2])
    assert {check.status for check in over_sqs(cloud).values()} == {CheckStatus.OK}
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation="GetQueueAttributes")])
    denied = over_sqs(cloud).values()
    assert {check.status for check in denied} == {CheckStatus.ERROR}
    assert all("scanner-queues-policy.json" in check.remedy for check in denied)


@pytest.mark.parametrize(
    ("changes", "name", "policy"),
    [
        ({"publish": "sns:arn:aws:sns:us-east-1:1:t"}, "sns:Publish", "scanner-topic-policy"),
        ({"publish": "eventbridge:bus"}, "events:PutEvents", "scanner-bus-policy"),
        ({"event_queue": "https://sqs.us-east-1.amazonaws.com/1/c"}, "sqs:ReceiveMessage",
         "scanner-changes-policy"),
    ],
)  # fmt: skip
def test_what_would_have_an_effect_is_not_tried_and_its_policy_is_named(
    cloud: LocalCloud, changes: dict[str, str], name: str, policy: str
) -> None:
    found = checks(**changes)[name]
    assert found.status is CheckStatus.NOT_CHECKED
    assert policy in found.remedy
    operations = {tally.operation for tally in cloud.counters.tallies()}
    assert operations == {"sts:GetCallerIdentity", "iam:SimulatePrincipalPolicy"}


@pytest.mark.parametrize(
    ("changes", "name", "policy"),
    [
        ({"publish": f"sns:{VALUES['TopicArn']}"}, "sns:Publish", "scanner-topic-policy"),
        ({"publish": f"eventbridge:{VALUES['EventBusArn']}"}, "events:PutEvents",
         "scanner-bus-policy"),
        ({"event_queue": f"https://sqs.us-east-1.amazonaws.com/{SCANNER}/changes"},
         "sqs:ReceiveMessage", "scanner-changes-policy"),
    ],
)  # fmt: skip
def test_what_would_have_an_effect_is_simulated(
    cloud: LocalCloud, changes: dict[str, str], name: str, policy: str
) -> None:
    iam = client(cloud, "iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName="Hub", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    for attached, status in (
        ("scanner-policy", CheckStatus.ERROR),
        (policy, CheckStatus.OK),
    ):
        text = json.dumps(filled_in(attached))
        iam.put_role_policy(RoleName="Hub", PolicyName=attached, PolicyDocument=text)
        settings = Settings.of(hub_role=arn, **changes)
        session = Session(hub=arn)
        found = {check.name: check for check in check_hub(session, settings, REGION)}[name]
        assert found.status is status, found
        if status is CheckStatus.ERROR:
            assert policy in found.remedy
