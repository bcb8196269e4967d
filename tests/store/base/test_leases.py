"""Leases by name, the time of what is done once, and queues that nobody attends to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sidelight.model import Instance, State

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock


def test_a_lease_is_one_holders_until_it_ends(store: Store, clock: Clock) -> None:
    leases = store.leases
    assert leases.hold("x", "a", 60)
    assert leases.hold("x", "a", 60), "renewed"
    assert not leases.hold("x", "b", 60)
    assert leases.hold("y", "b", 60), "another's name is another lease"
    clock.advance(60)
    assert leases.hold("x", "b", 60)
    leases.release("x", "a")
    assert not leases.hold("x", "a", 60), "who has lost it gives nothing back"
    leases.release("x", "b")
    assert leases.hold("x", "a", 60)


def test_of_many_at_once_one_gets_it(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(lambda n: store.leases.hold("x", str(n), 60), range(16)))
    assert sum(held) == 1


def test_when_it_was_done_is_known_to_all(store: Store, clock: Clock) -> None:
    assert store.leases.done_at("x") is None
    for _ in range(2):
        clock.advance(5)
        store.leases.done("x")
        assert store.leases.done_at("x") == clock()


def test_a_region_without_a_worker_is_reported(store: Store, clock: Clock) -> None:
    places = [("1" * 12, region, f"i-{n}{region}") for region in ("a", "b") for n in range(3)]
    for account, region, instance in places:
        store.instances.discovered(
            account, region, [Instance(instance, account, region, "running", ())]
        )
    scans = store.scans.create(places, "here", 6)
    for scan in scans:
        store.due_messages.published([scan.id])
    assert store.unclaimed_scans() == [], "they were sent just now"
    clock.advance(61)
    for scan in scans:
        store.due_messages.published([scan.id])
    # In region b a worker is at one of them: the others are a backlog.
    at_work = next(scan for scan in scans if scan.region == "b")
    assert store.scans.claim(at_work.id, [State.NEW], 60) is not None
    (one,) = store.unclaimed_scans()
    assert (one.region, one.state, one.scans) == ("a", "NEW", 3)
