"""Ended scans are kept for a month; what an instance's last ones say, and all costs, for longer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import StoreError
from sidelight.model import LIVE, Cost, Coverage, Instance, Scan, Snapshot, State
from tests.fixtures.scan_states import reach

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

ACCOUNT, REGION = "123456789012", "eu-west-1"
DAY = 86400.0


def instance(number: int) -> Instance:
    return Instance(f"i-{number}", ACCOUNT, REGION, "running", ())


def ended(store: Store, number: int, state: State = State.DONE, *, usd: float = 0.5) -> Scan:
    """A scan of the instance that cost so much, with its snapshot and an event."""
    (scan,) = store.scans.create([(ACCOUNT, REGION, f"i-{number}")], "here")
    store.costs.add(Cost(scan.id, get_calls=3, usd=usd))
    snapshot = Snapshot(
        f"snap-{scan.id}", scan.id, "vol", 0, "deleted", store.clock(), store.clock()
    )
    store.scans.receipted([snapshot])
    store.scans.note(scan.id, "seen")
    held = store.scans.claim(scan.id, LIVE, 60)
    assert held is not None
    covered = Coverage(ACCOUNT, REGION, scan.instance, "", "ACTIVE", "SUCCESSFUL")
    store.instances.finish(reach(store, held, State.DELETING), state, covered)
    return scan


def kept(store: Store) -> list[str]:
    return [scan.id for scan in store.scans.select()]


def test_a_month_after_its_end_a_scan_goes_with_its_snapshots_and_events(
    store: Store, clock: Clock
) -> None:
    store.instances.discovered(ACCOUNT, REGION, [instance(1)])
    old = ended(store, 1)
    clock.advance(DAY)
    new = ended(store, 1)
    clock.advance(29 * DAY - 1)
    assert store.retention.run().scans == 0
    clock.advance(1)
    assert store.retention.run().scans == 1
    assert kept(store) == [new.id]
    with pytest.raises(StoreError, match="no such scan"):
        store.scans.get(old.id)
    assert not store.scans.snapshots(old.id)
    assert not store.scans.events(old.id)
    assert store.scans.snapshots(new.id)
    assert store.scans.events(new.id)
    assert not store.costs.of([old.id])


def test_a_scan_with_a_snapshot_that_may_be_left_stays_to_prove_it(
    store: Store, clock: Clock
) -> None:
    store.instances.discovered(ACCOUNT, REGION, [instance(1)])
    failed = ended(store, 1, State.FAILED)
    store.scans.receipted([Snapshot("snap-left", failed.id, "vol", 1, "completed", clock())])
    clock.advance(DAY)
    ended(store, 1)
    clock.advance(100 * DAY)
    assert store.origins.undeleted(ACCOUNT, REGION) == {"snap-left": failed.id}
    assert store.retention.run().scans == 0
    store.scans.seen_gone(["snap-left"], "a look")
    assert store.origins.undeleted(ACCOUNT, REGION) == {}
    assert store.retention.run().scans == 1


def test_an_instances_last_scan_and_its_last_that_was_done_stay(store: Store, clock: Clock) -> None:
    store.instances.discovered(ACCOUNT, REGION, [instance(1)])
    scans = []
    for state in (State.FAILED, State.DONE, State.DONE, State.FAILED, State.FAILED):
        scans.append(ended(store, 1, state))
        clock.advance(DAY)
    (before,) = store.instances.known()
    clock.advance(60 * DAY)
    assert store.retention.run().scans == 3
    assert kept(store) == [scans[2].id, scans[4].id]
    assert store.instances.known() == [before]


def test_of_an_instance_that_is_gone_and_of_a_live_scan(store: Store, clock: Clock) -> None:
    store.instances.discovered(ACCOUNT, REGION, [instance(1), instance(2)])
    ended(store, 1)
    (live,) = store.scans.create([(ACCOUNT, REGION, "i-2")], "here")
    store.instances.discovered(ACCOUNT, REGION, [])
    clock.advance(60 * DAY)
    assert store.retention.run().scans == 1
    assert kept(store) == [live.id]


def test_costs_add_up_as_before(store: Store, clock: Clock) -> None:
    store.instances.discovered(ACCOUNT, REGION, [instance(1), instance(2)])
    start = clock()
    for day in range(3):
        for number in (1, 2):
            ended(store, number, usd=0.25 + day)
        clock.advance(DAY)
    ways: tuple[list[str], ...] = ([], ["day"], ["account", "region"], ["day", "account", "region"])
    before = [store.costs.sums(by) for by in ways]
    assert (before[0][0].scans, before[0][0].usd) == (6, 7.5)
    clock.advance(60 * DAY)
    with ThreadPoolExecutor(4) as pool:
        tidied = [pool.submit(store.retention.run) for _ in range(4)]
    assert sum(one.result().scans for one in tidied) == 4
    assert [store.costs.sums(by) for by in ways] == before
    assert [one.day for one in store.costs.sums(["day"], start.replace(day=2))] == [
        "2026-01-02", "2026-01-03",
    ]  # fmt: skip
    # And again, where a day has some already.
    for number in (1, 2):
        ended(store, number, usd=1.0)
    clock.advance(60 * DAY)
    assert store.retention.run().scans == 2
    assert store.costs.sums()[0] == replace(before[0][0], scans=8, get_calls=24, usd=9.5)
