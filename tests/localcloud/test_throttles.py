"""Throttles and pages of the local cloud: kinds, buckets, least page sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sidelight.localcloud.conditions import Conditions
from tests.fixtures.local_clouds import code_of, take
from tests.localcloud.refused_calls import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.local_clouds import Clients


pytestmark = pytest.mark.services


def test_throttles_come_in_every_kind_with_and_without_a_reason(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients]
) -> None:
    cloud = make_cloud(conditions=Conditions(throttle_rate=0.5), seed=1)
    ebs = clients(cloud)("ebs")
    seen = set()
    for _ in range(60):
        with pytest.raises(ClientError) as error:
            ebs.list_snapshot_blocks(SnapshotId="snap-0123456789abcdef0")
        seen.add(code_of(error))
    assert seen >= {
        ("RequestThrottledException", "RESOURCE_LEVEL_THROTTLE"),
        ("RequestThrottledException", "ACCOUNT_THROTTLED"),
        ("ThrottlingException", ""),
        ("ServiceQuotaExceededException", "DEPENDENCY_SERVICE_QUOTA_EXCEEDED"),
        ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND"),
    }
    ec2 = clients(cloud)("ec2")
    codes = set()
    for _ in range(60):
        try:
            ec2.describe_regions()
        except ClientError as error:
            codes.add(
                (
                    error.response["Error"]["Code"],
                    error.response["ResponseMetadata"]["HTTPStatusCode"],
                )
            )
    assert codes == {("RequestLimitExceeded", 503), ("EC2ThrottledException", 503)}


@pytest.mark.parametrize(
    ("arguments", "burst"),
    [({}, 50), ({"MaxResults": 1000}, 100), ({"InstanceIds": ["i-0123456789abcdef0"]}, 100)],
)
def test_a_describe_without_filter_and_page_has_half_the_bucket(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    arguments: dict[str, Any],
    burst: int,
) -> None:
    cloud = make_cloud(conditions=Conditions(rates=True))
    cloud.clock.now = lambda: 1000.0  # type: ignore[method-assign] # time does not go on
    ec2 = clients(cloud)("ec2")
    codes = []
    for _ in range(burst + 1):
        try:
            ec2.describe_instances(**arguments)
            codes.append("")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    assert codes.count("RequestLimitExceeded") == 1
    assert codes[-1] == "RequestLimitExceeded"


def test_a_bucket_refills_with_the_clouds_clock(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients]
) -> None:
    cloud = make_cloud(conditions=Conditions(rates=True))
    now = [1000.0]
    cloud.clock.now = lambda: now[0]  # type: ignore[method-assign] # time goes on by hand
    ec2 = clients(cloud)("ec2")

    def deleted() -> str:
        return refused(lambda: ec2.delete_snapshot(SnapshotId="snap-0123456789abcdef0"))[0]

    assert [deleted() for _ in range(101)] == [
        *["InvalidSnapshot.NotFound"] * 100, "RequestLimitExceeded",
    ]  # fmt: skip
    now[0] += 1
    assert [deleted() for _ in range(6)].count("InvalidSnapshot.NotFound") == 5


def test_fewer_than_a_hundred_results_asked_for_are_a_hundred(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    from tests.fixtures.local_clouds import raw_get

    snapshot = take(clients(cloud)("ec2"), cloud, cloud.add_instance("web", [image]))
    ebs = clients(cloud)("ebs")
    status, body = raw_get(cloud, ebs, f"/snapshots/{snapshot}/blocks?maxResults=1")
    assert status == 200
    assert len(body["Blocks"]) == 4
