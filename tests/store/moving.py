"""Put a scan where a test needs it, by the steps that the table of states allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.model import TRANSITIONS, Scan, Snapshot, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.store import Store

LEASE = 60.0


def steps(begin: State, end: State) -> list[State]:
    """The shortest way from one state to another, without the first."""
    ways = {begin: [begin]}
    while end not in ways:
        ways |= {
            to: [*way, to]
            for state, way in list(ways.items())
            for to in sorted(TRANSITIONS[state])
            if to not in ways
        }
    return ways[end][1:] or [end]


def reach(store: Store, held: Scan, state: State) -> Scan:
    """The scan in this state, claimed."""
    for to in steps(held.state, state):
        store.scans.advance(held, to)
        again = store.scans.claim(held.id, [to], LEASE)
        assert again is not None
        held = again
    return held


def advance(store: Store, held: Scan, to: State, *, made: Sequence[Snapshot] = ()) -> None:
    """Give a claimed scan back in this state; `made` are snapshots to remember."""
    *before, last = steps(held.state, to)
    if before:
        held = reach(store, held, before[-1])
    store.scans.advance(held, last, made=made)
