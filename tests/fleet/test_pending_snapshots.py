"""AWS's limit on pending snapshots, which the account's backups share with us."""

from __future__ import annotations

import heapq
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.enqueue import tick
from sidelight.aws.ec2 import SnapshotInfo
from sidelight.errors import UsageError
from sidelight.fleet.pending_snapshots import pending_cap, share
from sidelight.fleet.settings import Settings
from sidelight.fleet.stages import take_snapshots
from sidelight.model import State
from sidelight.store.scans.account_limits import FIRST_PROBE, LONGEST_PROBE, PROBE_SECONDS
from tests.fakes.fake_ec2 import ACCOUNT, REGION
from tests.fakes.tripwire import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.fake_fleet import FakeFleet

HERE = (ACCOUNT, REGION)
HOURS = 1.5 * 3600  # seconds


class Heap:
    """A queue that gives the message that is due first."""

    def __init__(self) -> None:
        self._items: list[Any] = []

    def append(self, item: Any) -> None:
        heapq.heappush(self._items, item)

    def popleft(self) -> Any:
        return heapq.heappop(self._items)

    def __len__(self) -> int:
        return len(self._items)


class Backups:
    """Another tool of the account's: it holds so many snapshots pending, and makes new ones."""

    def __init__(self, fake_fleet: FakeFleet, wanted: int, seconds: float) -> None:
        self.world, self.wanted, self.seconds = fake_fleet, wanted, seconds
        self.refused = self.most = self.number = 0

    def step(self) -> None:
        ec2, now = self.world.ec2, self.world.clock()
        ended = now - timedelta(seconds=self.seconds)
        ec2.others = [one for one in ec2.others if one.started_at and one.started_at > ended]
        while len(ec2.others) < self.wanted:
            if ec2.pending() + len(ec2.others) >= ec2.pending_limit:
                self.refused += 1
                return
            self.number += 1
            ec2.others.append(
                SnapshotInfo(f"snap-b{self.number}", "vol-b", "pending", "nightly", now)
            )
        self.most = max(self.most, ec2.pending() + len(ec2.others))


def run_in_order(fake_fleet: FakeFleet, meanwhile: Callable[[], None]) -> None:
    """To the end, each message when it is due."""
    queue: Any = Heap()
    for item in fake_fleet.queue:
        queue.append(item)
    fake_fleet.queue = queue
    ticked = fake_fleet.clock()
    while True:
        meanwhile()
        if (fake_fleet.clock() - ticked).total_seconds() > 60:
            tick(fake_fleet.store, fake_fleet._publish)
            ticked = fake_fleet.clock()
        if not fake_fleet._work() and not fake_fleet.store.scans.select(live=True):
            return


@pytest.mark.slow
@pytest.mark.parametrize("machines", [100, pytest.param(400, marks=pytest.mark.long)])
def test_machines_with_slow_snapshots_beside_another_tools_forty(
    make_fake_fleet: Callable[..., FakeFleet], machines: int
) -> None:
    """All are scanned, no call is refused, and the other tool always has its half."""
    # Waiting scans ask for room rarely, so that the simulation takes seconds.
    patience = {"backoff_seconds": 150.0, "longest_backoff_seconds": 1200.0}
    fake_fleet = make_fake_fleet(machines=machines, disks=1, **patience)
    fake_fleet.ec2.pending_limit, fake_fleet.ec2.pending_seconds = 100, 600.0
    backups = Backups(fake_fleet, 40, 900.0)
    began = fake_fleet.clock()

    def meanwhile() -> None:
        # From time to time it wants as much as its half.
        hour = (fake_fleet.clock() - began).total_seconds() / 3600
        backups.wanted = 50 if hour % 1 > 0.5 else 40
        backups.step()

    backups.step()
    fake_fleet.start()
    run_in_order(fake_fleet, meanwhile)
    assert fake_fleet.states() == {State.DONE}
    assert fake_fleet.ec2.refused == 0
    assert backups.refused == 0
    assert backups.most <= 100
    assert not fake_fleet.ec2.snapshots
    hours = (fake_fleet.clock() - began).total_seconds() / 3600
    assert hours < 2 * machines / 25 * 600 / 3600, "what is free is used"


def test_by_default_half_of_what_others_leave_free_is_ours(make_fake_fleet: Any) -> None:
    fake_fleet = make_fake_fleet()
    (scan,) = fake_fleet.start()
    assert pending_cap(fake_fleet.context, scan) == 50
    for others, cap in ((40, 30), (98, 1), (99, 1), (100, 0), (120, 0)):
        fake_fleet.ec2.others = [
            SnapshotInfo(f"snap-{n}", "vol-b", "pending") for n in range(others)
        ]
        fake_fleet.clock.advance(20)
        assert pending_cap(fake_fleet.context, scan) == cap


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_our_share_fits_beside_the_others_and_leaves_them_as_much(quota: int, others: int) -> None:
    own_share = share(quota, others)
    assert own_share + others <= max(quota, others)
    assert own_share <= max(1, quota - others - own_share)
    assert (own_share > 0) == (others < quota)


