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
from tests.fakes.fake_ec2 import FakeSource
from tests.fakes.late_snapshots import refuse_reading
from tests.fakes.tripwire import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.model import Scan
    from tests.fakes.fake_fleet import FakeFleet

LATE = [
    SnapshotNotFoundError("does not exist"),
    SnapshotNotReadyError("ValidationException: no words of ours"),
    AccessDeniedError("AccessDeniedException: not authorized"),
    KeyDeniedError("DEPENDENCY_ACCESS_DENIED"),
    CloudError("IncorrectState: not completed", code="IncorrectState"),
]


@pytest.mark.slow
@pytest.mark.parametrize("error", LATE, ids=lambda error: type(error).__name__)
def test_a_completed_snapshot_that_ebs_direct_refuses_is_read_minutes_later(
    fake_fleet: FakeFleet, error: SidelightError
) -> None:
    tries = refuse_reading(fake_fleet, error, 300.0)
    fake_fleet.start()
    fake_fleet.run()
    scan = fake_fleet.only_scan()
    assert (scan.state, scan.attempts, scan.last_error) == (State.DONE, 0, "")
    assert tries[1] - tries[0] < STEP + 1, "soon at first"
    assert len(tries) < 30, "and then more rarely"
    assert fake_fleet.ec2.created == 2


def test_no_worker_is_held_during_the_wait_and_the_status_says_why(fake_fleet: FakeFleet) -> None:
    refuse_reading(fake_fleet, SnapshotNotFoundError("does not exist"), 300.0)
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.READING:
        fake_fleet.run_one()
    following = take_snapshots.inspect(fake_fleet.context, fake_fleet.only_scan().id)
    assert following is not None
    assert (following.state, following.delay) == (State.READING, STEP)
    scan = fake_fleet.only_scan()
    assert (scan.lease, scan.attempts) == ("", 0)
    assert scan.late_since is not None
    assert scan.last_error.startswith("waiting: AWS may not know it everywhere yet")


@pytest.mark.parametrize("before", ["wait", "error"])
def test_a_scan_whose_workers_die_says_so_whatever_was_before(
    fake_fleet: FakeFleet, before: str
) -> None:
    late = SnapshotNotFoundError("does not exist")
    refuse_reading(fake_fleet, late if before == "wait" else SourceError("cut short"), 1.0)
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.READING:
        fake_fleet.run_one()
    take_snapshots.inspect(fake_fleet.context, fake_fleet.only_scan().id)
    assert fake_fleet.only_scan().last_error
    while (scan := fake_fleet.only_scan()).attempts < fake_fleet.context.settings.retries.attempts:
        fake_fleet.clock.advance(3600)
        assert fake_fleet.store.scans.claim(scan.id, (State.READING,), 60)
    fake_fleet.run()
    scan = fake_fleet.only_scan()
    assert (scan.state, scan.failure_code) == (State.FAILED, "INTERNAL_ERROR")
    assert "the workers died at it" in scan.failure
    assert "may not know it" not in scan.failure
    assert ("an attempt before that: cut short" in scan.failure) == (before == "error")


def test_a_denial_that_lasts_is_final_when_the_time_is_over(make_fake_fleet: Any) -> None:
    fake_fleet = make_fake_fleet(late_seconds=300.0)
    tries = refuse_reading(fake_fleet, AccessDeniedError("AccessDeniedException: no"), 1e9)
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED
    assert fake_fleet.store.instances.coverage()[0].reason == "ACCESS_DENIED"
    assert 300 <= tries[-1] < 400
    assert not fake_fleet.ec2.snapshots


def test_a_right_that_is_missing_is_waited_for_two_minutes_and_the_status_says_until_when(
    fake_fleet: FakeFleet,
) -> None:
    """A condition on a tag that has not arrived is worded the same."""
    lacks = "AccessDeniedException: User: r is not authorized to perform: ebs:ListSnapshotBlocks"
    tries = refuse_reading(fake_fleet, AccessDeniedError(lacks), 1e9)
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.READING:
        fake_fleet.run_one()
    take_snapshots.inspect(fake_fleet.context, fake_fleet.only_scan().id)
    begun = fake_fleet.only_scan().late_since
    assert begun is not None
    until = begun + timedelta(seconds=DENIED_SECONDS)
    assert f"asking until {until:%H:%M:%S} UTC" in fake_fleet.only_scan().last_error
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED
    assert fake_fleet.store.instances.coverage()[0].reason == "ACCESS_DENIED"
    assert DENIED_SECONDS <= tries[-1] < DENIED_SECONDS + 61


def test_a_404_of_what_ec2_calls_completed_is_never_final_at_once(make_fake_fleet: Any) -> None:
    """After the time for late answers come the attempts."""
    fake_fleet = make_fake_fleet(late_seconds=60.0)
    tries = refuse_reading(fake_fleet, SnapshotNotFoundError("does not exist"), 1e9)
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED
    assert sum(at >= 60 for at in tries) == fake_fleet.context.settings.retries.attempts


