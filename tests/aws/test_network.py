"""The describe calls of the network model: pages, refusals, throttles, and what a dump keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from sidelight.aws import network
from sidelight.aws.network import PAGES, NetworkCalls, permission
from sidelight.aws.rate_limit import Unlimited
from sidelight.aws.session import Session
from sidelight.errors import AccessDeniedError, UsageError
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.reachability.answers.dump import load_dump
from sidelight.reachability.answers.dump_writer import folder_of, write_answers
from sidelight.reachability.answers.stems import STEMS
from tests.fixtures.local_clouds import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT, REGION = "123456789012", "us-east-1"
GONE = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/gone/0123456789abcdef"
services = pytest.mark.services


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud", conditions=KIND) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


def _calls(pace: Unlimited | None = None) -> NetworkCalls:
    return NetworkCalls(Session(), "", REGION, pace=pace, sleep=lambda _seconds: None)


def _load_balancer(cloud: LocalCloud, vpc: str) -> str:
    """Create a listener that forwards to one group, in two subnets; return the listener's ARN."""
    ec2, elbv2 = client(cloud, "ec2"), client(cloud, "elbv2")
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{part}.0/24", AvailabilityZone=zone)[
            "Subnet"
        ]["SubnetId"]
        for part, zone in enumerate(("us-east-1a", "us-east-1b"))
    ]
    balancer = elbv2.create_load_balancer(Name="front", Subnets=subnets)["LoadBalancers"][0]
    group = elbv2.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[
            {"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}
        ],
    )
    return str(listener["Listeners"][0]["ListenerArn"])


def test_each_call_has_the_page_members_that_botocores_paginators_use() -> None:
    session = botocore.session.get_session()
    loader = session.get_component("data_loader")
    for stem in STEMS.values():
        model = session.get_service_model(stem.service).operation_model(stem.operation)
        assert model.input_shape is not None
        assert model.output_shape is not None
        if stem.list_key:
            assert stem.list_key in model.output_shape.members, stem.name
        members = PAGES[stem.service]
        if stem.pages == "none":
            assert members.next not in model.output_shape.members, stem.name
            continue
        assert {members.size, members.token} <= set(model.input_shape.members), stem.name
        assert members.next in model.output_shape.members, stem.name
        if stem.pages == "paginator":
            paginators = loader.load_service_model(stem.service, "paginators-1")["pagination"]
            config = paginators[stem.operation]
            assert (config["input_token"], config["output_token"]) == (members.token, members.next)
            assert config["result_key"] == stem.list_key


@services
def test_answers_are_written_as_a_dump_that_the_model_reads(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    vpc = client(cloud, "ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    listener = _load_balancer(cloud, vpc)
    calls = _calls()
    answers = calls.collect()
    assert calls.problems == []
    assert set(answers) == set(STEMS)
    assert calls.calls == cloud.calls("*") - 6  # those that set the network up
    write_answers(folder_of(tmp_path / "dump", ACCOUNT, REGION), answers)
    read = load_dump(tmp_path / "dump")
    assert read.problems == ()
    lists = read[ACCOUNT, REGION]
    assert vpc in {item["VpcId"] for item in _dicts(lists["Vpcs"])}
    (rules,) = _dicts(lists["ListenerRules"])
    assert rules["ListenerArn"] == listener
    assert rules["Rules"][0]["Actions"][0]["Type"] == "forward"


def _dicts(objects: Any) -> list[dict[str, Any]]:
    assert all(isinstance(item, dict) for item in objects)
    return list(objects)


@services
def test_every_page_of_a_listing_is_read(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2 = client(cloud, "ec2")
    image = ec2.register_image(Name="any")["ImageId"]
    reservation_ids = {
        ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["ReservationId"] for _ in range(11)
    }
    monkeypatch.setattr(network, "PAGE", 5)
    found = {item["ReservationId"] for item in _calls().collect()["Reservations"]}
    assert found == reservation_ids
    assert cloud.calls("DescribeInstances") == 3


@services
def test_a_refused_call_costs_its_own_answers_and_names_the_permission(cloud: LocalCloud) -> None:
    cloud.plan = FaultPlan(
        [Rule(FaultKind.ACCESS_DENIED, operation="DescribeTransitGatewayRouteTables")]
    )
    calls = _calls()
    answers = calls.collect()
    missing = set(STEMS) - set(answers)
    assert missing == {
        "TransitGatewayRouteTables",
        "TransitGatewayPropagations",
        "TransitGatewayStaticRoutes",
    }
    (problem,) = calls.problems
    assert problem.where == "us-east-1 ec2 DescribeTransitGatewayRouteTables"
    assert "needs ec2:DescribeTransitGatewayRouteTables" in problem.what


@services
def test_where_every_call_is_refused_the_first_refusal_is_raised(cloud: LocalCloud) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED)])
    with pytest.raises(AccessDeniedError, match="DescribeAddresses"):
        _calls().collect()


class Counting(Unlimited):
    """Counts slots and throttles."""

    def __init__(self) -> None:
        self.slots: list[str] = []
        self.throttles = 0

    def before(self, kind: str) -> None:
        self.slots.append(kind)

    def throttled(self, kind: str) -> None:
        assert kind == "describe"
        self.throttles += 1


@services
def test_each_attempt_takes_a_slot_and_throttles_are_reported(cloud: LocalCloud) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.THROTTLE, operation="DescribeVpcs", times=2)])
    pace = Counting()
    calls = _calls(pace)
    answers = calls.collect()
    assert answers["Vpcs"]
    assert pace.throttles == 2
    assert pace.slots == ["describe"] * calls.calls
    assert cloud.calls("DescribeVpcs") == 3


@services
def test_a_target_group_that_is_deleted_between_two_calls_is_left_out(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cloud
    calls = _calls()
    real = calls._call

    def deleted(stem: Any, request: dict[str, Any]) -> dict[str, Any]:
        if stem.name == "TargetGroups":
            return {"TargetGroups": [{"TargetGroupArn": GONE}]}
        return real(stem, request)

    monkeypatch.setattr(calls, "_call", deleted)
    answers = calls.collect()
    assert answers["LoadBalancerTargetHealth"] == []
    assert answers["TargetGroupAttributes"] == []
    assert calls.problems == []


@services
def test_a_page_token_that_is_returned_twice_ends_the_listing_with_a_problem(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cloud
    calls = _calls()
    real = calls._call

    def circle(stem: Any, request: dict[str, Any]) -> dict[str, Any]:
        if stem.name == "Subnets":
            return {"Subnets": [{"SubnetId": "subnet-1"}], "NextToken": "again"}
        return real(stem, request)

    monkeypatch.setattr(calls, "_call", circle)
    answers = calls.collect()
    assert "Subnets" not in answers
    assert [problem.what for problem in calls.problems] == [
        "Subnets is not known: AWS repeats the token of a page"
    ]


def test_a_folder_with_answers_of_another_time_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ACCOUNT, REGION)
    write_answers(folder, {"Vpcs": []})
    with pytest.raises(UsageError, match="has files already"):
        folder_of(tmp_path, ACCOUNT, REGION)


def test_permissions_of_load_balancers_have_the_prefix_that_iam_uses() -> None:
    assert permission(STEMS["LoadBalancers"]) == "elasticloadbalancing:DescribeLoadBalancers"
    assert permission(STEMS["VirtualInterfaces"]) == "directconnect:DescribeVirtualInterfaces"
