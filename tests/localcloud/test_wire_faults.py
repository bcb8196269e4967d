"""Faults of the local cloud on the wire: errors, cut and corrupt blocks, lost answers, latency."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from tests.fixtures.local_clouds import ACCOUNT, BLOCK, code_of, take, write_blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import boto3
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.local_clouds import Clients


pytestmark = pytest.mark.services


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