def test_a_key_that_is_disabled_is_final_at_once(fake_fleet: FakeFleet) -> None:
    tries = refuse_reading(fake_fleet, KeyUnusableError("INVALID_CUSTOMER_KEY"), 1e9)
    fake_fleet.start()
    fake_fleet.run()
    assert len(tries) == 1
    assert fake_fleet.store.instances.coverage()[0].reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"


def test_a_refusal_while_ec2_says_error_has_ec2s_message(fake_fleet: FakeFleet) -> None:
    refuse_reading(fake_fleet, SnapshotNotReadyError("ValidationException: x"), 1e9)
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.READING:
        fake_fleet.run_one()
    fake_fleet.ec2.broken = {"vol-0-1"}
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED
    assert "is in state error" in fake_fleet.only_scan().failure


def test_what_ec2_calls_pending_is_waited_for_as_long_as_any_snapshot(make_fake_fleet: Any) -> None:
    fake_fleet = make_fake_fleet(late_seconds=60.0)
    tries = refuse_reading(fake_fleet, SnapshotNotReadyError("ValidationException: x"), 2000.0)
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.READING:
        fake_fleet.run_one()
    fake_fleet.ec2.pending_seconds = 2000.0
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.DONE
    assert tries[-1] >= 2000


def test_a_snapshot_that_ec2_lists_no_more_is_given_up_once_it_is_not_young(
    fake_fleet: FakeFleet,
) -> None:
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.READING:
        fake_fleet.run_one()
    fake_fleet.ec2.snapshots.clear()
    began = fake_fleet.clock()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.FAILED
    assert "EC2 lists it no more" in fake_fleet.only_scan().failure
    assert (fake_fleet.clock() - began).total_seconds() < 2 * YOUNG


def test_an_instance_that_ec2_does_not_know_yet_is_asked_for_again(fake_fleet: FakeFleet) -> None:
    """Just launched, or by a host that lags."""
    instance = fake_fleet.instances[0].id
    fake_fleet.ec2.refuse[instance] = "InvalidInstanceID.NotFound"
    fake_fleet.ec2.instance_states[instance] = ""
    fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    for _ in range(8):
        fake_fleet.clock.advance(10)
        take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    assert fake_fleet.only_scan().state is State.SNAPSHOTTING
    del fake_fleet.ec2.refuse[instance], fake_fleet.ec2.instance_states[instance]
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.DONE


def test_an_instance_that_stays_unknown_is_gone_after_a_second_look(fake_fleet: FakeFleet) -> None:
    instance = fake_fleet.instances[0].id
    fake_fleet.ec2.refuse[instance] = "InvalidInstanceID.NotFound"
    fake_fleet.ec2.instance_states[instance] = ""
    fake_fleet.start()
    began = fake_fleet.clock()
    fake_fleet.run()
    covered = fake_fleet.store.instances.coverage()[0]
    assert (fake_fleet.only_scan().state, covered.reason) == (State.FAILED, "RESOURCE_TERMINATED")
    assert (fake_fleet.clock() - began).total_seconds() >= INSTANCE_SECONDS


def test_an_incorrect_state_of_a_volume_passes(fake_fleet: FakeFleet) -> None:
    """A volume may be `creating` while its instance runs."""
    fake_fleet.ec2.refuse[fake_fleet.instances[0].id] = "IncorrectState"
    fake_fleet.start()
    for _ in range(4):
        take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
        fake_fleet.clock.advance(20)
    fake_fleet.ec2.refuse.clear()
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.DONE


def test_an_instance_without_ebs_volumes_is_final_by_what_ec2_lists(fake_fleet: FakeFleet) -> None:
    """The text of EC2's refusal is not read."""
    instance = fake_fleet.instances[0].id
    fake_fleet.ec2.refuse[instance] = "InvalidParameterValue"
    fake_fleet.ec2.volumes[instance] = ()
    fake_fleet.trip.armed = True
    fake_fleet.start()
    fake_fleet.run()
    assert fake_fleet.trip.seen.count("ec2.create_snapshots") == 1
    covered = fake_fleet.store.instances.coverage()[0]
    assert (covered.reason, "InvalidParameterValue" in covered.detail) == ("NO_EBS_VOLUME", True)


def test_while_ec2_cannot_be_asked_nothing_is_final(fake_fleet: FakeFleet) -> None:
    refuse_reading(fake_fleet, AccessDeniedError("AccessDeniedException: no"), 60.0)
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.READING:
        fake_fleet.run_one()
    failing = iter(range(3))
    fake_fleet.trip.decide = lambda _, name: (
        Mode.FAIL_BEFORE
        if name == "ec2.describe_by_id" and next(failing, None) is not None
        else None
    )
    fake_fleet.trip.armed = True
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.DONE


