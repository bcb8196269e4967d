"""Which existing snapshots are used: a set of one moment, and nothing that is not the owner's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.sources.existing_snapshots import SnapshotRules, choose, started_patterns
from sidelight.aws.ec2 import SnapshotInfo
from sidelight.model import DiskReading, Instance, ScanSource, SourceKind, Volume

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACCOUNT = "123456789012"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
RULES = SnapshotRules(timedelta(hours=24), timedelta(seconds=1), "InspectorEc2Exclusion")
MACHINE = Instance(
    "i-1", ACCOUNT, "eu-west-1", "running",
    (Volume("vol-a", "/dev/xvda", 8), Volume("vol-b", "/dev/sdf", 8)),
)  # fmt: skip
SINGLE = replace(MACHINE, volumes=MACHINE.volumes[:1])


def taken(
    number: int, volume: str = "vol-a", hours: float = 2.0, **changes: object
) -> SnapshotInfo:
    info = SnapshotInfo(
        f"snap-{number}", volume, "completed", "a backup", NOW - timedelta(hours=hours),
        owner=ACCOUNT, storage_tier="standard",
    )  # fmt: skip
    return replace(info, **changes)  # type: ignore[arg-type]


def ids(found: ScanSource | str) -> list[str]:
    assert isinstance(found, ScanSource), found
    return [one.id for one in found.snapshots]


def test_the_newest_set_of_one_moment_is_used_in_the_order_of_the_disks() -> None:
    listed = [
        taken(1, "vol-b", 3), taken(2, "vol-a", 3), taken(3, "vol-a", 5), taken(4, "vol-b", 5),
        taken(5, "vol-a", 1),  # of one volume alone
    ]  # fmt: skip
    found = choose(MACHINE, listed, RULES, None, NOW)
    assert ids(found) == ["snap-2", "snap-1"]
    assert isinstance(found, ScanSource)
    assert found.kind is SourceKind.EXISTING
    assert found.data_at == NOW - timedelta(hours=3)
    assert [one.position for one in found.snapshots] == [0, 1]


@pytest.mark.parametrize(("seconds", "fits"), [(0, True), (1, True), (1.5, False), (60, False)])
def test_a_torn_set_is_refused_and_the_tolerance_is_stated(seconds: float, fits: bool) -> None:
    listed = [taken(1, "vol-a", 2), taken(2, "vol-b", 2 - seconds / 3600)]
    found = choose(MACHINE, listed, RULES, None, NOW)
    assert isinstance(found, ScanSource) is fits
    if not fits:
        assert "not of one moment (within 1 s)" in str(found)
        wider = replace(RULES, apart=timedelta(seconds=90))
        assert isinstance(choose(MACHINE, listed, wider, None, NOW), ScanSource)


def test_the_data_is_as_old_as_the_oldest_snapshot_of_the_set() -> None:
    listed = [taken(1, "vol-a", 2), taken(2, "vol-b", 2 - 1 / 3600)]
    found = choose(MACHINE, listed, RULES, None, NOW)
    assert isinstance(found, ScanSource)
    assert found.data_at == NOW - timedelta(hours=2)


def test_each_volume_needs_a_snapshot() -> None:
    assert "no snapshot of vol-b fits" in str(choose(MACHINE, [taken(1)], RULES, None, NOW))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"owner": "999999999999"}, "another account's"),
        ({"state": "pending"}, "in state pending"),
        ({"state": "error"}, "in state error"),
        ({"state": "recoverable"}, "in state recoverable"),
        ({"storage_tier": "archive"}, "in the archive tier"),
        ({"outpost": "arn:aws:outposts:eu-west-1:1:outpost/op-1"}, "on an Outpost"),
        ({"kms_key_id": KEY}, "under another key than its volume"),
        ({"tags": (("InspectorEc2Exclusion", ""),)}, "with the tag InspectorEc2Exclusion"),
        ({"tags": (("InspectorScan", "x"),)}, "a scanner's own"),
        ({"tags": (("SidelightDeployment", "x"),)}, "a scanner's own"),
        ({"description": "Sidelight scan of anything"}, "a scanner's own"),
        ({"started_at": NOW - timedelta(hours=25)}, "too old"),
        ({"started_at": None}, "without a plausible start time"),
        ({"started_at": NOW + timedelta(days=9)}, "without a plausible start time"),
    ],
)
def test_a_snapshot_that_is_not_used_says_why(changes: dict[str, object], why: str) -> None:
    found = choose(SINGLE, [taken(1, **changes)], RULES, None, NOW)  # type: ignore[arg-type]
    assert f"snap-1: {why}" in str(found)


def test_a_copy_or_another_volumes_snapshot_is_no_snapshot_of_the_instance() -> None:
    listed = [taken(1, "vol-ffffffff"), taken(2, "vol-elsewhere")]
    assert choose(SINGLE, listed, RULES, None, NOW) == "no snapshot of vol-a fits"


def test_an_encrypted_volumes_snapshot_has_its_key() -> None:
    volume = replace(SINGLE.volumes[0], encrypted=True, kms_key_id=KEY)
    machine = replace(SINGLE, volumes=(volume,))
    assert ids(choose(machine, [taken(1, kms_key_id=KEY)], RULES, None, NOW)) == ["snap-1"]
    assert "under another key" in str(choose(machine, [taken(1)], RULES, None, NOW))


def test_older_data_than_that_of_the_last_scan_is_not_read() -> None:
    last = DiskReading(
        ACCOUNT, "i-1", frozenset({"vol-a"}), NOW, data_at=NOW - timedelta(hours=2), reader=""
    )
    listed = [taken(1, hours=2), taken(2, hours=3)]
    found = str(choose(SINGLE, listed, RULES, last, NOW))
    assert "not newer than the data of the last scan" in found
    assert ids(choose(SINGLE, [*listed, taken(3, hours=1)], RULES, last, NOW)) == ["snap-3"]


def test_a_reason_names_some_of_many_snapshots() -> None:
    found = str(choose(SINGLE, [taken(n, state="error") for n in range(9)], RULES, None, NOW))
    assert "snap-0, snap-1, snap-2 and 6 more: in state error" in found


def test_an_instance_without_volumes_has_none() -> None:
    found = choose(replace(SINGLE, volumes=()), [taken(1)], RULES, None, NOW)
    assert found == "the instance has no EBS volume"


@pytest.mark.parametrize("hours", [0.5, 1, 24, 148, 149, 500, 24 * 365])
def test_the_filter_covers_the_time_within_ec2s_limit(hours: float) -> None:
    patterns = started_patterns(NOW, timedelta(hours=hours))
    assert len(patterns) <= 200
    reach = min(hours, 198 * 24)
    for back in (0.0, reach / 2, reach):
        text = f"{NOW - timedelta(hours=back):%Y-%m-%dT%H:%M:%S.000Z}"
        assert any(text.startswith(pattern.removesuffix("*")) for pattern in patterns), back
