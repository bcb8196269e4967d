"""What AWS knows late: asked again for minutes, and then EC2's own description decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.aws.ebs_faults import DENIED_SECONDS, STEP
from sidelight.errors import (
    AccessDeniedError,
    ClockSkewError,
    CloudError,
    KeyDeniedError,
    KeyUnusableError,
    RegionDisabledError,
    SidelightError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SourceError,
)
from sidelight.fleet.stages import take_snapshots
from sidelight.fleet.stages.late_answers import INSTANCE_SECONDS, YOUNG
from sidelight.model import State
from tests.workers.bench import FakeSource, Mode, World
from tests.workers.test_steps import only

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.model import Scan

LATE = [
    SnapshotNotFoundError("does not exist"),
    SnapshotNotReadyError("ValidationException: no words of ours"),
    AccessDeniedError("AccessDeniedException: not authorized"),
    KeyDeniedError("DEPENDENCY_ACCESS_DENIED"),
    CloudError("IncorrectState: not completed", code="IncorrectState"),
]


def refuse_reading(world: World, error: SidelightError, seconds: float) -> list[float]:
    """EBS direct refuses for so long after the first try; when each try was, in seconds."""
    opened, tries = world.context.open_snapshot, list[float]()
    begun = list[Any]()

    def late(scan: Scan, snapshot_id: str) -> Any:
        begun.append(begun[0] if begun else world.clock())
        tries.append((world.clock() - begun[0]).total_seconds())
        if tries[-1] < seconds:
            raise error
        return opened(scan, snapshot_id)

    world.context = replace(world.context, open_snapshot=late)
    return tries


@pytest.mark.parametrize("error", LATE, ids=lambda error: type(error).__name__)
def test_a_completed_snapshot_that_ebs_direct_refuses_is_read_minutes_later(
    world: World, error: SidelightError
) -> None:
    tries = refuse_reading(world, error, 300.0)
    world.start()
    world.run()
    scan = only(world)
    assert (scan.state, scan.attempts, scan.last_error) == (State.DONE, 0, "")
    assert tries[1] - tries[0] < STEP + 1, "soon at first"
    assert len(tries) < 30, "and then more rarely"
    assert world.ec2.created == 2


def test_no_worker_is_held_meanwhile_and_the_status_says_why(world: World) -> None:
    refuse_reading(world, SnapshotNotFoundError("does not exist"), 300.0)
    world.start()
    while only(world).state is not State.READING:
        world.run_one()
    following = take_snapshots.inspect(world.context, only(world).id)
    assert following is not None
    assert (following.state, following.delay) == (State.READING, STEP)
    scan = only(world)
    assert (scan.lease, scan.attempts) == ("", 0)
    assert scan.late_since is not None
    assert scan.last_error.startswith("waiting: AWS may not know it everywhere yet")


def test_a_denial_that_lasts_is_final_when_the_time_is_over(make_world: Any) -> None:
    world = make_world(late_seconds=300.0)
    tries = refuse_reading(world, AccessDeniedError("AccessDeniedException: no"), 1e9)
    world.start()
    world.run()
    assert only(world).state is State.FAILED
    assert world.store.instances.coverage()[0].reason == "ACCESS_DENIED"
    assert 300 <= tries[-1] < 400
    assert not world.ec2.snapshots


def test_a_right_that_is_missing_is_waited_for_two_minutes_and_the_status_says_until_when(
    world: World,
) -> None:
    """A condition on a tag that has not arrived is worded the same."""
    lacks = "AccessDeniedException: User: r is not authorized to perform: ebs:ListSnapshotBlocks"
    tries = refuse_reading(world, AccessDeniedError(lacks), 1e9)
    world.start()
    while only(world).state is not State.READING:
        world.run_one()
    take_snapshots.inspect(world.context, only(world).id)
    begun = only(world).late_since
    assert begun is not None
    until = begun + timedelta(seconds=DENIED_SECONDS)
    assert f"asking until {until:%H:%M:%S} UTC" in only(world).last_error
    world.run()
    assert only(world).state is State.FAILED
    assert world.store.instances.coverage()[0].reason == "ACCESS_DENIED"
    assert DENIED_SECONDS <= tries[-1] < DENIED_SECONDS + 61


def test_a_404_of_what_ec2_calls_completed_is_never_final_at_once(make_world: Any) -> None:
    """After the time for late answers come the attempts."""
    world = make_world(late_seconds=60.0)
    tries = refuse_reading(world, SnapshotNotFoundError("does not exist"), 1e9)
    world.start()
    world.run()
    assert only(world).state is State.FAILED
    assert sum(at >= 60 for at in tries) == world.context.settings.retries.attempts


def test_a_key_that_is_disabled_is_final_at_once(world: World) -> None:
    tries = refuse_reading(world, KeyUnusableError("INVALID_CUSTOMER_KEY"), 1e9)
    world.start()
    world.run()
    assert len(tries) == 1
    assert world.store.instances.coverage()[0].reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"


def test_a_refusal_while_ec2_says_error_has_ec2s_message(world: World) -> None:
    refuse_reading(world, SnapshotNotReadyError("ValidationException: x"), 1e9)
    world.start()
    while only(world).state is not State.READING:
        world.run_one()
    world.ec2.broken = {"vol-0-1"}
    world.run()
    assert only(world).state is State.FAILED
    assert "is in state error" in only(world).failure


def test_what_ec2_calls_pending_is_waited_for_as_long_as_any_snapshot(make_world: Any) -> None:
    world = make_world(late_seconds=60.0)
    tries = refuse_reading(world, SnapshotNotReadyError("ValidationException: x"), 2000.0)
    world.start()
    while only(world).state is not State.READING:
        world.run_one()
    world.ec2.pending_seconds = 2000.0
    world.run()
    assert only(world).state is State.DONE
    assert tries[-1] >= 2000


def test_a_snapshot_that_ec2_lists_no_more_is_given_up_once_it_is_not_young(world: World) -> None:
    world.start()
    while only(world).state is not State.READING:
        world.run_one()
    world.ec2.snapshots.clear()
    began = world.clock()
    world.run()
    assert only(world).state is State.FAILED
    assert "EC2 lists it no more" in only(world).failure
    assert (world.clock() - began).total_seconds() < 2 * YOUNG


def test_an_instance_that_ec2_does_not_know_yet_is_asked_for_again(world: World) -> None:
    """Just launched, or by a host that lags."""
    instance = world.instances[0].id
    world.ec2.refuse[instance] = "InvalidInstanceID.NotFound"
    world.ec2.instance_states[instance] = ""
    world.start()
    take_snapshots.take_snapshots(world.context, only(world).id)
    for _ in range(8):
        world.clock.advance(10)
        take_snapshots.take_snapshots(world.context, only(world).id)
    assert only(world).state is State.SNAPSHOTTING
    del world.ec2.refuse[instance], world.ec2.instance_states[instance]
    world.run()
    assert only(world).state is State.DONE


def test_an_instance_that_stays_unknown_is_gone_after_a_second_look(world: World) -> None:
    instance = world.instances[0].id
    world.ec2.refuse[instance] = "InvalidInstanceID.NotFound"
    world.ec2.instance_states[instance] = ""
    world.start()
    began = world.clock()
    world.run()
    covered = world.store.instances.coverage()[0]
    assert (only(world).state, covered.reason) == (State.FAILED, "RESOURCE_TERMINATED")
    assert (world.clock() - began).total_seconds() >= INSTANCE_SECONDS


def test_an_incorrect_state_of_a_volume_passes(world: World) -> None:
    """A volume may be `creating` while its instance runs."""
    world.ec2.refuse[world.instances[0].id] = "IncorrectState"
    world.start()
    for _ in range(4):
        take_snapshots.take_snapshots(world.context, only(world).id)
        world.clock.advance(20)
    world.ec2.refuse.clear()
    world.run()
    assert only(world).state is State.DONE


def test_an_instance_without_ebs_volumes_is_final_by_what_ec2_lists(world: World) -> None:
    """The text of EC2's refusal is not read."""
    instance = world.instances[0].id
    world.ec2.refuse[instance] = "InvalidParameterValue"
    world.ec2.volumes[instance] = ()
    world.trip.armed = True
    world.start()
    world.run()
    assert world.trip.seen.count("ec2.create_snapshots") == 1
    covered = world.store.instances.coverage()[0]
    assert (covered.reason, "InvalidParameterValue" in covered.detail) == ("NO_EBS_VOLUME", True)