def test_our_own_are_not_others_and_another_deployments_are(make_fake_fleet: Any) -> None:
    fake_fleet = make_fake_fleet(machines=2)
    first, second = fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, first.id)
    fake_fleet.clock.advance(20)
    assert pending_cap(fake_fleet.context, second) == 50
    fake_fleet.clock.advance(20)
    other = replace(fake_fleet.context, deployment="another")
    fake_fleet.ec2.pending_seconds = 1e6
    assert pending_cap(other, second) == (100 - 2) // 2


def test_an_adjusted_quota_is_used(make_fake_fleet: Any) -> None:
    fake_fleet = make_fake_fleet()
    (scan,) = fake_fleet.start()
    assert fake_fleet.store.account_limits.claim_quotas(*HERE, 86400)
    fake_fleet.store.account_limits.note_quotas(*HERE, pending=500, get=None, listing=None)
    assert pending_cap(fake_fleet.context, scan) == 250


def test_a_number_of_the_operators_is_kept_to(make_fake_fleet: Any) -> None:
    fake_fleet = make_fake_fleet(snapshots_pending=7)
    (scan,) = fake_fleet.start()
    fake_fleet.ec2.others = [SnapshotInfo(f"snap-{n}", "vol-b", "pending") for n in range(99)]
    fake_fleet.store.account_limits.claim_quotas(*HERE, 86400)
    fake_fleet.store.account_limits.note_quotas(*HERE, pending=500, get=None, listing=None)
    assert pending_cap(fake_fleet.context, scan) == 7
    unlimited = replace(fake_fleet.context, settings=Settings.of(snapshots_pending=0))
    assert pending_cap(unlimited, scan) is None


@pytest.mark.parametrize("text", ["-1", "many", "1.5", ""])
def test_what_is_not_a_number_is_refused_with_the_variables_name(text: str) -> None:
    with pytest.raises(UsageError, match="SIDELIGHT_SNAPSHOTS_PENDING"):
        Settings.from_environment({"SIDELIGHT_SNAPSHOTS_PENDING": text})


def test_what_is_pending_is_counted_rarely_and_stops_no_scan(make_fake_fleet: Any) -> None:
    fake_fleet = make_fake_fleet(machines=3)
    fake_fleet.trip.armed = True
    fake_fleet.trip.decide = lambda _, name: (
        Mode.FAIL_BEFORE if name == "ec2.describe_pending" else None
    )
    for scan in fake_fleet.start():
        take_snapshots.take_snapshots(fake_fleet.context, scan.id)
    assert fake_fleet.trip.seen.count("ec2.describe_pending") == 1
    assert fake_fleet.ec2.created == 6


def test_completed_snapshots_take_no_room_though_they_exist(make_fake_fleet: Any) -> None:
    fake_fleet = make_fake_fleet(machines=2, snapshots_pending=2)
    first, second = fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, first.id)
    take_snapshots.take_snapshots(fake_fleet.context, second.id)
    assert fake_fleet.store.scans.get(second.id).state is State.NEW
    fake_fleet.clock.advance(60)
    take_snapshots.await_snapshots(fake_fleet.context, first.id)
    assert fake_fleet.store.scans.get(first.id).state is State.READING
    take_snapshots.take_snapshots(fake_fleet.context, second.id)
    assert fake_fleet.store.scans.get(second.id).state is State.SNAPSHOTS_PENDING


def test_a_deleted_snapshot_that_was_pending_takes_room_until_its_end(make_fake_fleet: Any) -> None:
    """EC2 deletes it when it is completed."""
    fake_fleet = make_fake_fleet(machines=2, snapshots_pending=2, snapshot_seconds=30.0)
    fake_fleet.ec2.pending_seconds = 1e6
    first, second = fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, first.id)
    fake_fleet.clock.advance(60)
    take_snapshots.await_snapshots(fake_fleet.context, first.id)
    assert fake_fleet.store.scans.get(first.id).state is State.DELETING
    take_snapshots.take_snapshots(fake_fleet.context, second.id)
    assert fake_fleet.store.scans.get(second.id).state is State.NEW


def refused_world(make_fake_fleet: Any, machines: int = 20) -> FakeFleet:
    """Others have all of AWS's limit, and the operator's own number does not look at them."""
    fake_fleet: FakeFleet = make_fake_fleet(machines=machines, disks=1, snapshots_pending=50)
    fake_fleet.ec2.pending_limit = 100
    fake_fleet.ec2.others = [SnapshotInfo(f"snap-{n}", "vol-b", "pending") for n in range(100)]
    return fake_fleet


