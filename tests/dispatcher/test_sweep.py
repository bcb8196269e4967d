"""The sweep deletes the orphans of our scans, and no snapshot of anybody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.sweep import adopt, adoptable, record, sweep
from sidelight.aws.ec2 import SnapshotInfo
from sidelight.errors import CloudError
from sidelight.fleet.snapshot_ownership import description, why_foreign
from sidelight.model import Snapshot, State, Volume
from tests.fakes.clocks import START
from tests.fakes.fake_ec2 import ACCOUNT, REGION
from tests.fakes.fake_fleet import HERE, FakeFleet
from tests.fixtures.scan_states import advance

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.model import Scan


def an_ended_scan(fake_fleet: FakeFleet) -> Scan:
    """Of the last machine: it asked for snapshots, and its worker died for good."""
    scan = fake_fleet.start()[-1]
    held = fake_fleet.store.scans.claim(scan.id, {State.NEW}, 60)
    assert held is not None
    fake_fleet.store.scans.intend(held, dict.fromkeys(fake_fleet.ec2.volumes[scan.instance], 5))
    held = replace(held, state=State.SNAPSHOTTING)
    advance(fake_fleet.store, held, State.FAILED)
    return scan


def snapshot(scan: Scan, name: str = "of-scan", volume: str = "", **changes: Any) -> SnapshotInfo:
    """As CreateSnapshots makes one for this scan, but for the changes."""
    number = int(scan.instance.removeprefix("i-"), 16)
    info = SnapshotInfo(
        f"snap-{name}", volume or f"vol-{number}-0", "completed",
        description(scan.id, scan.instance, "here", "lease"), START,
        (("InspectorScan", scan.id), ("SidelightDeployment", "here")), owner=ACCOUNT,
    )  # fmt: skip
    return replace(info, **changes)


def put(fake_fleet: FakeFleet, *infos: SnapshotInfo) -> None:
    fake_fleet.ec2.snapshots |= {info.id: info for info in infos}
    fake_fleet.clock.advance(60)


def test_an_orphan_is_deleted_and_a_live_scans_snapshot_is_not(fake_fleet: FakeFleet) -> None:
    ended = an_ended_scan(fake_fleet)
    live = fake_fleet.store.scans.select(live=True)[0]
    held = fake_fleet.store.scans.claim(live.id, {State.NEW}, 60)
    assert held is not None
    fake_fleet.store.scans.intend(held, dict.fromkeys(fake_fleet.ec2.volumes[live.instance], 5))
    put(fake_fleet, snapshot(live, "live"), snapshot(ended, "ended"))
    swept = fake_fleet.sweep()
    assert swept.orphans == swept.deleted == ("snap-ended",)
    assert swept.live == ("snap-live",)
    assert not swept.left
    assert set(fake_fleet.ec2.snapshots) == {"snap-live"}
    assert not fake_fleet.sweep().orphans


UNKNOWN = "0" * 32
STRANGERS: dict[str, Callable[[Scan, Scan], SnapshotInfo]] = {
    "another text": lambda s, _: snapshot(s, description="PRODUCTION BACKUP do not delete"),
    "no text": lambda s, _: snapshot(s, description=""),
    "a copy's text": lambda s, _: snapshot(
        s, description=f"[Copied snap-1 from us-east-1] {snapshot(s).description}"
    ),
    "more text": lambda s, _: snapshot(s, description=f"{snapshot(s).description} and more"),
    "a line more": lambda s, _: snapshot(s, description=f"{snapshot(s).description}\n"),
    "less text": lambda s, _: snapshot(s, description=snapshot(s).description[:-1]),
    "the text of the older form": lambda s, _: snapshot(
        s, description=f"Sidelight scan {s.id} of {s.instance}, 0123456789abcdef"
    ),
    "another scan's text": lambda s, o: snapshot(s, description=snapshot(o).description),
    "another instance's text": lambda s, o: snapshot(
        s, description=description(s.id, o.instance, "here", "lease")
    ),
    "another deployment's text": lambda s, _: snapshot(
        s, description=description(s.id, s.instance, "elsewhere", "lease")
    ),
    "another owner": lambda s, _: snapshot(s, owner="999999999999"),
    "no owner": lambda s, _: snapshot(s, owner=""),
    "another's volume": lambda s, o: snapshot(s, volume=snapshot(o).volume),
    "a copy's volume": lambda s, _: snapshot(s, volume="vol-ffffffff"),
    "no volume": lambda s, _: snapshot(s, volume="vol-"),
    "a start before the scan": lambda s, _: snapshot(s, started_at=START - timedelta(days=30)),
    "a start long after the scan": lambda s, _: snapshot(s, started_at=START + timedelta(days=9)),
    "no start": lambda s, _: snapshot(s, started_at=None),
    "an unknown scan": lambda s, _: snapshot(
        replace(s, id=UNKNOWN), description=description(UNKNOWN, s.instance, "here", "lease")
    ),
    "a scan that asked for none": lambda _, o: snapshot(o),
    "another deployment's tag": lambda s, _: tagged(s, SidelightDeployment="elsewhere"),
    "an empty scan's tag": lambda s, _: tagged(s, InspectorScan=""),
    "a scan's tag in capitals": lambda s, _: tagged(s, InspectorScan=s.id.upper()),
    "a scan's tag with a blank": lambda s, _: tagged(s, InspectorScan=f"{s.id} "),
    "the scan's tag twice": lambda s, _: snapshot(
        s, tags=(*snapshot(s).tags, ("InspectorScan", s.id))
    ),
    "the deployment's tag twice": lambda s, _: snapshot(
        s, tags=(("SidelightDeployment", "elsewhere"), *snapshot(s).tags)
    ),
    "a key in lower case": lambda s, _: snapshot(
        s, tags=(("inspectorscan", s.id), ("SidelightDeployment", "here"))
    ),
    "no tag of the scan": lambda s, _: snapshot(s, tags=(("SidelightDeployment", "here"),)),
    "no tag of the deployment": lambda s, _: snapshot(s, tags=(("InspectorScan", s.id),)),
    "no tag": lambda s, _: snapshot(s, tags=()),
}


def tagged(scan: Scan, **tags: str) -> SnapshotInfo:
    return snapshot(scan, tags=tuple((dict(snapshot(scan).tags) | tags).items()))


@pytest.mark.parametrize("filtered", [True, False], ids=["filters", "filters ignored"])
@pytest.mark.parametrize("kind", STRANGERS)
def test_a_snapshot_that_is_not_provably_ours_is_never_touched(
    fake_fleet: FakeFleet, kind: str, *, filtered: bool
) -> None:
    scan = an_ended_scan(fake_fleet)
    other = fake_fleet.store.scans.select(live=True)[0]
    stranger = STRANGERS[kind](scan, other)
    put(fake_fleet, stranger)
    fake_fleet.clock.advance(10 * 86400)
    if not filtered:
        everything: Any = fake_fleet.ec2
        everything.snapshots_by_tags = lambda _: list(fake_fleet.ec2.snapshots.values())
    swept = fake_fleet.sweep()
    assert not swept.orphans
    assert not swept.live
    assert set(fake_fleet.ec2.snapshots) == {stranger.id}
    # EC2 lists no other deployment's; with both keys it is reported.
    if {key for key, _ in stranger.tags} == {"InspectorScan", "SidelightDeployment"} and (
        not filtered or kind in ("another text", "another owner", "a copy's volume")
    ):
        assert [one.id for one in swept.foreign] == [stranger.id]


def test_a_foreign_snapshot_is_counted_and_noted_once(fake_fleet: FakeFleet) -> None:
    scan = an_ended_scan(fake_fleet)
    put(fake_fleet, snapshot(scan, description="PRODUCTION BACKUP"))
    for _ in range(2):
        swept = fake_fleet.sweep()
        record(fake_fleet.store, ACCOUNT, REGION, swept)
    assert [one.id for one in swept.foreign] == ["snap-of-scan"]
    (row,) = fake_fleet.store.sweeps.all()
    assert (row.orphans, row.foreign_snapshots) == (0, 1)
    notes = [e for e in fake_fleet.store.scans.events(scan.id) if e.what == "foreign snapshot"]
    assert len(notes) == 1
    assert "snap-of-scan: its description" in notes[0].detail


CHANGES: dict[str, dict[str, str]] = {
    "another scan's id": {"InspectorScan": "0" * 32},
    "no scan's id": {"InspectorScan": "mine"},
    "another deployment": {"SidelightDeployment": "elsewhere"},
    "neither tag": {},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_remembered_snapshot_whose_tags_were_changed_is_reported_until_they_are_put_back(
    fake_fleet: FakeFleet, change: str
) -> None:
    scan = an_ended_scan(fake_fleet)
    info = snapshot(scan)
    row = Snapshot(info.id, scan.id, info.volume, 0, "completed", fake_fleet.store.clock())
    fake_fleet.store.scans.receipted([row])
    put(fake_fleet, tagged(scan, **CHANGES[change]) if CHANGES[change] else replace(info, tags=()))
    for _ in range(2):
        swept = fake_fleet.sweep()
        (foreign,) = swept.foreign
        assert (foreign.id, foreign.made_by) == (info.id, scan.id)
        assert not swept.orphans
        assert set(fake_fleet.ec2.snapshots) == {info.id}
    notes = [e for e in fake_fleet.store.scans.events(scan.id) if e.what == "foreign snapshot"]
    assert len(notes) == 1
    put(fake_fleet, info)
    assert fake_fleet.sweep().deleted == (info.id,)
    fake_fleet.sweep()
    (receipt,) = (s for s in fake_fleet.store.scans.snapshots(scan.id) if s.id == info.id)
    assert receipt.deleted_at
    assert "by id: not listed" in receipt.receipt


def test_a_remembered_snapshot_that_is_gone_has_its_receipt_after_a_sweep(
    fake_fleet: FakeFleet,
) -> None:
    scan = an_ended_scan(fake_fleet)
    row = Snapshot("snap-gone", scan.id, "vol", 0, "completed", fake_fleet.store.clock())
    fake_fleet.store.scans.receipted([row])
    sweep(fake_fleet.store, fake_fleet.ec2, HERE, dry_run=True)
    assert fake_fleet.store.origins.undeleted(ACCOUNT, REGION) == {"snap-gone": scan.id}
    assert fake_fleet.sweep().foreign == ()
    assert fake_fleet.store.origins.undeleted(ACCOUNT, REGION) == {}


def test_an_orphan_that_cannot_be_deleted_keeps_its_proof(fake_fleet: FakeFleet) -> None:
    """Its scan's row would go after a month, and it would be foreign for ever."""
    scan = an_ended_scan(fake_fleet)
    put(fake_fleet, snapshot(scan))
    fake_fleet.ec2.undeletable = True
    assert fake_fleet.sweep().left == ("snap-of-scan",)
    assert fake_fleet.store.origins.undeleted(ACCOUNT, REGION) == {"snap-of-scan": scan.id}
    fake_fleet.store.instances.discovered(ACCOUNT, REGION, [])
    fake_fleet.clock.advance(400 * 86400)
    fake_fleet.store.retention.run()
    fake_fleet.ec2.undeletable = False
    assert fake_fleet.sweep().deleted == ("snap-of-scan",)


