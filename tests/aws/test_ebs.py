"""Snapshots over EBS direct: a real boto3 client against the local cloud."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sidelight.aws.ebs import THROTTLED_ATTEMPTS, EbsOptions, SnapshotBlocks, SnapshotSource
from sidelight.aws.ebs_faults import KEY_REASONS
from sidelight.errors import (
    AccessDeniedError,
    BlockError,
    KeyDeniedError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SourceError,
    ThrottledError,
)
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from tests.fixtures.ebs_blocks import BLOCK, open_blocks
from tests.fixtures.local_clouds import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.enable_socket]


def test_a_snapshot_reads_as_its_image(clear: LocalCloud, snapshot: str, image: Path) -> None:
    blocks = open_blocks(clear, snapshot)
    source = SnapshotSource(blocks, budget=64 << 20, in_flight=8)
    length = image.stat().st_size
    assert source.size == 1 << 30
    source.prefetch([(0, length)])
    assert source.read_at(0, length) == image.read_bytes()
    assert source.read_at(length, 100) == bytes(100)
    stats = source.stats()
    assert (stats.get_calls, stats.blocks, stats.list_calls) == (17, 17, 1)
    assert stats.bytes == 17 * BLOCK
    assert stats.usd == pytest.approx(17 * 0.003 / 1000 + 0.0006 / 1000)
    source.close()


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.THROTTLE,
        FaultKind.SERVER_ERROR,
        FaultKind.DROP,
        FaultKind.TRUNCATE,
        FaultKind.SHORT,
        FaultKind.CORRUPT,
    ],
)
def test_a_faulty_call_is_repeated_and_counted(
    clear: LocalCloud, snapshot: str, kind: FaultKind
) -> None:
    blocks = open_blocks(clear, snapshot)
    clear.plan = FaultPlan([Rule(kind, operation="GetSnapshotBlock", times=2)], seed=1)
    assert blocks.fetch(0)[:32] == hashlib.sha256(b"0").digest()
    assert blocks.stats().get_calls == 3
    assert blocks.stats().blocks == 1


def test_endless_throttling_ends_in_an_error_with_its_coordinates(
    clear: LocalCloud, snapshot: str
) -> None:
    blocks = open_blocks(clear, snapshot)
    clear.plan = FaultPlan([Rule(FaultKind.THROTTLE, operation="GetSnapshotBlock")], seed=1)
    with pytest.raises(ThrottledError, match=rf"{snapshot}: block 1: throttled"):
        blocks.fetch(1)
    assert blocks.stats().get_calls == THROTTLED_ATTEMPTS


def test_of_a_storm_that_refuses_every_second_call_no_block_is_lost(
    clear: LocalCloud, snapshot: str
) -> None:
    pace = NotedPace()
    blocks = SnapshotBlocks(
        snapshot, client(clear, "ebs"), EbsOptions(pace=pace, sleep=lambda _: None)
    )
    clear.plan = FaultPlan(
        [Rule(FaultKind.THROTTLE, operation="GetSnapshotBlock", probability=0.5)], seed=3
    )
    for _ in range(20):
        for index in (0, 1, 3, 4):
            assert blocks.fetch(index)[:32] == hashlib.sha256(b"%d" % index).digest()
    stats = blocks.stats()
    assert stats.blocks == 4
    assert pace.kinds.count("get") == stats.get_calls
    assert pace.slowed == ["get"] * (stats.get_calls - 80)


def test_a_block_that_stays_corrupt_is_never_given(clear: LocalCloud, snapshot: str) -> None:
    blocks = open_blocks(clear, snapshot)
    clear.plan = FaultPlan([Rule(FaultKind.CORRUPT, operation="GetSnapshotBlock")], seed=1)
    with pytest.raises(BlockError, match=r"block 1: the bytes do not match their SHA-256"):
        blocks.fetch(1)


def test_expired_block_tokens_are_renewed(clear: LocalCloud, snapshot: str) -> None:
    blocks = open_blocks(clear, snapshot)
    clear.clock.advance(8 * 24 * 3600)
    assert blocks.fetch(3)[:32] == hashlib.sha256(b"3").digest()
    assert blocks.stats().list_calls == 2


class Listing:
    """A client that notes where each page begins and how many blocks it has."""

    def __init__(self, ebs: Any) -> None:
        self._ebs = ebs
        self.pages: list[tuple[int, int]] = []

    def list_snapshot_blocks(self, **request: Any) -> Any:
        answer = self._ebs.list_snapshot_blocks(**request)
        self.pages.append((request.get("StartingBlockIndex", 0), len(answer["Blocks"])))
        return answer

    def get_snapshot_block(self, **request: Any) -> Any:
        return self._ebs.get_snapshot_block(**request)


@pytest.fixture
def wide(clear: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Listing]]:
    """A snapshot of 250 blocks, listed by pages of 100."""
    monkeypatch.setattr("sidelight.aws.ebs.PAGE", 100)
    instance = clear.add_instance("wide", [wide_image(clear)])
    ec2 = client(clear, "ec2")
    created = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"][0]
    clear.clock.advance(61)
    yield created["SnapshotId"], Listing(client(clear, "ebs"))
    ec2.delete_snapshot(SnapshotId=created["SnapshotId"])


def test_only_those_pages_of_a_list_are_read_that_wanted_blocks_are_on(
    wide: tuple[str, Listing],
) -> None:
    name, listing = wide
    blocks = SnapshotBlocks(name, listing)
    assert listing.pages == [(0, 100)]
    blocks.locate([5, 99, 205, 249])
    assert listing.pages[1:] == [(205, 45)]
    assert blocks.present(249)
    assert not blocks.present(250)
    assert not blocks.present(2000)
    assert len(blocks.fetch(230)) == blocks.block_size
    assert len(listing.pages) == 2
    assert blocks.present(150)
    assert blocks.present(204)
    assert listing.pages[2:] == [(150, 100)]
    blocks.locate([100, 120, 149])
    assert listing.pages[3:] == [(100, 100)]
    assert [index for index in range(2048) if blocks.present(index)] == list(range(250))
    assert blocks.stats().list_calls == 4


def test_pages_that_lie_apart_are_read_together(wide: tuple[str, Listing]) -> None:
    name, listing = wide
    blocks = SnapshotBlocks(name, listing)
    blocks.locate([249, 120])
    assert sorted(listing.pages[1:]) == [(120, 100), (249, 1)]


def test_a_list_that_cannot_be_read_is_no_block_of_zeros(wide: tuple[str, Listing]) -> None:
    name, listing = wide
    blocks = SnapshotBlocks(name, listing, EbsOptions(sleep=lambda _: None))
    refused = ClientError({"Error": {"Code": "InternalServerException"}}, "ListSnapshotBlocks")
    calls = 0

    def refuse(**_: Any) -> Any:
        nonlocal calls
        calls += 1
        raise refused

    listing.list_snapshot_blocks = refuse  # type: ignore[method-assign]
    source = SnapshotSource(blocks, budget=64 << 20, in_flight=4)
    begin = 200 * blocks.block_size
    source.prefetch([(begin, 1)])  # what cannot be read is for the read to say
    assert calls
    with pytest.raises(SourceError):
        source.read_at(begin, 1)
    assert source.read_at(0, 1)
    source.close()


def wide_image(cloud: LocalCloud) -> Path:
    """250 blocks, each with a byte set."""
    path = cloud._directory / "wide.img"
    with path.open("wb") as file:
        file.truncate(250 * BLOCK)
        for index in range(250):
            file.seek(index * BLOCK)
            file.write(b"x")
    return path


def test_a_budget_is_asked_before_every_call(clear: LocalCloud, snapshot: str) -> None:
    pace = NotedPace()
    blocks = SnapshotBlocks(snapshot, client(clear, "ebs"), EbsOptions(pace=pace))
    blocks.fetch(0)
    assert pace.kinds == ["list", "get"]


class NotedPace:
    """A pace that takes notes."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.slowed: list[str] = []

    def before(self, kind: str) -> None:
        self.kinds.append(kind)

    def throttled(self, kind: str) -> None:
        self.slowed.append(kind)


