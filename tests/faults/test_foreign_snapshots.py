"""Others' snapshots with our tags, by boto3 against the local cloud: no path of ours touches one.

A principal that may call CreateTags and CreateSnapshot, but not DeleteSnapshot, must not have
Sidelight delete, share or read for them. Every path that changes a snapshot is walked with all of
them there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from dispatcher.discovery.accounts import AccountRegion
from dispatcher.planning.eligibility import Configuration
from sidelight.errors import AccessDeniedError
from sidelight.fleet.bootstrap import make_context
from sidelight.fleet.settings import Settings
from sidelight.fleet.snapshot_ownership import DEPLOYMENT_TAG, SCAN_TAG, description
from sidelight.fleet.stages.take_snapshots import STEPS
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import TERMINAL, State
from tests.fixtures.local_messages import messages_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.model import Scan
    from tests.fixtures.local_fleets import LocalFleet

pytestmark = [pytest.mark.services, pytest.mark.images]

ROUNDS = 200


class Strangers:
    """Snapshots of others with the tags of a scan, one of each kind that boto3 can make."""

    def __init__(self, fleet: LocalFleet, instance: str, scan: Scan) -> None:
        self.world, self.scan = fleet, scan
        self.ec2: Any = fleet.ec2()
        self.ids: set[str] = set()
        volume = next(iter(fleet.cloud.volumes(instance).values()))
        text = description(scan.id, instance, fleet.context.deployment, "a lease")
        backup = self.make(volume, "PRODUCTION BACKUP do not delete")
        self.tagged(backup)
        self.copied(backup)
        self.copied(backup, Description=text)
        self.tagged(self.make(volume, ""))
        self.tagged(self.make(volume, f"{text} "))
        self.tagged(self.make(volume, text.replace(instance, "i-0123456789abcdef0")))
        self.tagged(self.make(volume, text), key=SCAN_TAG.lower())
        loose = self.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        self.tagged(self.make(loose, text))
        self.tagged(self.make(volume, text), value=scan.id.upper())
        self.tagged(self.make(volume, text), value="f" * 32)

    def make(self, volume: str, text: str) -> str:
        snapshot: str = self.ec2.create_snapshot(VolumeId=volume, Description=text)["SnapshotId"]
        self.ids.add(snapshot)
        self.world.settle()
        return snapshot

    def copied(self, source: str, **options: str) -> None:
        snapshot = self.ec2.copy_snapshot(
            SourceSnapshotId=source, SourceRegion="us-east-1", **options
        )["SnapshotId"]
        self.ids.add(snapshot)
        self.world.settle()
        self.tagged(snapshot)

    def tagged(self, name: str, *, key: str = SCAN_TAG, value: str = "") -> None:
        tags = {key: value or self.scan.id, DEPLOYMENT_TAG: self.world.context.deployment}
        self.ec2.create_tags(
            Resources=[name], Tags=[{"Key": key, "Value": tags[key]} for key in tags]
        )

    def check(self) -> None:
        """They are all there, nobody else may read them, and nothing else is there."""
        assert set(self.world.cloud.snapshots()) == self.ids
        for name in sorted(self.ids):
            answer = self.ec2.describe_snapshot_attribute(
                SnapshotId=name, Attribute="createVolumePermission"
            )
            assert answer["CreateVolumePermissions"] == []


def run(fleet: LocalFleet, before: Callable[[State, str], None]) -> Scan:
    """One scan to its end; `before` is called before each stage."""
    (place,) = fleet.control.places((), ())
    (scan,) = fleet.control.scans.start_scans(place, Configuration(), on_demand=True)
    messages = messages_of(fleet.control)
    for _ in range(ROUNDS):
        if not messages:
            break
        scan_id, following = messages.popleft()
        fleet.advance(following.delay)
        before(following.state, scan_id)
        upcoming = STEPS[following.state](fleet.context, scan_id)
        if upcoming is not None:
            messages.append((scan_id, upcoming))
    ended = fleet.control.store.scans.get(scan.id)
    assert ended.state in TERMINAL
    return ended


def at(state: State, act: Callable[[], object]) -> Callable[[State, str], None]:
    """Act once, before the first stage that begins in this state."""
    todo = [act]

    def before(reached: State, _scan: str) -> None:
        if reached is state and todo:
            todo.pop()()

    return before


def only(fleet: LocalFleet) -> Scan:
    return fleet.control.store.scans.select()[-1]


@pytest.fixture
def fleet(make_local_fleet: Callable[..., LocalFleet], image: Path) -> LocalFleet:
    local_fleet = make_local_fleet()
    local_fleet.cloud.add_instance("web", [image])
    return local_fleet


def instance_of(fleet: LocalFleet) -> str:
    (instance,) = fleet.cloud._volumes
    return instance


PATHS = {
    # The recovery of a call whose answer was lost looks for the scan's tag.
    "a call's answer was lost": (State.SNAPSHOTTING, ("CreateSnapshots", FaultKind.LOST_ANSWER)),
    "a call never came": (State.SNAPSHOTTING, ("CreateSnapshots", FaultKind.DROP)),
    "while snapshots are awaited": (State.SNAPSHOTS_PENDING, None),
    "while they are read": (State.READING, None),
    "before the deletion": (State.DELETING, None),
    "a deletion that is tried again": (State.DELETING, ("DeleteSnapshot", FaultKind.ACCESS_DENIED)),
}


@pytest.mark.parametrize("path", PATHS)
def test_no_stage_of_a_scan_touches_a_strangers_snapshot(fleet: LocalFleet, path: str) -> None:
    state, fault = PATHS[path]
    if fault is not None:
        fleet.cloud.plan = FaultPlan([Rule(fault[1], fault[0], times=1)])
    created: list[Strangers] = []
    ended = run(
        fleet, at(state, lambda: created.append(Strangers(fleet, instance_of(fleet), only(fleet))))
    )
    assert ended.state is State.DONE, ended.failure
    (strangers,) = created
    strangers.check()
    read = {s.id for s in fleet.control.store.scans.snapshots(ended.id)}
    assert not read & strangers.ids
    (place,) = fleet.control.places((), ())
    swept = fleet.control.sweeper.sweep(place)
    assert not swept.orphans
    assert len(swept.foreign) == len(strangers.ids) - 1, "one has our key in lower case"
    strangers.check()


def test_no_sweep_and_no_adoption_touches_a_strangers_snapshot(fleet: LocalFleet) -> None:
    ended = run(fleet, lambda _state, _scan: None)
    strangers = Strangers(fleet, instance_of(fleet), ended)
    (place,) = fleet.control.places((), ())
    for _ in range(2):
        assert not fleet.control.sweeper.sweep(place).orphans
        offered, _ = fleet.control.sweeper.adoptable_everywhere([place])
        # Whose text, tags and owner agree and whose volume alone does not: for a person to decide.
        assert {one.volume for _, found in offered for one in found} != {"vol-ffffffff"}
        strangers.check()
    backups = [name for name in strangers.ids if name not in {o.id for _, f in offered for o in f}]
    assert fleet.control.sweeper.adopt(place, backups) == ([], sorted(backups))
    strangers.check()
    (row,) = fleet.control.store.sweeps.all()
    assert row.foreign_snapshots == len(strangers.ids) - 1


def test_a_failing_scan_deletes_its_own_and_no_others(fleet: LocalFleet) -> None:
    fleet.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ListSnapshotBlocks")])
    created: list[Strangers] = []
    ended = run(
        fleet,
        at(
            State.DELETING,
            lambda: created.append(Strangers(fleet, instance_of(fleet), only(fleet))),
        ),
    )
    assert ended.state is State.FAILED
    created[0].check()


def test_a_remembered_snapshot_that_lost_our_tags_is_not_deleted(fleet: LocalFleet) -> None:
    """Nothing proves it any more, so a person has to: the scan fails and says which, and why."""
    untagged: list[str] = []

    def untag() -> None:
        (snapshot,) = fleet.control.store.scans.snapshots(only(fleet).id)
        fleet.ec2().delete_tags(Resources=[snapshot.id], Tags=[{"Key": SCAN_TAG}])
        untagged.append(snapshot.id)

    ended = run(fleet, at(State.DELETING, untag))
    assert ended.state is State.FAILED
    assert fleet.cloud.snapshots() == untagged
    detail = fleet.covered(ended.instance).detail
    assert untagged[0] in detail
    assert "not provably ours" in detail
    # Nor is it forgotten: each sweep asks for it by its id, and deletes it when it is proven again.
    (place,) = fleet.control.places((), ())
    for _ in range(2):
        swept = fleet.control.sweeper.sweep(place)
        assert [(one.id, one.made_by) for one in swept.foreign] == [(untagged[0], ended.id)]
    fleet.ec2().create_tags(Resources=untagged, Tags=[{"Key": SCAN_TAG, "Value": ended.id}])
    assert fleet.control.sweeper.sweep(place).deleted == tuple(untagged)
    assert fleet.control.sweeper.sweep(place).foreign == ()
    assert all(s.deleted_at for s in fleet.control.store.scans.snapshots(ended.id))


def test_a_strangers_tags_over_ours_hide_no_snapshot_of_ours(fleet: LocalFleet) -> None:
    """A principal with CreateTags alone can write over them: the sweep reports it each time."""
    snapshot_ids: list[str] = []

    def overwrite() -> None:
        (snapshot,) = fleet.control.store.scans.snapshots(only(fleet).id)
        tags = [{"Key": SCAN_TAG, "Value": "f" * 32}, {"Key": DEPLOYMENT_TAG, "Value": "theirs"}]
        fleet.ec2().create_tags(Resources=[snapshot.id], Tags=tags)
        snapshot_ids.append(snapshot.id)

    ended = run(fleet, at(State.DELETING, overwrite))
    assert ended.state is State.FAILED
    (place,) = fleet.control.places((), ())
    (foreign,) = fleet.control.sweeper.sweep(place).foreign
    assert (foreign.id, foreign.made_by) == (snapshot_ids[0], ended.id)
    (row,) = fleet.control.store.sweeps.all()
    assert row.foreign_snapshots == 1


def test_the_receipt_asks_by_id_too(fleet: LocalFleet) -> None:
    """A deletion that EC2 answers and does not do, of a snapshot whose tag is no longer listed."""
    context = fleet.context

    def cheated(account: str, region: str) -> Any:
        ec2: Any = context.ec2(account, region)
        ec2.delete_snapshot = lambda _snapshot: True
        ec2.snapshots_by_tags = lambda _tags: []
        return ec2

    def cheat() -> None:
        fleet.context = replace(context, ec2=cheated)

    ended = run(fleet, at(State.DELETING, cheat))
    assert ended.state is State.FAILED
    assert "still there after deletion" in fleet.covered(ended.instance).detail
    assert all(not s.deleted_at for s in fleet.control.store.scans.snapshots(ended.id))


def test_nothing_is_shared_that_is_not_the_scans_own(fleet: LocalFleet) -> None:
    """A row that names a stranger's snapshot, however it came there: no share, and no deletion."""
    settings = fleet.control.settings.replaced(scanner_account="210987654321")
    sharing = make_context(settings, store=fleet.control.store)
    ended = run(fleet, lambda _state, _scan: None)
    strangers = Strangers(fleet, instance_of(fleet), ended)
    for name in sorted(strangers.ids):
        with pytest.raises(AccessDeniedError, match="not this scan's own"):
            sharing.open_snapshot(ended, name)
    assert fleet.cloud.calls("ModifySnapshotAttribute") == 0
    strangers.check()