def test_a_copy_is_no_scans_even_where_its_volumes_are_not_known(fake_fleet: FakeFleet) -> None:
    scan = an_ended_scan(fake_fleet)
    info = snapshot(scan, volume="vol-ffffffff")
    origin = replace(fake_fleet.store.origins.of([scan.id])[scan.id], volumes=None)
    assert why_foreign(info, HERE, origin) == "its volume vol-ffffffff is not one of its scan's"
    assert not why_foreign(snapshot(scan), HERE, origin)


def test_a_late_creation_of_a_frozen_worker_is_an_orphan(fake_fleet: FakeFleet) -> None:
    scan = an_ended_scan(fake_fleet)
    put(fake_fleet, snapshot(scan, started_at=START + timedelta(hours=5)))
    fake_fleet.clock.advance(86400)
    assert fake_fleet.sweep().deleted == ("snap-of-scan",)


def test_a_volume_that_was_attached_meanwhile_is_the_scans_after_the_next_discovery(
    fake_fleet: FakeFleet,
) -> None:
    scan = an_ended_scan(fake_fleet)
    put(fake_fleet, snapshot(scan, volume="vol-new"))
    assert [one.id for one in fake_fleet.sweep().foreign] == ["snap-of-scan"]
    machine = fake_fleet.instances[-1]
    grown = replace(machine, volumes=(*machine.volumes, Volume("vol-new", "/dev/sdz", 1)))
    fake_fleet.store.instances.discovered(ACCOUNT, REGION, [*fake_fleet.instances[:-1], grown])
    assert fake_fleet.sweep().deleted == ("snap-of-scan",)


