"""The EBS direct APIs by a real client."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.fixtures.local_clouds import BLOCK, code_of, noise, raw_get, take, write_blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.local_clouds import Clients

pytestmark = pytest.mark.services

ABSENT = "snap-0123456789abcdef0"


@pytest.fixture
def snapshot(cloud: LocalCloud, ec2: EC2Client, image: Path) -> str:
    """A completed snapshot of `image`."""
    return take(ec2, cloud, cloud.add_instance("web", [image]))


def listed(ebs: EBSClient, snapshot: str, **options: Any) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    while True:
        page = ebs.list_snapshot_blocks(SnapshotId=snapshot, **options)
        found += [(block["BlockIndex"], block["BlockToken"]) for block in page["Blocks"]]
        if "NextToken" not in page:
            return found
        options["NextToken"] = page["NextToken"]


def test_only_written_blocks_are_listed(ebs: EBSClient, snapshot: str) -> None:
    page = ebs.list_snapshot_blocks(SnapshotId=snapshot)
    assert [block["BlockIndex"] for block in page["Blocks"]] == [0, 3, 4, 2048]
    assert page["BlockSize"] == BLOCK
    assert page["VolumeSize"] == 2
    assert "NextToken" not in page


def test_block_tokens_expire_in_seven_days(ebs: EBSClient, snapshot: str) -> None:
    left = ebs.list_snapshot_blocks(SnapshotId=snapshot)["ExpiryTime"] - datetime.now(UTC)
    assert 6.9 * 86400 < left.total_seconds() <= 7 * 86400


def test_a_block_comes_with_its_length_and_checksum(
    ebs: EBSClient, snapshot: str, image: Path
) -> None:
    for index, token in listed(ebs, snapshot):
        answer = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=token)
        data = answer["BlockData"].read()
        with image.open("rb") as file:
            file.seek(index * BLOCK)
            assert data == file.read(BLOCK).ljust(BLOCK, b"\0")
        assert answer["DataLength"] == BLOCK
        assert answer["ChecksumAlgorithm"] == "SHA256"
        assert answer["Checksum"] == base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.fixture
def wide(cloud: LocalCloud, ec2: EC2Client, tmp_path: Path) -> str:
    """A snapshot of 250 written blocks: the even ones below 500."""
    path = tmp_path / "wide.img"
    write_blocks(path, 500 * BLOCK, dict.fromkeys(range(0, 500, 2), b"x"))
    return take(ec2, cloud, cloud.add_instance("wide", [path]))


def test_a_page_has_a_hundred_blocks_unless_more_are_asked_for(
    cloud: LocalCloud, ebs: EBSClient, wide: str
) -> None:
    everything = list(range(0, 500, 2))
    assert [index for index, _ in listed(ebs, wide)] == everything
    assert cloud.calls("ListSnapshotBlocks") == 3
    assert [index for index, _ in listed(ebs, wide, MaxResults=10_000)] == everything
    assert cloud.calls("ListSnapshotBlocks") == 4


def test_a_listing_starts_at_the_block_asked_for_or_the_next(ebs: EBSClient, wide: str) -> None:
    page = ebs.list_snapshot_blocks(SnapshotId=wide, StartingBlockIndex=301, MaxResults=100)
    assert [block["BlockIndex"] for block in page["Blocks"]] == list(range(302, 500, 2))


def test_a_page_token_overrides_the_starting_block(ebs: EBSClient, wide: str) -> None:
    token = ebs.list_snapshot_blocks(SnapshotId=wide)["NextToken"]
    page = ebs.list_snapshot_blocks(SnapshotId=wide, NextToken=token, StartingBlockIndex=0)
    assert page["Blocks"][0]["BlockIndex"] == 200


def test_a_page_token_expires_in_an_hour(cloud: LocalCloud, ebs: EBSClient, wide: str) -> None:
    token = ebs.list_snapshot_blocks(SnapshotId=wide)["NextToken"]
    cloud.clock.advance(3599)
    ebs.list_snapshot_blocks(SnapshotId=wide, NextToken=token)
    cloud.clock.advance(2)
    with pytest.raises(ClientError) as error:
        ebs.list_snapshot_blocks(SnapshotId=wide, NextToken=token)
    assert code_of(error) == ("ValidationException", "INVALID_PAGE_TOKEN")


def test_a_page_token_of_another_snapshot_is_refused(
    ebs: EBSClient, wide: str, snapshot: str
) -> None:
    token = ebs.list_snapshot_blocks(SnapshotId=wide)["NextToken"]
    with pytest.raises(ClientError) as error:
        ebs.list_snapshot_blocks(SnapshotId=snapshot, NextToken=token)
    assert code_of(error) == ("ValidationException", "INVALID_PAGE_TOKEN")


def test_pages_may_be_empty_and_yet_go_on(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    tmp_path: Path,
) -> None:
    cloud = make_cloud(empty_pages=1.0)
    path = tmp_path / "wide.img"
    write_blocks(path, 500 * BLOCK, dict.fromkeys(range(250), b"x"))
    snapshot = take(clients(cloud)("ec2"), cloud, cloud.add_instance("wide", [path]))
    ebs = clients(cloud)("ebs")
    first = ebs.list_snapshot_blocks(SnapshotId=snapshot)
    assert first["Blocks"] == []
    assert first["NextToken"]
    assert [index for index, _ in listed(ebs, snapshot)] == list(range(250))


@pytest.mark.parametrize("limit", ["10001", "0", "x", "-1", ""])
def test_max_results_has_limits(
    ebs: EBSClient, snapshot: str, limit: str, cloud: LocalCloud
) -> None:
    status, body = raw_get(cloud, ebs, f"/snapshots/{snapshot}/blocks?maxResults={limit}")
    assert (status, body["Reason"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("index", ["x", "-1", "99999999999", ""])
def test_a_block_index_is_a_number(
    cloud: LocalCloud, ebs: EBSClient, snapshot: str, index: str
) -> None:
    path = f"/snapshots/{snapshot}/blocks/{index}?blockToken=AAAA"
    status, body = raw_get(cloud, ebs, path)
    assert (status, body["Reason"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_block_token_opens_one_block_of_one_snapshot_for_seven_days(
    cloud: LocalCloud, ebs: EBSClient, snapshot: str, wide: str
) -> None:
    tokens = dict(listed(ebs, snapshot))
    for snapshot_id, index, token in (
        (snapshot, 0, tokens[3]),
        (snapshot, 1, tokens[0]),
        (wide, 0, tokens[0]),
        (snapshot, 0, "AAAA"),
    ):
        with pytest.raises(ClientError) as error:
            ebs.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockToken=token)
        assert code_of(error) == ("ValidationException", "INVALID_BLOCK_TOKEN")
    cloud.clock.advance(7 * 86400 - 60)
    ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=0, BlockToken=tokens[0])
    cloud.clock.advance(61)
    with pytest.raises(ClientError) as error:
        ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=0, BlockToken=tokens[0])
    assert code_of(error) == ("ValidationException", "INVALID_BLOCK_TOKEN")


@pytest.mark.parametrize("name", ["snap-xyz", "vol-0123456789abcdef0", "snap-"])
def test_a_snapshot_id_has_a_form(ebs: EBSClient, name: str) -> None:
    with pytest.raises(ClientError) as error:
        ebs.list_snapshot_blocks(SnapshotId=name)
    assert code_of(error) == ("ValidationException", "INVALID_SNAPSHOT_ID")


def test_an_absent_snapshot_is_not_found(ebs: EBSClient) -> None:
    with pytest.raises(ebs.exceptions.ResourceNotFoundException) as error:
        ebs.list_snapshot_blocks(SnapshotId=ABSENT)
    assert code_of(error) == ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_deleted_snapshot_is_not_found_whatever_tokens_are_left(
    cloud: LocalCloud, ec2: EC2Client, ebs: EBSClient, snapshot: str, tmp_path: Path
) -> None:
    index, token = listed(ebs, snapshot)[0]
    ec2.delete_snapshot(SnapshotId=snapshot)
    with pytest.raises(ebs.exceptions.ResourceNotFoundException):
        ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=token)
    assert cloud.snapshots() == []
    assert list((tmp_path / "cloud").rglob("*.img")) == []


def test_a_pending_snapshot_is_not_readable_yet(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    image: Path,
) -> None:
    cloud = make_cloud(snapshot_seconds=60)
    ebs = clients(cloud)("ebs")
    snapshot = take(clients(cloud)("ec2"), cloud, cloud.add_instance("web", [image]))
    with pytest.raises(ClientError) as error:
        ebs.list_snapshot_blocks(SnapshotId=snapshot)
    assert code_of(error) == ("ValidationException", "INVALID_PARAMETER_VALUE")
    assert "pending" in error.value.response["Error"]["Message"]
    cloud.clock.advance(61)
    assert len(listed(ebs, snapshot)) == 4


def test_another_account_sees_a_snapshot_when_it_is_shared_and_only_in_its_region(
    cloud: LocalCloud,
    ec2: EC2Client,
    clients: Callable[[LocalCloud], Clients],
    snapshot: str,
) -> None:
    other = clients(cloud)("ebs", account="999999999999")
    with pytest.raises(ClientError) as error:
        other.list_snapshot_blocks(SnapshotId=snapshot)
    assert code_of(error) == ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=["999999999999"],
    )
    assert len(listed(other, snapshot)) == 4
    with pytest.raises(ClientError) as error:
        clients(cloud)("ebs", region="eu-west-1").list_snapshot_blocks(SnapshotId=snapshot)
    assert code_of(error) == ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")


def test_who_has_no_credentials_is_refused(cloud: LocalCloud, snapshot: str) -> None:
    client = boto3.client(
        "ebs",
        endpoint_url=cloud.endpoint,
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED),
    )
    with pytest.raises(ClientError) as error:
        client.list_snapshot_blocks(SnapshotId=snapshot)
    client.close()
    assert code_of(error)[0] == "MissingAuthenticationTokenException"
    assert cloud.calls() == 1  # the snapshot's creation alone


def test_writing_is_not_offered(ebs: EBSClient) -> None:
    with pytest.raises(ClientError) as error:
        ebs.start_snapshot(VolumeSize=1)
    assert code_of(error)[0] == "UnknownOperationException"


def test_changed_blocks_are_those_that_differ(
    cloud: LocalCloud, ec2: EC2Client, ebs: EBSClient, image: Path
) -> None:
    instance = cloud.add_instance("web", [image])
    first = take(ec2, cloud, instance)
    write_blocks(image, (1 << 30) + 1000, {3: bytes(9), 4: noise(5), 7: b"new"})
    second = take(ec2, cloud, instance)
    page = ebs.list_changed_blocks(FirstSnapshotId=first, SecondSnapshotId=second)
    shape = [
        (b["BlockIndex"], "FirstBlockToken" in b, "SecondBlockToken" in b)
        for b in page["ChangedBlocks"]
    ]
    assert shape == [(3, True, False), (4, True, True), (7, False, True)]
    assert page["BlockSize"] == BLOCK
    both = page["ChangedBlocks"][1]
    old = ebs.get_snapshot_block(SnapshotId=first, BlockIndex=4, BlockToken=both["FirstBlockToken"])
    new = ebs.get_snapshot_block(
        SnapshotId=second, BlockIndex=4, BlockToken=both["SecondBlockToken"]
    )
    assert old["BlockData"].read() == noise(4)
    assert new["BlockData"].read() == noise(5)


def test_changed_blocks_want_two_snapshots_of_one_volume(
    ebs: EBSClient, snapshot: str, wide: str
) -> None:
    with pytest.raises(ClientError) as error:
        ebs.list_changed_blocks(FirstSnapshotId=snapshot, SecondSnapshotId=wide)
    assert code_of(error) == ("ValidationException", "UNRELATED_SNAPSHOTS")
    with pytest.raises(ClientError) as error:
        ebs.list_changed_blocks(SecondSnapshotId=wide)
    assert code_of(error) == ("ValidationException", "INVALID_SNAPSHOT_ID")
    with pytest.raises(ClientError) as error:
        ebs.list_changed_blocks(FirstSnapshotId=ABSENT, SecondSnapshotId=wide)
    assert code_of(error) == ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")


def test_a_block_is_one_pread_of_its_own_size(
    ebs: EBSClient, snapshot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = listed(ebs, snapshot)
    read: list[tuple[int, int]] = []
    real = os.pread

    def counted(fd: int, length: int, offset: int) -> bytes:
        read.append((length, offset))
        return real(fd, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    for index, token in blocks:
        ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=token)
    listed(ebs, snapshot)
    assert read == [(BLOCK, index * BLOCK) for index, _ in blocks]


def test_64_calls_are_served_at_once(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    image: Path,
) -> None:
    together = threading.Barrier(64)
    cloud = make_cloud(sleep=lambda _: together.wait(60) and None)
    snapshot = take(clients(cloud)("ec2"), cloud, cloud.add_instance("web", [image]))
    ebs = clients(cloud)("ebs")
    index, token = listed(ebs, snapshot)[0]
    cloud.latency = 0.03
    with ThreadPoolExecutor(64) as pool:
        answers = list(
            pool.map(
                lambda _: ebs.get_snapshot_block(
                    SnapshotId=snapshot, BlockIndex=index, BlockToken=token
                )["DataLength"],
                range(64),
            )
        )
    assert answers == [BLOCK] * 64
    assert cloud.counters.max_in_flight == 64
