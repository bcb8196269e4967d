"""One snapshot poll serves all scans that wait in an account and region, each by itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sidelight.fleet.stages import take_snapshots
from sidelight.fleet.stages.poll_snapshots import AT_ONCE, poll
from sidelight.model import Scan, State
from tests.fakes.tripwire import KilledError, Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.fake_fleet import FakeFleet

MACHINES = 5


@pytest.fixture
def fleet(make_fake_fleet: Callable[..., FakeFleet]) -> FakeFleet:
    """A fleet whose snapshots are made and pending; the first's message is the look's."""
    return taken(make_fake_fleet(machines=MACHINES))


def taken(fake_fleet: FakeFleet) -> FakeFleet:
    jobs = [
        take_snapshots.take_snapshots(fake_fleet.context, scan.id) for scan in fake_fleet.start()
    ]
    assert [following is not None for following in jobs] == [True] + [False] * (len(jobs) - 1)
    fake_fleet.queue.clear()
    fake_fleet.trip.armed = True
    return fake_fleet


def looked(fake_fleet: FakeFleet) -> Counter[State]:
    """What is to be published after a snapshot poll, by state."""
    first = fake_fleet.store.scans.select()[0]
    return Counter(following.state for _, following in poll(fake_fleet.context, first.id))


def test_one_describe_serves_all(fleet: FakeFleet) -> None:
    fleet.clock.advance(2)
    assert looked(fleet) == {State.SNAPSHOTS_PENDING: 1}
    fleet.clock.advance(30)
    assert looked(fleet) == {State.READING: MACHINES}
    assert fleet.trip.seen.count("ec2.describe_by_id") == 2
    assert fleet.states() == {State.READING}
    assert {s.state for scan in fleet.store.scans.select()
            for s in fleet.store.scans.snapshots(scan.id)} == {"completed"}  # fmt: skip


def test_a_snapshot_poll_that_is_scheduled_is_not_scheduled_again(fleet: FakeFleet) -> None:
    fleet.clock.advance(2)
    looked(fleet)
    assert looked(fleet) == {}, "nothing is due, and the next look has its message"
    assert fleet.trip.seen.count("ec2.describe_by_id") == 1


def test_a_snapshot_poll_whose_message_was_lost_is_scheduled_by_the_next_scan(
    fleet: FakeFleet,
) -> None:
    fleet.clock.advance(2)
    looked(fleet)
    fleet.clock.advance(11)
    first, *_ = fleet.store.scans.select()
    fleet.store.scans.fail(claimed(fleet, first.id), "is over", "INTERNAL_ERROR")
    while fleet.store.scans.get(first.id).state is not State.FAILED:
        take_snapshots.delete_snapshots(fleet.context, first.id)
        fleet.clock.advance(2)
    (again,) = fleet.start()
    following = take_snapshots.take_snapshots(fleet.context, again.id)
    assert following is not None
    assert following.state is State.SNAPSHOTS_PENDING


def claimed(fake_fleet: FakeFleet, scan_id: str) -> Scan:
    scan = fake_fleet.store.scans.claim(scan_id, {State.SNAPSHOTS_PENDING}, 60)
    assert scan is not None
    return scan


@pytest.mark.slow
def test_an_id_that_vanished_holds_nobody_up(fleet: FakeFleet) -> None:
    fleet.clock.advance(30)
    fleet.ec2.snapshots.popitem()
    found = looked(fleet)
    assert found == {State.READING: MACHINES - 1, State.SNAPSHOTS_PENDING: 1}
    fleet.trip.armed = False
    fleet.run()
    states = Counter(scan.state for scan in fleet.store.scans.select())
    assert states == {State.DONE: MACHINES - 1, State.FAILED: 1}
    assert not fleet.ec2.snapshots


def test_a_snapshot_in_error_is_its_own_scans_failure(fleet: FakeFleet) -> None:
    fleet.ec2.broken = {"vol-2-1"}
    fleet.clock.advance(30)
    assert looked(fleet) == {State.READING: MACHINES - 1, State.DELETING: 1}


def test_after_a_failed_snapshot_poll_each_scan_is_polled_separately(fleet: FakeFleet) -> None:
    fleet.clock.advance(30)
    fleet.trip.decide = lambda number, name: (
        Mode.FAIL_BEFORE if name == "ec2.describe_by_id" and number < 8 else None
    )
    assert looked(fleet) == {State.SNAPSHOTS_PENDING: MACHINES}
    assert {scan.attempts for scan in fleet.store.scans.select()} == {1}
    fleet.clock.advance(30)
    scans = fleet.store.scans.select()
    for scan in scans:
        assert Counter(n.state for _, n in poll(fleet.context, scan.id)) == {State.READING: 1}
    assert fleet.trip.seen.count("ec2.describe_by_id") == 1 + MACHINES


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Mode.KILL_BEFORE, Mode.KILL_AFTER])
@pytest.mark.parametrize("point", ["ec2.describe_by_id", "store.committed"])
def test_a_worker_killed_during_a_snapshot_poll_costs_only_a_delay(
    fleet: FakeFleet, mode: Mode, point: str
) -> None:
    fleet.clock.advance(30)
    fleet.trip.decide = lambda _, name: mode if name == point else None
    with pytest.raises(KilledError):
        looked(fleet)
    fleet.trip.armed = False
    fleet.run()
    assert fleet.states() == {State.DONE}
    assert not fleet.ec2.snapshots
    assert fleet.ec2.created == 2 * MACHINES


def test_two_snapshot_polls_at_once_share_the_scans(fleet: FakeFleet) -> None:
    fleet.clock.advance(30)
    store, (first, *_) = fleet.store, fleet.store.scans.select()
    claimed_scans = store.snapshot_polls.claim_waiting(first.account, first.region, 60, 2)
    others = store.snapshot_polls.claim_waiting(first.account, first.region, 60, AT_ONCE)
    assert (len(claimed_scans), len(others)) == (2, MACHINES - 2)
    assert not {scan.id for scan in claimed_scans} & {scan.id for scan in others}
    assert store.snapshot_polls.claim_waiting(first.account, "elsewhere", 60, AT_ONCE) == []
