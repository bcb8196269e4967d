"""The local cloud as a whole: accounts, services, the control endpoint, faults on the wire."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from sidelight.errors import UsageError
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.local_clouds import ACCOUNT, BLOCK, code_of, noise, take, write_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

    from tests.fixtures.local_clouds import Clients

pytestmark = pytest.mark.services

OTHER = "999999999999"


def test_the_services_answer(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    make = clients(cloud)
    assert make("sts", account=OTHER).get_caller_identity()["Account"] == OTHER
    key = make("kms").create_key()["KeyMetadata"]["KeyId"]
    assert make("kms").list_resource_tags(KeyId=key)["Tags"] == []
    make("organizations").create_organization(FeatureSet="ALL")
    accounts = make("organizations").list_accounts()["Accounts"]
    assert [account["Id"] for account in accounts] == [ACCOUNT]
    assert make("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert make("iam").list_users()["Users"] == []
    regions = make("ec2").describe_regions()["Regions"]
    assert "us-east-1" in {region["RegionName"] for region in regions}
    encrypted = cloud.add_instance("web", [image], encrypted=True, kms_key_id=key)
    volume = cloud.volumes(encrypted)["/dev/sda1"]
    assert make("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]["Encrypted"]


def test_managed_instances_are_those_registered(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    ssm = clients(cloud)("ssm")
    assert ssm.describe_instance_information()["InstanceInformationList"] == []
    managed = cloud.add_instance("a", [image], ssm={"PlatformName": "Debian"})
    lost = cloud.add_instance("b", [image], ssm={"PingStatus": "ConnectionLost"})
    cloud.add_instance("c", [image])
    found = ssm.describe_instance_information()["InstanceInformationList"]
    assert {one["InstanceId"] for one in found} == {managed, lost}
    (one,) = ssm.describe_instance_information(
        Filters=[{"Key": "PingStatus", "Values": ["Online"]}]
    )["InstanceInformationList"]
    assert (one["InstanceId"], one["PlatformName"]) == (managed, "Debian")
    pages = ssm.get_paginator("describe_instance_information").paginate(
        PaginationConfig={"PageSize": 5}
    )
    assert sum(len(page["InstanceInformationList"]) for page in pages) == 2


def test_a_role_of_another_account_acts_there(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud.add_instance("theirs", [image], account=OTHER)
    credentials = clients(cloud)("sts").assume_role(
        RoleArn=f"arn:aws:iam::{OTHER}:role/scan", RoleSessionName="scan"
    )["Credentials"]
    client = boto3.client(
        "ec2",
        endpoint_url=cloud.endpoint,
        region_name="us-east-1",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    (reservation,) = client.describe_instances()["Reservations"]
    client.close()
    assert reservation["OwnerId"] == OTHER
    assert cloud.calls("DescribeInstances", OTHER) == 1


def test_accounts_and_regions_are_apart(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud.add_instance("here", [image])
    for client in (
        clients(cloud)("ec2", account=OTHER),
        clients(cloud)("ec2", region="eu-west-1"),
    ):
        assert client.describe_instances()["Reservations"] == []


def test_what_is_not_there_says_so(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]
) -> None:
    with pytest.raises(ClientError) as error:
        clients(cloud)("dynamodb").list_tables()
    assert code_of(error)[0] == "UnknownOperationException"
    with pytest.raises(ClientError) as error:
        clients(cloud)("ssm").describe_instance_patch_states(InstanceIds=["i-12345678"])
    assert code_of(error)[0] == "InvalidAction"


def test_a_region_that_does_not_exist_is_refused(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]
) -> None:
    with pytest.raises(ClientError) as error:
        clients(cloud)("ec2", region="mars-north-1").describe_instances()
    assert code_of(error)[0] == "AuthFailure"


def test_one_cloud_a_process_and_each_starts_empty(tmp_path: Path, image: Path) -> None:
    with LocalCloud(tmp_path / "a") as first:
        first.add_instance("web", [image])
        with pytest.raises(UsageError):
            LocalCloud(tmp_path / "b").start()
    with LocalCloud(tmp_path / "a") as second:
        client = boto3.client(
            "ec2",
            endpoint_url=second.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",  # noqa: S106 - nobody checks it
        )
        assert client.describe_instances()["Reservations"] == []
        client.close()
    first.stop()
    with pytest.raises(UsageError):
        _ = first.endpoint


def test_an_address_in_use_is_a_usage_error_and_leaves_nothing(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    port = int(cloud.endpoint.rpartition(":")[2])
    code = (
        "import sys; from pathlib import Path\n"
        "from sidelight.errors import UsageError\n"
        "from sidelight.localcloud.server import LocalCloud\n"
        f"try: LocalCloud(Path({str(tmp_path / 'b')!r}), port={port}).start()\n"
        "except UsageError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert f"127.0.0.1:{port}: cannot listen" in done.stderr
    assert list((tmp_path / "b").iterdir()) == []


def test_frozen_images_of_a_killed_process_are_swept(tmp_path: Path, image: Path) -> None:
    left = tmp_path / "cloud" / "snapshots-left"
    left.mkdir(parents=True)
    (left / "snap.img").write_bytes(b"x")
    with LocalCloud(tmp_path / "cloud") as cloud:
        cloud.add_instance("web", [image])
        assert not left.exists()
    assert list((tmp_path / "cloud").iterdir()) == []


# The control endpoint


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


# Faults on the wire


@pytest.fixture
def block(cloud: LocalCloud, ec2: EC2Client, ebs: EBSClient, image: Path) -> dict[str, Any]:
    """What get_snapshot_block needs for a readable block."""
    snapshot = take(ec2, cloud, cloud.add_instance("web", [image]))
    first = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"][0]
    return {"SnapshotId": snapshot, **first}


@pytest.mark.parametrize(
    ("rule", "code", "reason", "status"),
    [
        (Rule(FaultKind.THROTTLE), "RequestThrottledException", "ACCOUNT_THROTTLED", 400),
        (
            Rule(FaultKind.THROTTLE, reason="DEPENDENCY_REQUEST_THROTTLED"),
            "RequestThrottledException",
            "DEPENDENCY_REQUEST_THROTTLED",
            400,
        ),
        (Rule(FaultKind.SERVER_ERROR), "InternalServerException", "", 500),
        (Rule(FaultKind.ACCESS_DENIED), "AccessDeniedException", "UNAUTHORIZED_ACCOUNT", 403),
        (
            Rule(FaultKind.ERROR, code="ConcurrentLimitExceededException"),
            "ConcurrentLimitExceededException",
            "",
            400,
        ),
        (Rule(FaultKind.UNAVAILABLE), "503", "", 503),
    ],
)
def test_errors_of_the_ebs_direct_apis(  # noqa: PLR0917 - pytest passes them by name
    cloud: LocalCloud,
    ebs: EBSClient,
    block: dict[str, Any],
    rule: Rule,
    code: str,
    reason: str,
    status: int,
) -> None:
    cloud.plan = FaultPlan([rule])
    with pytest.raises(ClientError) as error:
        ebs.get_snapshot_block(**block)
    assert code_of(error) == (code, reason)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    cloud.plan = FaultPlan()
    assert ebs.get_snapshot_block(**block)["DataLength"] == BLOCK


@pytest.mark.parametrize(
    ("service", "call", "throttle", "denied"),
    [
        ("ec2", "describe_instances", "RequestLimitExceeded", "UnauthorizedOperation"),
        ("sts", "get_caller_identity", "Throttling", "AccessDenied"),
        ("kms", "list_keys", "ThrottlingException", "AccessDeniedException"),
        ("ssm", "describe_instance_information", "ThrottlingException", "AccessDeniedException"),
        ("organizations", "list_accounts", "TooManyRequestsException", "AccessDeniedException"),
        ("elbv2", "describe_load_balancers", "Throttling", "AccessDenied"),
    ],
)
def test_each_service_has_errors_of_its_own(  # noqa: PLR0917 - pytest passes them by name
    cloud: LocalCloud,
    clients: Callable[[LocalCloud], Clients],
    service: str,
    call: str,
    throttle: str,
    denied: str,
) -> None:
    client = clients(cloud)(service)
    for kind, code in ((FaultKind.THROTTLE, throttle), (FaultKind.ACCESS_DENIED, denied)):
        cloud.plan = FaultPlan([Rule(kind)])
        with pytest.raises(ClientError) as error:
            getattr(client, call)()
        assert code_of(error)[0] == code
    cloud.plan = FaultPlan([Rule(FaultKind.SERVER_ERROR)])
    with pytest.raises(ClientError) as error:
        getattr(client, call)()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_a_truncated_block_ends_early(
    cloud: LocalCloud, ebs: EBSClient, block: dict[str, Any]
) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.TRUNCATE)])
    with pytest.raises(ResponseStreamingError):
        ebs.get_snapshot_block(**block)["BlockData"].read()


def test_a_short_block_is_shorter_than_its_data_length(
    cloud: LocalCloud, ebs: EBSClient, block: dict[str, Any]
) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.SHORT)])
    answer = ebs.get_snapshot_block(**block)
    assert answer["DataLength"] == BLOCK
    assert len(answer["BlockData"].read()) == BLOCK // 2


def test_a_corrupt_block_does_not_match_the_true_checksum(
    cloud: LocalCloud, ebs: EBSClient, block: dict[str, Any]
) -> None:
    sound = ebs.get_snapshot_block(**block)
    cloud.plan = FaultPlan([Rule(FaultKind.CORRUPT)])
    corrupt = ebs.get_snapshot_block(**block)
    assert corrupt["Checksum"] == sound["Checksum"]
    assert corrupt["BlockData"].read() != sound["BlockData"].read()


def test_a_lost_answer_leaves_the_work_done_and_a_drop_does_not(
    cloud: LocalCloud, ec2: EC2Client, image: Path
) -> None:
    instance = cloud.add_instance("web", [image])
    for kind, expected in ((FaultKind.DROP, 0), (FaultKind.LOST_ANSWER, 1)):
        cloud.plan = FaultPlan([Rule(kind, operation="CreateSnapshots")])
        with pytest.raises(ConnectionClosedError):
            ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
        assert len(cloud.snapshots()) == expected


def test_a_call_that_hangs_is_never_answered_and_holds_up_neither_others_nor_the_end(
    cloud: LocalCloud, image: Path, session: boto3.Session
) -> None:
    def ec2(seconds: float) -> EC2Client:
        config = Config(read_timeout=seconds, retries={"total_max_attempts": 1})
        return session.client(
            "ec2", config=config, endpoint_url=cloud.endpoint, region_name="us-east-1",
            aws_access_key_id=ACCOUNT, aws_secret_access_key="local",  # noqa: S106 - any will do
        )  # fmt: skip

    instance = cloud.add_instance("web", [image])
    cloud.plan = FaultPlan([Rule(FaultKind.HANG, operation="CreateSnapshots")])
    with (
        closing(ec2(0.2)) as impatient, closing(ec2(60)) as patient, closing(ec2(60)) as other,
        ThreadPoolExecutor(1) as pool,
    ):  # fmt: skip
        with pytest.raises(ReadTimeoutError):
            impatient.create_snapshots(InstanceSpecification={"InstanceId": instance})
        held = pool.submit(patient.create_snapshots, InstanceSpecification={"InstanceId": instance})
        assert other.describe_snapshots()["Snapshots"] == []
        cloud.stop()
        assert isinstance(held.exception(), ConnectionClosedError | EndpointConnectionError)


def test_latency_is_slept_without_holding_others_up(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients]
) -> None:
    slept: list[float] = []
    cloud = make_cloud(
        sleep=slept.append,
        latency=0.25,
        plan=FaultPlan([Rule(FaultKind.LATENCY, operation="ListKeys", seconds=1.0)]),
    )
    clients(cloud)("kms").list_keys()
    clients(cloud)("sts").get_caller_identity()
    assert slept == [1.25, 0.25]


def test_a_seed_makes_the_same_faults_with_any_number_of_threads(
    cloud: LocalCloud, ebs: EBSClient, ec2: EC2Client, tmp_path: Path
) -> None:
    path = tmp_path / "wide.img"
    write_blocks(path, 60 * BLOCK, dict.fromkeys(range(60), b"x"))
    instance = cloud.add_instance("wide", [path])

    def failed(threads: int) -> set[int]:
        snapshot = take(ec2, cloud, instance)
        blocks = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
        rule = Rule(FaultKind.THROTTLE, operation="GetSnapshotBlock", probability=0.3)
        cloud.plan = FaultPlan([rule], seed=7)

        def read(entry: Any) -> int | None:
            try:
                ebs.get_snapshot_block(SnapshotId=snapshot, **entry)
            except ClientError:
                return int(entry["BlockIndex"])
            return None

        with ThreadPoolExecutor(threads) as pool:
            return {index for index in pool.map(read, blocks) if index is not None}

    alone = failed(1)
    assert failed(8) == alone
    assert 5 < len(alone) < 35
    assert sum(cloud.plan.injected.values()) == len(alone)


# Another process


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`run` in a process of its own."""
    code = (
        # Kind, as in `make_cloud`.
        "from pathlib import Path\nfrom sidelight.localcloud.conditions import KIND\n"
        "from sidelight.localcloud.server import run\n"
        f"home = Path({str(tmp_path / 'cloud')!r})\n"
        "run(home, conditions=KIND, say=lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        yield child
        child.kill()


def environment(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    lines = [process.stdout.readline().strip().removeprefix("export ") for _ in range(5)]
    return dict(line.split("=", 1) for line in lines)


def test_run_says_what_to_export_and_ends_cleanly(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    found = environment(process)
    assert found["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert found["AWS_ACCESS_KEY_ID"] == ACCOUNT
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert list((tmp_path / "cloud").iterdir()) == []


def test_memory_does_not_grow_with_the_image(
    process: subprocess.Popen[str], tmp_path: Path, session: boto3.Session
) -> None:
    """100 MB of data in a sparse image of 2 GiB, all of it read by 16 threads."""
    found = environment(process)
    image = tmp_path / "big.img"
    write_blocks(image, 2 << 30, {20 * n: noise(n) for n in range(200)})
    endpoint = found["AWS_ENDPOINT_URL"]
    options: Any = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": ACCOUNT,
        "aws_secret_access_key": "local",
    }
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{endpoint}/_sidelight/instances",
        data=json.dumps({"name": "big", "images": [str(image)]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        volume = json.load(answer)["volumes"]["/dev/sda1"]
    ec2, ebs = session.client("ec2", **options), session.client("ebs", **options)
    ec2.describe_volumes()
    before = memory(process.pid, "VmRSS")
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    blocks = ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=1000)["Blocks"]

    def read(entry: Any) -> int:
        return len(ebs.get_snapshot_block(SnapshotId=snapshot, **entry)["BlockData"].read())

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(read, blocks)) == 200 * BLOCK
    ec2.close()
    ebs.close()
    # At worst each of the connections holds a block or two.
    assert memory(process.pid, "VmHWM") - before < 48 << 20


def memory(pid: int, field: str) -> int:
    """Bytes, of VmRSS (now) or VmHWM (the most ever)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise AssertionError(field)