def test_while_ec2_cannot_be_asked_nothing_is_final(world: World) -> None:
    refuse_reading(world, AccessDeniedError("AccessDeniedException: no"), 60.0)
    world.start()
    while only(world).state is not State.READING:
        world.run_one()
    failing = iter(range(3))
    world.trip.decide = lambda _, name: (
        Mode.FAIL_BEFORE
        if name == "ec2.describe_by_id" and next(failing, None) is not None
        else None
    )
    world.trip.armed = True
    world.run()
    assert only(world).state is State.DONE


def test_a_wrong_clock_is_named_and_another_worker_may_go_on(world: World) -> None:
    refuse_reading(world, ClockSkewError("this machine's clock is wrong (600 s fast)"), 1800.0)
    world.start()
    seen = set[str]()
    while only(world).state is not State.DONE:
        world.run_one()
        seen.add(only(world).last_error)
    assert only(world).attempts == 0
    assert any(text.startswith("waiting: this machine's clock is wrong") for text in seen)


def test_a_region_that_is_not_enabled_has_its_own_reason(world: World) -> None:
    def ec2(_account: str, _region: str) -> Any:
        raise RegionDisabledError("RegionDisabledException: STS is not activated")

    world.context = replace(world.context, ec2=ec2)
    world.start()
    take_snapshots.take_snapshots(world.context, only(world).id)
    scan = only(world)
    assert (scan.state, scan.failure_code) == (State.DELETING, "REGION_NOT_ENABLED")


