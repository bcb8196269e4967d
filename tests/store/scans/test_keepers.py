"""A keeper has its scan over all stages: no worker gets it in between, and any when it is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.errors import LeaseLostError
from sidelight.model import LIVE, Keeper, Scan, State
from tests.fixtures.scan_states import advance

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

PLACE = ("123456789012", "eu-west-1", "i-1")
KEEPER = Keeper.new(60)


def new_scan(store: Store) -> Scan:
    return store.scans.create([PLACE], "here", keeper=KEEPER)[0]


def claimed(store: Store, scan_id: str, keeper: Keeper | None = None) -> Scan:
    scan = store.scans.claim(scan_id, LIVE, 60, keeper)
    assert scan is not None
    return scan


def test_it_is_the_keepers_from_the_row_to_the_end(store: Store, clock: Clock) -> None:
    scan = new_scan(store)
    for state in (State.SNAPSHOTTING, State.DELETING, State.DONE):
        assert store.scans.claim(scan.id, LIVE, 60) is None
        assert store.due_messages.due(10) == []
        held = claimed(store, scan.id, KEEPER)
        clock.advance(59)
        assert store.scans.renew(held, 60)
        advance(store, held, state)
    assert store.scans.get(scan.id).lease == ""


def test_it_is_kept_while_its_keeper_waits(store: Store, clock: Clock) -> None:
    scan = new_scan(store)
    store.scans.postpone(claimed(store, scan.id, KEEPER), 300)
    for _ in range(6):
        clock.advance(50)
        store.scans.keep(scan.id, KEEPER)
        assert store.scans.claim(scan.id, LIVE, 60) is None
        assert store.due_messages.due(10) == []
    assert claimed(store, scan.id, KEEPER).attempts == 1


def test_a_dead_keepers_is_any_workers(store: Store, clock: Clock) -> None:
    scan = new_scan(store)
    held = claimed(store, scan.id, KEEPER)
    advance(store, held, State.SNAPSHOTTING)
    clock.advance(61)
    assert [due.id for due in store.due_messages.due(10)] == [scan.id]
    other = claimed(store, scan.id)
    # The keeper was not dead after all: it changes nothing, and waits as anybody.
    store.scans.keep(scan.id, KEEPER)
    store.scans.let_go(scan.id, KEEPER)
    assert store.scans.get(scan.id).lease == other.lease
    assert store.scans.claim(scan.id, LIVE, 60, KEEPER) is None
    with pytest.raises(LeaseLostError):
        advance(store, held, State.SNAPSHOTS_PENDING)
    advance(store, other, State.SNAPSHOTS_PENDING)
    assert claimed(store, scan.id, KEEPER).kept


def test_what_is_let_go_is_any_workers_at_once(store: Store) -> None:
    scan = new_scan(store)
    claimed(store, scan.id, KEEPER)
    store.scans.let_go(scan.id, KEEPER)
    assert [due.id for due in store.due_messages.due(10)] == [scan.id]
    assert not claimed(store, scan.id).kept


def test_two_keepers_are_two(store: Store) -> None:
    scan = new_scan(store)
    assert store.scans.claim(scan.id, LIVE, 60, Keeper.new(60)) is None


def test_each_claim_has_a_token_of_its_own(store: Store) -> None:
    """By which the snapshots of one call are distinguished from another's."""
    scan = new_scan(store)
    leases = set()
    for _ in range(2):
        held = claimed(store, scan.id, KEEPER)
        leases.add(held.lease)
        store.scans.postpone(held, 0)
    assert len(leases) == 2


def test_a_keepers_scan_neither_schedules_nor_joins_a_workers_snapshot_poll(
    store: Store, clock: Clock
) -> None:
    """A worker's scan must not wait for a look that nobody brings, nor look at a keeper's."""
    own = new_scan(store)
    pend(store, claimed(store, own.id, KEEPER))
    assert store.snapshot_polls.schedule(own, 10) is None
    (other,) = store.scans.create([(*PLACE[:2], "i-2")], "here")
    pend(store, claimed(store, other.id))
    assert store.snapshot_polls.schedule(own, 10) is None, "the worker's own message is on its way"
    clock.advance(2)
    waiting = store.snapshot_polls.claim_waiting(*PLACE[:2], 60, 10)
    assert [scan.id for scan in waiting] == [other.id]
    clock.advance(60)
    assert [scan.id for scan in store.snapshot_polls.claim_waiting(*PLACE[:2], 60, 10)] != []


def pend(store: Store, scan: Scan) -> None:
    store.scans.intend(scan)
    held = store.scans.get(scan.id)
    store.snapshot_polls.pend(held, [], first=1.0, every=10.0)
