"""What the stages took: recorded with the row that is given back, read as spreads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sidelight.model import LIVE, STAGE_OF, Scan, State, Transition
from sidelight.store.scans.stages import spread, turn
from tests.fixtures.scan_states import advance

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock


def claimed(store: Store, scan_id: str) -> Scan:
    scan = store.scans.claim(scan_id, LIVE, 60)
    assert scan is not None
    return scan


def test_a_stage_has_waited_run_and_taken_its_time(store: Store, clock: Clock) -> None:
    scan = store.scans.create([("1", "r", "i-1")], "here")[0]
    begin = clock()
    clock.advance(5)
    held = claimed(store, scan.id)
    with turn(clock()):
        clock.advance(2)
        transition = store.scans.postpone(held, 10, paced=True)
    assert transition == Transition(State.NEW, clock.time.replace(second=17))
    clock.advance(11)
    held = claimed(store, scan.id)
    with turn(clock()):
        clock.advance(3)
        advance(store, held, State.SNAPSHOTTING)
    (times,) = store.stage_times.times(begin)
    assert (times.stage, times.scans, times.runs) == ("take", 1, 2)
    assert times.waited.p50 == 5 + 1
    assert times.ran.p50 == 2 + 3
    assert times.paced.p50 == 10
    assert times.took.p50 == 5 + 2 + 11 + 3
    assert store.stage_times.times(clock.time.replace(hour=1)) == []


def test_stages_are_listed_in_the_order_of_a_scan(store: Store, clock: Clock) -> None:
    scan = store.scans.create([("1", "r", "i-1")], "here")[0]
    begin = clock()
    for to in (*list(STAGE_OF)[2:], State.DONE):
        held = claimed(store, scan.id)
        with turn(clock()):
            clock.advance(1)
            advance(store, held, to)
    times = store.stage_times.times(begin)
    assert [one.stage for one in times] == ["take", "await", "inspect", "evaluate", "delete"]
    assert {one.took.sum for one in times} == {1.0}


def test_without_a_turn_no_stage_time_is_recorded(store: Store, clock: Clock) -> None:
    scan = store.scans.create([("1", "r", "i-1")], "here")[0]
    advance(store, claimed(store, scan.id), State.DELETING)
    assert store.stage_times.times(clock()) == []


def test_threads_that_wait_at_once_wait_once(clock: Clock) -> None:
    with turn(clock()) as begun:
        threads = [threading.Thread(target=begun.wait, args=(1000.0,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # They begin one after the other, by far less than a wait apart.
    assert 1000.0 <= begun.paced < 1500.0


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_spread_is_of_values_that_there_are(values: list[float]) -> None:
    found = spread(values)
    assert {found.p50, found.p95} <= set(values)
    assert sum(value <= found.p50 for value in values) * 2 >= len(values)
    assert sum(value <= found.p95 for value in values) >= 0.95 * len(values) - 1
    assert found.p50 <= found.p95