@pytest.mark.parametrize("reason", sorted(KEY_REASONS))
def test_a_key_that_cannot_be_used_differs_from_other_denials(
    clear: LocalCloud, snapshot: str, reason: str
) -> None:
    rule = Rule(
        FaultKind.ERROR, operation="ListSnapshotBlocks", code="ValidationException", reason=reason
    )
    clear.plan = FaultPlan([rule], seed=1)
    with pytest.raises(KeyDeniedError, match=reason):
        open_blocks(clear, snapshot)


def test_credentials_that_expire_while_reading_are_renewed_once_for_all_threads(
    clear: LocalCloud, snapshot: str
) -> None:
    clients: list[Any] = []

    def renew() -> Any:
        clear.plan = FaultPlan(())
        clients.append(client(clear, "ebs"))
        return clients[-1]

    options = EbsOptions(renew=renew, sleep=lambda _: None)
    blocks = SnapshotBlocks(snapshot, client(clear, "ebs"), options)
    expired = Rule(
        FaultKind.ERROR, operation="GetSnapshotBlock", code="ExpiredTokenException", status=403
    )
    clear.plan = FaultPlan([expired], seed=1)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(blocks.fetch, [0, 1, 3, 4, 6, 7, 9, 10]))
    assert [data[:32] for data in read] == [
        hashlib.sha256(b"%d" % index).digest() for index in (0, 1, 3, 4, 6, 7, 9, 10)
    ]
    assert len(clients) == 1
    blocks = open_blocks(clear, snapshot)
    clear.plan = FaultPlan([expired], seed=1)
    with pytest.raises(AccessDeniedError, match="ExpiredToken"):
        blocks.fetch(0)


def test_absent_denied_and_pending_snapshots_have_different_errors(
    clear: LocalCloud, snapshot: str, image: Path
) -> None:
    with pytest.raises(SnapshotNotFoundError, match="snap-00000000000000000"):
        open_blocks(clear, "snap-00000000000000000")
    clear.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation="ListSnapshotBlocks")], seed=1)
    with pytest.raises(AccessDeniedError, match=snapshot):
        open_blocks(clear, snapshot)
    clear.plan = FaultPlan(())
    instance = clear.add_instance("slow", [image])
    answer = client(clear, "ec2").create_snapshots(InstanceSpecification={"InstanceId": instance})
    snapshot_id = answer["Snapshots"][0]["SnapshotId"]
    with pytest.raises(SnapshotNotReadyError, match=snapshot_id):
        open_blocks(clear, snapshot_id)


def test_missing_credentials_are_one_clear_error(
    clear: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    bare: Any = boto3.Session().client
    ebs = bare("ebs", endpoint_url=clear.endpoint, region_name="us-east-1")
    with pytest.raises(AccessDeniedError, match="no AWS credentials"):
        SnapshotBlocks("snap-00000000000000001", ebs)
