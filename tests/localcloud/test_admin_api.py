"""The endpoint that changes a running local cloud: instances, clock, latency and faults."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.local_clouds import code_of, take

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_ec2 import EC2Client

    from sidelight.localcloud.server import LocalCloud


pytestmark = pytest.mark.services


def control(
    cloud: LocalCloud, method: str, path: str, body: object = None, kind: str = "application/json"
) -> tuple[int, Any]:
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{cloud.endpoint}/_sidelight/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": kind},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_instances_are_added_over_http(cloud: LocalCloud, ec2: EC2Client, image: Path) -> None:
    status, answer = control(
        cloud,
        "POST",
        "instances",
        {"name": "web", "images": {"/dev/xvda": str(image)}, "tags": {"a": "b"}},
    )
    assert status == 200
    assert list(answer["volumes"]) == ["/dev/xvda"]
    (found,) = ec2.describe_instances(InstanceIds=[answer["instance_id"]])["Reservations"]
    assert found["Instances"][0]["RootDeviceName"] == "/dev/xvda"


def test_clock_latency_faults_and_snapshots_over_http(
    cloud: LocalCloud, ec2: EC2Client, image: Path
) -> None:
    before = cloud.clock.now()
    assert control(cloud, "PUT", "clock", {"advance": 3600})[1]["now"] >= before + 3600
    assert control(cloud, "PUT", "latency", {"seconds": 0.0})[1] == {"seconds": 0.0}
    snapshot = take(ec2, cloud, cloud.add_instance("web", [image]))
    assert control(cloud, "GET", "snapshots")[1] == {"snapshots": [snapshot]}
    plan = {"seed": 1, "rules": [{"kind": "throttle", "operation": "DescribeSnapshots"}]}
    assert control(cloud, "PUT", "faults", plan)[1]["rules"] == 1
    with pytest.raises(ClientError) as error:
        ec2.describe_snapshots()
    assert code_of(error)[0] == "RequestLimitExceeded"
    (injected,) = control(cloud, "GET", "faults")[1]["injected"]
    assert injected == {"kind": "throttle", "operation": "ec2:DescribeSnapshots", "count": 1}
    calls = {c["operation"]: c["errors"] for c in control(cloud, "GET", "calls")[1]["calls"]}
    assert calls == {"ec2:CreateSnapshot": 0, "ec2:DescribeSnapshots": 1}
    assert control(cloud, "DELETE", "calls")[0] == 200
    assert control(cloud, "GET", "calls")[1]["calls"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("POST", "instances", {}, 400),
        ("POST", "instances", [], 400),
        ("POST", "instances", {"name": "a", "images": 5}, 400),
        ("POST", "instances", {"name": "a", "images": ["/nonexistent"]}, 400),
        ("POST", "instances", {"name": "a", "images": [], "tags": 5}, 400),
        ("POST", "instances", {"name": "a", "images": [], "region": "mars"}, 400),
        ("POST", "instances", {"name": "a", "images": [], "subnet_id": "x"}, 400),
        ("PUT", "faults", {"rules": [{"kind": "?"}]}, 400),
        ("PUT", "latency", {"seconds": "x"}, 400),
        ("PUT", "clock", {}, 400),
    ],
)
def test_the_control_endpoint_refuses_nonsense(
    cloud: LocalCloud, method: str, path: str, body: object, status: int
) -> None:
    answered, text = control(cloud, method, path, body)
    assert answered == status
    assert text["error"]


def test_a_web_page_cannot_write_to_the_control_endpoint(cloud: LocalCloud, image: Path) -> None:
    body = {"name": "a", "images": [str(image)]}
    assert control(cloud, "POST", "instances", body, kind="text/plain")[0] == 400


def test_control_calls_are_not_counted(cloud: LocalCloud) -> None:
    control(cloud, "GET", "calls")
    assert cloud.calls() == 0