def test_a_volume_that_was_detached_meanwhile_is_the_scans_still(fake_fleet: FakeFleet) -> None:
    scan = an_ended_scan(fake_fleet)
    put(fake_fleet, snapshot(scan))
    bare = replace(fake_fleet.instances[-1], volumes=())
    fake_fleet.store.instances.discovered(ACCOUNT, REGION, [*fake_fleet.instances[:-1], bare])
    assert fake_fleet.sweep().deleted == ("snap-of-scan",)


def test_a_dry_run_deletes_nothing(fake_fleet: FakeFleet) -> None:
    put(fake_fleet, snapshot(an_ended_scan(fake_fleet)))
    swept = sweep(fake_fleet.store, fake_fleet.ec2, HERE, dry_run=True)
    assert swept.orphans == swept.left == ("snap-of-scan",)
    assert not swept.deleted


def test_one_that_cannot_be_deleted_is_reported_and_the_others_go_on(fake_fleet: FakeFleet) -> None:
    scan = an_ended_scan(fake_fleet)
    put(fake_fleet, snapshot(scan, "a"), snapshot(scan, "b"))
    delete = fake_fleet.ec2.delete_snapshot

    def refuse(snapshot_id: str) -> bool:
        if snapshot_id == "snap-a":
            raise CloudError("in use", code="InvalidSnapshot.InUse")
        return delete(snapshot_id)

    fake_fleet.ec2.delete_snapshot = refuse  # type: ignore[method-assign] # for one of them
    swept = fake_fleet.sweep()
    assert (swept.failed, swept.deleted, swept.left) == (("snap-a",), ("snap-b",), ("snap-a",))


