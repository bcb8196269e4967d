"""The stages, by what they leave behind. Faults at every point are in tests/faults."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.aws.ec2 import SnapshotInfo
from sidelight.disk import Attachment
from sidelight.errors import AccessDeniedError
from sidelight.fleet.snapshot_ownership import description
from sidelight.fleet.stages import take_snapshots
from sidelight.model import LIVE, Inventory, State, Status
from tests.fakes.tripwire import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.fakes.fake_fleet import FakeFleet


def test_a_scan_walks_through_all_stages(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    fake_fleet.run()
    scan = fake_fleet.only_scan()
    assert scan.state is State.DONE
    assert len(fake_fleet.findings()) == 4
    cost = fake_fleet.store.costs.of([scan.id])[scan.id]
    assert (cost.get_calls, cost.list_calls, cost.blocks) == (2, 2, 2)
    covered = fake_fleet.store.instances.coverage()[0]
    assert (covered.status_code, covered.reason, covered.scanned_at) == (
        "ACTIVE", "SUCCESSFUL", scan.finished_at,
    )  # fmt: skip


def test_each_disk_is_inspected_with_its_device_and_its_volume(fake_fleet: FakeFleet) -> None:
    inspected: list[Attachment] = []
    inspect = fake_fleet.context.inspect

    def seen(sources: Sequence[Any], attachments: tuple[Attachment, ...]) -> Inventory:
        inspected.extend(attachments)
        return inspect(sources, attachments)

    fake_fleet.context = replace(fake_fleet.context, inspect=seen)
    fake_fleet.start()
    fake_fleet.run()
    (known,) = fake_fleet.store.instances.known()
    assert inspected == [Attachment(one.device, one.id) for one in known.instance.volumes]
    assert [one.volume for one in inspected] == ["vol-0-0", "vol-0-1"]


def test_each_snapshot_ends_with_a_receipt(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    fake_fleet.run()
    snapshots = fake_fleet.store.scans.snapshots(fake_fleet.only_scan().id)
    assert [snapshot.volume for snapshot in snapshots] == ["vol-0-0", "vol-0-1"]
    for snapshot in snapshots:
        assert snapshot.state == "deleted"
        assert snapshot.deleted_at is not None
        assert "none" in snapshot.receipt


def test_the_intent_is_committed_before_the_call(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    fake_fleet.trip.decide = lambda _, name: (
        Mode.KILL_BEFORE if name == "ec2.create_snapshots" else None
    )
    fake_fleet.trip.armed = True
    with pytest.raises(BaseException, match="create_snapshots"):
        take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    assert fake_fleet.only_scan().state is State.SNAPSHOTTING


def test_waiting_is_one_describe_and_holds_no_worker(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    fake_fleet.clock.advance(2)
    fake_fleet.trip.armed = True
    following = take_snapshots.await_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    assert fake_fleet.trip.seen.count("ec2.describe_by_id") == 1
    assert following is not None
    assert (following.state, following.delay) == (State.SNAPSHOTS_PENDING, 10.0)
    assert fake_fleet.only_scan().lease == ""


def test_a_stage_delivered_twice_does_nothing_the_second_time(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    scan_id = fake_fleet.only_scan().id
    take_snapshots.take_snapshots(fake_fleet.context, scan_id)
    fake_fleet.clock.advance(60)
    for step in (
        take_snapshots.await_snapshots,
        take_snapshots.inspect,
        take_snapshots.evaluate,
        take_snapshots.delete_snapshots,
    ):
        following = step(fake_fleet.context, scan_id)
        assert step(fake_fleet.context, scan_id) is None
    assert following is None
    assert take_snapshots.take_snapshots(fake_fleet.context, scan_id) is None
    assert fake_fleet.only_scan().state is State.DONE
    assert fake_fleet.ec2.created == 2


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        ("InvalidInstanceID.NotFound", "", "RESOURCE_TERMINATED"),
        ("IncorrectState", "terminated", "RESOURCE_TERMINATED"),
        ("IncorrectInstanceState", "shutting-down", "RESOURCE_TERMINATED"),
        ("IncorrectState", "running", "INTERNAL_ERROR"),
        ("InternalError", "terminated", "INTERNAL_ERROR"),
    ],
)
def test_a_refused_creation_ends_with_its_reason(
    fake_fleet: FakeFleet, code: str, state: str, reason: str
) -> None:
    fake_fleet.ec2.refuse[fake_fleet.instances[0].id] = code
    fake_fleet.ec2.instance_states[fake_fleet.instances[0].id] = state
    fake_fleet.start()
    fake_fleet.run()
    covered = fake_fleet.store.instances.coverage()[0]
    assert (fake_fleet.only_scan().state, covered.reason) == (State.FAILED, reason)
    assert code in covered.detail


def test_a_terminated_instance_is_not_tried_again(fake_fleet: FakeFleet) -> None:
    fake_fleet.ec2.refuse[fake_fleet.instances[0].id] = "InvalidInstanceID.NotFound"
    fake_fleet.ec2.instance_states[fake_fleet.instances[0].id] = "terminated"
    fake_fleet.trip.armed = True
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.trip.seen.count("ec2.create_snapshots") == 1


def test_a_busy_volume_is_waited_for_and_counts_as_no_failure(fake_fleet: FakeFleet) -> None:
    instance = fake_fleet.instances[0].id
    fake_fleet.ec2.refuse[instance] = "ConcurrentSnapshotLimitExceeded"
    fake_fleet.start()
    for _ in range(10):
        take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
        fake_fleet.clock.advance(120)
    assert fake_fleet.only_scan().state is State.SNAPSHOTTING
    del fake_fleet.ec2.refuse[instance]
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.DONE


def test_a_volume_that_stays_busy_ends_the_scan(make_fake_fleet: Callable[..., FakeFleet]) -> None:
    fake_fleet = make_fake_fleet(busy_seconds=600.0)
    fake_fleet.ec2.refuse[fake_fleet.instances[0].id] = "ConcurrentSnapshotLimitExceeded"
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED


def test_a_snapshot_in_error_is_deleted_and_reported(fake_fleet: FakeFleet) -> None:
    fake_fleet.ec2.broken = {"vol-0-1"}
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED
    assert "state error" in fake_fleet.only_scan().failure
    assert not fake_fleet.ec2.snapshots


def test_a_snapshot_that_is_never_completed_is_given_up(
    make_fake_fleet: Callable[..., FakeFleet],
) -> None:
    fake_fleet = make_fake_fleet(snapshot_seconds=600.0)
    fake_fleet.ec2.pending_seconds = 1e9
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED
    assert "not completed" in fake_fleet.only_scan().failure
    assert not fake_fleet.ec2.snapshots


def test_a_snapshot_that_somebody_deleted_ends_the_scan(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    fake_fleet.clock.advance(60)
    take_snapshots.await_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    fake_fleet.ec2.snapshots.popitem()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED
    assert not fake_fleet.ec2.snapshots


def test_a_machine_that_cannot_be_read_is_not_clean(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    fake_fleet.run()
    fake_fleet.status = Status.FAILED
    fake_fleet.start()
    fake_fleet.run()
    covered = fake_fleet.store.instances.coverage()[0]
    assert (covered.status_code, covered.reason) == ("INACTIVE", "UNSUPPORTED_OS")
    assert len(fake_fleet.findings()) == 4, "what was found before stays open"


def test_a_key_that_cannot_be_used_is_its_own_reason(fake_fleet: FakeFleet) -> None:
    fake_fleet.inspect_error = AccessDeniedError("KMS key is disabled", where="snap-1: block 0")
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.store.instances.coverage()[0].reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert not fake_fleet.ec2.snapshots


def test_a_defect_of_ours_ends_one_scan_and_leaves_no_snapshot(fake_fleet: FakeFleet) -> None:
    fake_fleet.inspect_error = ZeroDivisionError("division by zero")
    fake_fleet.start()
    fake_fleet.run()
    assert "ZeroDivisionError" in fake_fleet.only_scan().failure
    assert not fake_fleet.ec2.snapshots


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.FAILED])
def test_a_reader_keeps_nothing_that_is_read_when_another_deletes_the_snapshots(
    make_fake_fleet: Callable[..., FakeFleet], status: Status
) -> None:
    fake_fleet = make_fake_fleet(block_cache="/somewhere")
    forgotten: list[str] = []
    fake_fleet.status = status
    fake_fleet.context = replace(fake_fleet.context, forget=forgotten.append)
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.READING:
        fake_fleet._work()
    assert not forgotten
    assert take_snapshots.inspect(fake_fleet.context, fake_fleet.only_scan().id) is not None
    assert forgotten == sorted(fake_fleet.ec2.snapshots)


def test_two_calls_snapshots_are_not_mixed(fake_fleet: FakeFleet) -> None:
    """A first call whose answer was lost, and a second one, left two sets: one moment is read."""
    fake_fleet.start()
    scan = fake_fleet.store.scans.claim(fake_fleet.only_scan().id, LIVE, 60)
    assert scan is not None
    fake_fleet.store.scans.intend(scan)
    tags = fake_fleet.context.tags(scan.id)
    for lease in ("first", "second"):
        text = description(scan.id, scan.instance, "here", lease)
        fake_fleet.ec2.create_snapshots(scan.instance, tags, text)
        fake_fleet.clock.advance(3)
    fake_fleet.clock.advance(120)
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.DONE
    read = {source.name for source in fake_fleet.sources}
    assert len(read) == 2
    assert read == {"snap-00000000000000001", "snap-00000000000000002"}
    assert not fake_fleet.ec2.snapshots


@pytest.mark.parametrize("unlisted", [1, 1000])
def test_a_call_whose_snapshots_are_listed_one_after_the_other_is_waited_for(
    fake_fleet: FakeFleet, unlisted: int
) -> None:
    """Its answer was lost. For ever, where a volume was detached before it."""
    listed, turns = fake_fleet.ec2.snapshots_by_tags, itertools.count()

    def by_tags(tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        found = listed(tags)
        first = fake_fleet.only_scan().state is State.SNAPSHOTTING and next(turns) < unlisted
        return found[:1] if first else found

    fake_fleet.ec2.snapshots_by_tags = by_tags  # type: ignore[method-assign] # for one stage
    fake_fleet.trip.decide = lambda _, name: (
        Mode.FAIL_AFTER if name == "ec2.create_snapshots" else None
    )
    fake_fleet.trip.armed = True
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.DONE
    assert fake_fleet.ec2.created == 2
    assert len(fake_fleet.findings()) == (4 if unlisted == 1 else 2)
    assert not fake_fleet.ec2.snapshots


def test_a_second_snapshot_by_a_calls_own_description_is_not_read(fake_fleet: FakeFleet) -> None:
    """Anyone who may create and tag can copy the text of ours. It is deleted with the others."""
    fake_fleet.trip.decide = lambda _, name: (
        Mode.FAIL_AFTER if name == "ec2.create_snapshots" else None
    )
    fake_fleet.trip.armed = True
    fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    original = fake_fleet.ec2.snapshots["snap-00000000000000001"]
    assert original.started_at is not None
    later = replace(
        original, id="snap-0forged", started_at=original.started_at + timedelta(seconds=1)
    )
    fake_fleet.ec2.snapshots[later.id] = later
    fake_fleet.trip.armed = False
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.DONE
    assert sorted(source.name for source in fake_fleet.sources) == [
        "snap-00000000000000001", "snap-00000000000000002",
    ]  # fmt: skip
    assert not fake_fleet.ec2.snapshots


def test_strangers_snapshots_are_left_alone(fake_fleet: FakeFleet) -> None:
    stranger = SnapshotInfo("snap-stranger", "vol-0-0", "completed")
    other = replace(
        stranger,
        id="snap-other",
        tags=(("InspectorScan", "x"), ("SidelightDeployment", "elsewhere")),
        started_at=fake_fleet.clock(),
    )
    fake_fleet.ec2.snapshots |= {info.id: info for info in (stranger, other)}
    fake_fleet.start()
    fake_fleet.run()
    swept = fake_fleet.sweep()
    assert not swept.orphans
    assert set(fake_fleet.ec2.snapshots) == {"snap-stranger", "snap-other"}


def test_a_machine_that_was_fixed_closes_its_findings(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    fake_fleet.run()
    fake_fleet.version = "2.0"
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.findings() == []