@pytest.mark.slow
def test_in_a_full_account_region_one_scan_at_a_time_retries_less_and_less_often(
    make_fake_fleet: Any,
) -> None:
    fake_fleet = refused_world(make_fake_fleet, machines=6)
    fake_fleet.start()
    fake_fleet.trip.armed = True
    times: list[float] = []
    began = fake_fleet.clock()
    calls = 0

    def meanwhile() -> None:
        nonlocal calls
        now = fake_fleet.trip.seen.count("ec2.create_snapshots")
        if now > calls:
            times.append((fake_fleet.clock() - began).total_seconds())
            calls = now
        if times and times[-1] > HOURS:
            fake_fleet.ec2.others = []

    run_in_order(fake_fleet, meanwhile)
    assert fake_fleet.states() == {State.DONE}, "waited for without a bound"
    assert fake_fleet.ec2.refused < HOURS / LONGEST_PROBE + 10
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] >= FIRST_PROBE - 1
    refused = gaps[: fake_fleet.ec2.refused - 1]
    assert all(gap >= min(LONGEST_PROBE, FIRST_PROBE * 2**n) for n, gap in enumerate(refused))


def test_a_refused_scan_loses_no_attempt_frees_its_quota_and_says_why(
    make_fake_fleet: Any,
) -> None:
    fake_fleet = refused_world(make_fake_fleet, machines=1)
    fake_fleet.start()
    following = take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    scan = fake_fleet.only_scan()
    assert following is not None
    assert (scan.state, scan.attempts, scan.failure) == (State.NEW, 0, "")
    assert "PendingSnapshotLimitExceeded" in scan.last_error
    assert scan.last_error.startswith("waiting: ")
    assert fake_fleet.store.totals.snapshots_in_flight() == []
    fake_fleet.ec2.others = []
    fake_fleet.run()
    assert (fake_fleet.only_scan().state, fake_fleet.only_scan().last_error) == (State.DONE, "")


def test_coverage_says_what_a_scan_waits_for(make_fake_fleet: Any) -> None:
    fake_fleet = refused_world(make_fake_fleet, machines=1)
    fake_fleet.start()
    fake_fleet.run_one()
    fake_fleet.ec2.others = []
    fake_fleet.run()
    fake_fleet.ec2.others = [SnapshotInfo(f"snap-{n}", "vol-b", "pending") for n in range(100)]
    fake_fleet.start()
    fake_fleet.run_one()
    assert "PendingSnapshotLimitExceeded" in fake_fleet.store.instances.coverage()[0].detail


def test_a_scan_whose_first_call_was_lost_waits_as_well(make_fake_fleet: Any) -> None:
    """It may have snapshots already, so that it keeps its place; it is not a second probe."""
    fake_fleet = refused_world(make_fake_fleet, machines=2)
    first, second = fake_fleet.start()
    held = fake_fleet.store.scans.claim(first.id, (State.NEW,), 60)
    assert held is not None
    fake_fleet.store.scans.intend(held, {"vol-0-0": 3})
    fake_fleet.clock.advance(61)
    take_snapshots.take_snapshots(fake_fleet.context, second.id)
    take_snapshots.take_snapshots(fake_fleet.context, first.id)
    assert fake_fleet.ec2.refused == 1
    waiting = fake_fleet.store.scans.get(first.id)
    assert (waiting.state, waiting.attempts) == (State.SNAPSHOTTING, 1)
    fake_fleet.ec2.others = []
    fake_fleet.run()
    assert fake_fleet.states() == {State.DONE}


def test_a_probe_whose_worker_died_is_followed_by_another(make_fake_fleet: Any) -> None:
    fake_fleet = refused_world(make_fake_fleet, machines=1)
    limits = fake_fleet.store.account_limits
    limits.refused(*HERE)
    assert limits.admit(*HERE) is not None
    fake_fleet.clock.advance(FIRST_PROBE)
    assert limits.admit(*HERE) is None
    assert limits.admit(*HERE) is not None, "one at a time"
    fake_fleet.clock.advance(PROBE_SECONDS)
    assert limits.admit(*HERE) is None
    limits.passed(*HERE)
    assert limits.admit(*HERE) is None
    assert limits.admit(*HERE) is None


def test_calls_that_were_under_way_at_the_first_refusal_make_no_wait_longer(
    make_fake_fleet: Any,
) -> None:
    limits = refused_world(make_fake_fleet, machines=1).store.account_limits
    first = limits.refused(*HERE)
    assert limits.refused(*HERE) == first
    assert limits.of(*HERE).refused_wait == FIRST_PROBE
    assert limits.refused(*HERE, probe=True) - first == timedelta(seconds=FIRST_PROBE)


def test_another_account_region_is_not_held_up(make_fake_fleet: Any) -> None:
    fake_fleet = refused_world(make_fake_fleet, machines=1)
    fake_fleet.store.account_limits.refused(*HERE)
    assert fake_fleet.store.account_limits.admit(ACCOUNT, "another-region-1") is None


def test_another_error_of_creation_is_no_refusal(make_fake_fleet: Any) -> None:
    fake_fleet = make_fake_fleet()
    fake_fleet.ec2.refuse[fake_fleet.instances[0].id] = "SnapshotLimitExceeded"
    fake_fleet.start()
    take_snapshots.take_snapshots(fake_fleet.context, fake_fleet.only_scan().id)
    assert fake_fleet.only_scan().state is State.SNAPSHOTTING
    assert fake_fleet.store.account_limits.of(*HERE).refused_wait == 0
