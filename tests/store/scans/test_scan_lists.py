"""Scans for overviews: counted by state, listed by age and by failure, within a scope."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sidelight.model import State
from tests.fakes.clocks import START
from tests.fixtures.scan_states import advance
from tests.fixtures.stored_findings import ACCOUNT, in_state

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

OTHER = frozenset({"999999999999"})


def test_live_scans_are_counted_by_what_they_do(store: Store, clock: Clock) -> None:
    in_state(store, State.READING, "i-1")
    store.scans.create([(ACCOUNT, "eu-west-1", "i-2")], "here")
    states = {item.state: item for item in store.scan_lists.states(None)}
    assert (states[State.READING].count, states[State.READING].held) == (1, 1)
    assert (states[State.NEW].held, states[State.NEW].queued) == (0, 1)
    clock.advance(3600)
    states = {item.state: item for item in store.scan_lists.states({ACCOUNT})}
    assert states[State.READING].held == 0, "its lease has ended"
    assert store.scan_lists.states(OTHER) == []


def test_the_slowest_begin_first(store: Store, clock: Clock) -> None:
    for number in range(3):
        in_state(store, State.READING, f"i-{number}")
        clock.advance(60)
    slowest = store.scan_lists.slowest(None, 2)
    assert [scan.instance for scan in slowest] == ["i-0", "i-1"]
    assert store.scan_lists.slowest(OTHER) == []


def test_ended_scans_are_counted_since_a_time(store: Store, clock: Clock) -> None:
    advance(store, in_state(store, State.READING, "i-1"), State.DONE)
    clock.advance(7200)
    advance(store, in_state(store, State.READING, "i-2"), State.FAILED)
    assert store.scan_lists.ended(None, START) == {State.DONE: 1, State.FAILED: 1}
    late = START + timedelta(hours=1)
    assert store.scan_lists.ended(None, late) == {State.FAILED: 1}
    assert [scan.instance for scan in store.scan_lists.failed(None, late)] == ["i-2"]
    assert store.scan_lists.failed(OTHER, late) == []
    assert store.scan_lists.ended(OTHER, START) == {}
