"""Roles: whose they are, with what they are assumed, and that they outlive an hour."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sidelight.aws import sts
from sidelight.aws.ec2 import Ec2
from sidelight.aws.session import EBS_USER_AGENT, Session
from sidelight.errors import AccessDeniedError, RegionDisabledError
from sidelight.localcloud.conditions import QUICK_STRICT
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.services

HUB, OTHER = "123456789012", "999999999999"
HUB_ROLE = f"arn:aws:iam::{HUB}:role/hub"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    """Sessions last five minutes: less than what botocore renews ahead of, so at each call."""
    # Roles are not made in IAM: whom they trust is `test_accounts.py`'s.
    with LocalCloud(tmp_path / "cloud", role_seconds=300, strict_roles=False) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


def test_without_a_role_every_account_is_our_own(cloud: LocalCloud) -> None:
    session = Session()
    assert session.client("ec2", account=OTHER) is session.client("ec2", account=OTHER)
    assert Ec2(session, OTHER, "us-east-1").instances() == []
    assert cloud.calls("AssumeRole") == 0
    assert cloud.calls("DescribeInstances", HUB) == 1


def test_we_are_the_hub_and_elsewhere_the_role_there(cloud: LocalCloud) -> None:
    session = Session(hub=HUB_ROLE, role_name="target", external_id="their-id", tags={"Team": "a"})
    assert sts.principal(session) == HUB_ROLE
    assert sts.account(session) == HUB
    assert Ec2(session, OTHER, "eu-west-1").instances() == []
    assert cloud.calls("DescribeInstances", OTHER) == 1


def test_roles_are_assumed_in_our_own_region_also_for_one_that_is_the_others_alone(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cloud.endpoint
    created: list[tuple[str, str]] = []
    client = boto3.Session.client

    def watched(self: boto3.Session, service: str, **options: Any) -> Any:
        created.append((service, options["region_name"]))
        return client(self, service, **options)  # type: ignore[call-overload] # as given

    monkeypatch.setattr(boto3.Session, "client", watched)
    session = Session(region="eu-west-1", hub=HUB_ROLE, role_name="target")
    session.client("ec2", account=OTHER, region="af-south-1")
    assert created == [("sts", "eu-west-1"), ("sts", "eu-west-1"), ("ec2", "af-south-1")]


def test_a_client_in_use_outlives_its_roles_sessions(cloud: LocalCloud) -> None:
    session = Session(hub=HUB_ROLE, role_name="target")
    client = session.client("ec2", account=OTHER)
    client.describe_regions()
    # What a client that does not renew would meet:
    credentials = boto3.client("sts").assume_role(RoleArn=HUB_ROLE, RoleSessionName="test")[
        "Credentials"
    ]
    plain = boto3.client(
        "ec2",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    plain.describe_regions()
    cloud.clock.advance(4000)
    client.describe_regions()
    with pytest.raises(ClientError, match="RequestExpired"):
        plain.describe_regions()


def test_a_chained_role_is_not_asked_for_more_than_an_hour(cloud: LocalCloud) -> None:
    session = Session(hub=HUB_ROLE)
    hub: Any = session.client("sts")
    target = f"arn:aws:iam::{OTHER}:role/target"
    with pytest.raises(ClientError, match="chaining"):
        hub.assume_role(RoleArn=target, RoleSessionName="test", DurationSeconds=3601)
    answer = hub.assume_role(RoleArn=target, RoleSessionName="test", DurationSeconds=3600)
    assert answer["Credentials"]
    assert cloud.calls("AssumeRole") > 2


def test_a_denied_role_is_named(cloud: LocalCloud) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "sts:AssumeRole")])
    with pytest.raises(AccessDeniedError, match=f"arn:aws:iam::{OTHER}:role/target: AccessDenied"):
        Session(role_name="target").client("ec2", account=OTHER)
    # In China and for governments ARNs begin otherwise.
    with pytest.raises(AccessDeniedError, match="arn:aws-cn:iam"):
        Session(role_name="target").client("ec2", account=OTHER, region="cn-north-1")


OPT_IN = "me-south-1"


@pytest.mark.parametrize("opted_in", [False, True])
def test_a_region_that_is_not_enabled_differs_from_a_token_of_the_global_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, opted_in: bool
) -> None:
    """Both are EC2's AuthFailure; what DescribeRegions of another Region says decides."""
    enabled = frozenset({OPT_IN} if opted_in else ())
    conditions = replace(QUICK_STRICT, opted_in=enabled)
    with LocalCloud(tmp_path / "cloud", conditions=conditions) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "FwoGZXIvYXdzEA")
        ec2 = Ec2(Session(), HUB, OPT_IN)
        if opted_in:
            with pytest.raises(AccessDeniedError, match="sts_regional_endpoints = regional"):
                ec2.instances()
            monkeypatch.delenv("AWS_SESSION_TOKEN")
            assert Ec2(Session(), HUB, OPT_IN).instances() == []
        else:
            with pytest.raises(RegionDisabledError, match=f"has not enabled {OPT_IN}"):
                ec2.instances()


@pytest.mark.usefixtures("cloud")
def test_a_client_of_ebs_direct_says_who_calls_in_one_short_line() -> None:
    """Composed once: botocore's own has some thirty parts, and is composed twice a call."""
    client = Session(region="us-east-1").client("ebs")
    sent: list[str] = []
    client.meta.events.register(
        "before-send", lambda request, **_: sent.append(request.headers["User-Agent"])
    )
    with pytest.raises(ClientError):
        client.get_snapshot_block(SnapshotId="snap-1", BlockIndex=0, BlockToken="t")
    (agent,) = sent
    text = agent if isinstance(agent, str) else bytes(agent).decode()
    assert text.startswith(f"{EBS_USER_AGENT} ")
    assert [part.partition("/")[0] for part in text.split()] == ["Boto3", "sidelight", "Botocore"]