def deleting(world: World) -> Scan:
    """A scan whose snapshots are to be deleted next."""
    world.start()
    while only(world).state is not State.DELETING:
        world.run_one()
    return only(world)


def test_a_young_snapshot_that_ec2_does_not_find_is_looked_for_again_before_it_is_gone(
    world: World,
) -> None:
    deleting(world)
    hidden, world.ec2.snapshots = world.ec2.snapshots, {}
    world.run_one()
    scan = only(world)
    assert (scan.state, scan.attempts) == (State.DELETING, 0)
    world.ec2.snapshots = hidden
    world.run()
    assert only(world).state is State.DONE
    assert not world.ec2.snapshots


def test_an_old_snapshot_that_ec2_does_not_find_is_gone(world: World) -> None:
    world.ec2.pending_seconds = YOUNG + 1
    deleting(world)
    world.ec2.snapshots.clear()
    world.run_one()
    assert only(world).state is State.DONE


def test_a_pending_snapshot_that_is_listed_after_its_deletion_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 deletes it when it is completed: no attempt at deletion is lost by that."""
    world.inspect_error = SourceError("no")
    world.start()
    take_snapshots.take_snapshots(world.context, only(world).id)
    world.store.scans.fail(claimed(world), "given up", "INTERNAL_ERROR")
    world.ec2.pending_seconds = 3000.0
    monkeypatch.setattr(world.ec2, "delete_snapshot", deletes_when_completed(world))
    world.clock.advance(2)
    take_snapshots.delete_snapshots(world.context, only(world).id)
    for _ in range(40):
        world.clock.advance(60)
        take_snapshots.delete_snapshots(world.context, only(world).id)
    scan = only(world)
    assert (scan.state, scan.attempts) == (State.DELETING, 0)
    world.run()
    assert only(world).failure == "given up"
    assert not world.ec2.snapshots


def claimed(world: World) -> Scan:
    scan = world.store.scans.get(only(world).id)
    world.clock.advance(max(0.0, (scan.next_at - world.clock()).total_seconds()))
    held = world.store.scans.claim(scan.id, (scan.state,), 60)
    assert held is not None
    return held


def deletes_when_completed(world: World) -> Callable[[str], bool]:
    delete = world.ec2.delete_snapshot

    def later(snapshot_id: str) -> bool:
        info = world.ec2.snapshots.get(snapshot_id)
        if info is None or info.started_at is None:
            return False
        if (world.clock() - info.started_at).total_seconds() < world.ec2.pending_seconds:
            return True
        return delete(snapshot_id)

    return later


def test_one_host_that_lags_in_the_middle_of_a_read_costs_no_attempt(world: World) -> None:
    """A block is refused although others were read: the whole read is made again."""
    refused = iter([True])

    def read(self: FakeSource, _offset: int, length: int) -> bytes:
        if next(refused, False):
            raise SnapshotNotFoundError("does not exist", where=self.name)
        return self._content[:length]

    original = FakeSource.read_at
    FakeSource.read_at = read  # type: ignore[method-assign]
    try:
        world.start()
        world.run()
    finally:
        FakeSource.read_at = original  # type: ignore[method-assign]
    assert only(world).state is State.DONE