def test_a_wrong_clock_is_named_and_another_worker_may_go_on(fake_fleet: FakeFleet) -> None:
    refuse_reading(fake_fleet, ClockSkewError("this machine's clock is wrong (600 s fast)"), 1800.0)
    fake_fleet.start()
    seen = set[str]()
    while fake_fleet.only_scan().state is not State.DONE:
        fake_fleet.run_one()
        seen.add(fake_fleet.only_scan().last_error)
    assert fake_fleet.only_scan().attempts == 0
    assert any(text.startswith("waiting: this machine's clock is wrong") for text in seen)


def test_a_region_that_is_not_enabled_has_its_own_reason(fake_fleet: FakeFleet) -> None:
    def ec2(_account: str, _region: str) -> Any:
        raise RegionDisabledError("RegionDisabledException: STS is not activated")

    fake_fleet.context = replace(fake_fleet.context, ec2=ec2)
    fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    scan = fake_fleet.only_scan()
    assert (scan.state, scan.failure_code) == (State.DELETING, "REGION_NOT_ENABLED")


def deleting(fake_fleet: FakeFleet) -> Scan:
    """A scan whose snapshots are to be deleted next."""
    fake_fleet.start()
    while fake_fleet.only_scan().state is not State.DELETING:
        fake_fleet.run_one()
    return fake_fleet.only_scan()


def test_a_young_snapshot_that_ec2_does_not_find_is_looked_for_again_before_it_is_gone(
    fake_fleet: FakeFleet,
) -> None:
    deleting(fake_fleet)
    hidden, fake_fleet.ec2.snapshots = fake_fleet.ec2.snapshots, {}
    fake_fleet.run_one()
    scan = fake_fleet.only_scan()
    assert (scan.state, scan.attempts) == (State.DELETING, 0)
    fake_fleet.ec2.snapshots = hidden
    fake_fleet.run()
    assert fake_fleet.only_scan().state is State.DONE
    assert not fake_fleet.ec2.snapshots


def test_an_old_snapshot_that_ec2_does_not_find_is_gone(fake_fleet: FakeFleet) -> None:
    fake_fleet.ec2.pending_seconds = YOUNG + 1
    deleting(fake_fleet)
    fake_fleet.ec2.snapshots.clear()
    fake_fleet.run_one()
    assert fake_fleet.only_scan().state is State.DONE


def test_a_pending_snapshot_that_is_listed_after_its_deletion_is_waited_for(
    fake_fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 deletes it when it is completed: no attempt at deletion is lost by that."""
    fake_fleet.inspect_error = SourceError("no")
    fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    fake_fleet.store.scans.fail(claimed(fake_fleet), "given up", "INTERNAL_ERROR")
    fake_fleet.ec2.pending_seconds = 3000.0
    monkeypatch.setattr(fake_fleet.ec2, "delete_snapshot", deletes_when_completed(fake_fleet))
    fake_fleet.clock.advance(2)
    take_snapshots.delete_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    for _ in range(40):
        fake_fleet.clock.advance(60)
        take_snapshots.delete_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    scan = fake_fleet.only_scan()
    assert (scan.state, scan.attempts) == (State.DELETING, 0)
    fake_fleet.run()
    assert fake_fleet.only_scan().failure == "given up"
    assert not fake_fleet.ec2.snapshots


def claimed(fake_fleet: FakeFleet) -> Scan:
    scan = fake_fleet.store.scans.get(fake_fleet.only_scan().id)
    fake_fleet.clock.advance(max(0.0, (scan.next_at - fake_fleet.clock()).total_seconds()))
    held = fake_fleet.store.scans.claim(scan.id, (scan.state,), 60)
    assert held is not None
    return held


def deletes_when_completed(fake_fleet: FakeFleet) -> Callable[[str], bool]:
    delete = fake_fleet.ec2.delete_snapshot

    def later(snapshot_id: str) -> bool:
        info = fake_fleet.ec2.snapshots.get(snapshot_id)
        if info is None or info.started_at is None:
            return False
        if (fake_fleet.clock() - info.started_at).total_seconds() < fake_fleet.ec2.pending_seconds:
            return True
        return delete(snapshot_id)

    return later


def test_one_host_that_lags_in_the_middle_of_a_read_costs_no_attempt(fake_fleet: FakeFleet) -> None:
    """A block is refused although others were read: the whole read is made again."""
    refused = iter([True])

    def read(self: FakeSource, _offset: int, length: int) -> bytes:
        if next(refused, False):
            raise SnapshotNotFoundError("does not exist", where=self.name)
        return self._content[:length]

    original = FakeSource.read_at
    FakeSource.read_at = read  # type: ignore[method-assign]
    try:
        fake_fleet.start()
        fake_fleet.run()
    finally:
        FakeSource.read_at = original  # type: ignore[method-assign]
    assert fake_fleet.only_scan().state is State.DONE