def test_an_account_that_is_not_the_owner_has_nothing_deleted(fleet: LocalFleet) -> None:
    """Another account's snapshot, shared with ours and tagged by ours as well."""
    ended = run(fleet, lambda _state, _scan: None)
    there = boto3.client(
        "ec2",
        endpoint_url=fleet.cloud.endpoint,
        region_name="us-east-1",
        aws_access_key_id="210987654321",
        aws_secret_access_key="local",  # noqa: S106 - nobody checks it
    )
    volume = there.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    text = description(ended.id, ended.instance, fleet.context.deployment, "a lease")
    snapshot = there.create_snapshot(VolumeId=volume, Description=text)["SnapshotId"]
    fleet.settle()
    there.modify_snapshot_attribute(
        SnapshotId=snapshot,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=["123456789012"],
    )
    tags = {SCAN_TAG: ended.id, DEPLOYMENT_TAG: fleet.context.deployment}
    there.create_tags(Resources=[snapshot], Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
    (place,) = fleet.control.places((), ())
    assert not fleet.control.sweeper.sweep(place).orphans
    # Nor by a sweep of the owner's own account, whose scan it is not.
    elsewhere = AccountRegion("210987654321", place.region)
    swept = fleet.control.sweeper.sweep(elsewhere)
    assert not swept.orphans
    assert fleet.cloud.snapshots() == [snapshot]


def test_a_deployment_that_fits_into_no_description_is_refused() -> None:
    from sidelight.errors import UsageError
    from sidelight.fleet.snapshot_ownership import check_deployment

    check_deployment(Settings().snapshots.deployment or "production")
    for name in ("x" * 200, "a\nb"):
        with pytest.raises(UsageError, match="description of a snapshot"):
            check_deployment(name)