def lost(scan: Scan) -> Scan:
    """A scan whose row went with its store."""
    return replace(scan, id=scan.id[::-1])


def test_what_a_lost_store_left_is_deleted_when_it_is_named(fake_fleet: FakeFleet) -> None:
    scan = lost(an_ended_scan(fake_fleet))
    left = [snapshot(scan, "a"), snapshot(scan, "b")]
    put(fake_fleet, *left, snapshot(scan, "c", description="PRODUCTION BACKUP"))
    assert fake_fleet.sweep().deleted == ()
    assert [one.id for one in adoptable(fake_fleet.store, fake_fleet.ec2, HERE)] == [
        "snap-a",
        "snap-b",
    ]
    assert set(fake_fleet.ec2.snapshots) == {"snap-a", "snap-b", "snap-c"}, "listed alone"
    done = adopt(fake_fleet.store, fake_fleet.ec2, HERE, ["snap-a", "snap-c", "snap-x"])
    assert done == (["snap-a"], ["snap-c", "snap-x"])
    assert set(fake_fleet.ec2.snapshots) == {"snap-b", "snap-c"}


# What only the store could show: there a person decides.
UNPROVEN = {
    "a start before the scan", "a start long after the scan", "no start", "no volume",
    "another's volume", "another instance's text", "an unknown scan", "a scan that asked for none",
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(STRANGERS.keys() - UNPROVEN))
def test_adoption_still_demands_tags_description_and_owner(
    fake_fleet: FakeFleet, kind: str
) -> None:
    scan = an_ended_scan(fake_fleet)
    other = fake_fleet.store.scans.select(live=True)[0]
    stranger = STRANGERS[kind](lost(scan), lost(other))
    put(fake_fleet, stranger)
    everything: Any = fake_fleet.ec2
    everything.snapshots_by_tags = lambda _: list(fake_fleet.ec2.snapshots.values())
    assert adoptable(fake_fleet.store, fake_fleet.ec2, HERE) == []
    assert adopt(fake_fleet.store, fake_fleet.ec2, HERE, [stranger.id]) == ([], [stranger.id])
    assert stranger.id in fake_fleet.ec2.snapshots


def test_a_live_scans_snapshots_are_never_adopted(fake_fleet: FakeFleet) -> None:
    scan = fake_fleet.start()[0]
    put(fake_fleet, snapshot(scan))
    assert adopt(fake_fleet.store, fake_fleet.ec2, HERE, ["snap-of-scan"]) == ([], ["snap-of-scan"])
