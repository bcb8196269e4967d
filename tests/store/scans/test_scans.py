"""The scan's row: one worker at a time, nothing forgotten, no late worker does harm."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import LeaseLostError, StoreError
from sidelight.model import LIVE, Coverage, Scan, Snapshot, State, Transition
from sidelight.store import PollResult, QuotaExceeded, Store
from tests.fixtures.scan_states import advance

if TYPE_CHECKING:
    from tests.fakes.clocks import Clock


PLACE = ("123456789012", "eu-west-1", "i-1")


def new(store: Store) -> Scan:
    return store.scans.create([PLACE], "here")[0]


def claimed(store: Store, scan_id: str, seconds: float = 60) -> Scan:
    scan = store.scans.claim(scan_id, LIVE, seconds)
    assert scan is not None
    return scan


def test_an_instance_has_one_live_scan(store: Store) -> None:
    first = new(store)
    assert store.scans.create([PLACE, (*PLACE[:2], "i-2")], "here")[0].instance == "i-2"
    advance(store, claimed(store, first.id), State.DONE)
    assert len(store.scans.create([PLACE], "here")) == 1


def test_a_claim_excludes_others_until_the_lease_ends(store: Store, clock: Clock) -> None:
    scan = new(store)
    held = claimed(store, scan.id)
    assert store.scans.claim(scan.id, LIVE, 60) is None
    clock.advance(61)
    other = claimed(store, scan.id)
    assert other.attempts == held.attempts + 1
    with pytest.raises(LeaseLostError):
        advance(store, held, State.READING)
    assert not store.scans.renew(held, 60)
    assert store.scans.get(scan.id).state is State.NEW


def test_a_heartbeat_keeps_the_lease(store: Store, clock: Clock) -> None:
    held = claimed(store, new(store).id)
    clock.advance(50)
    assert store.scans.renew(held, 60)
    clock.advance(50)
    assert store.scans.claim(held.id, LIVE, 60) is None
    advance(store, held, State.READING)


def test_a_claim_is_only_for_the_states_asked_for(store: Store) -> None:
    assert store.scans.claim(new(store).id, {State.READING}, 60) is None


def test_of_many_workers_one_gets_the_scan(store: Store) -> None:
    scan = new(store)
    barrier = threading.Barrier(8)

    def race(_: int) -> Scan | None:
        barrier.wait()
        return store.scans.claim(scan.id, LIVE, 60)

    with ThreadPoolExecutor(8) as pool:
        claims = [won for won in pool.map(race, range(8)) if won is not None]
    assert len(claims) == 1
    assert store.scans.get(scan.id).attempts == 1


def test_a_stage_cannot_be_left_twice(store: Store) -> None:
    held = claimed(store, new(store).id)
    snapshots = [Snapshot("snap-1", held.id, "vol-1", 0, "pending", store.clock())]
    advance(store, held, State.SNAPSHOTS_PENDING, created=snapshots)
    again = [Snapshot("snap-2", held.id, "vol-1", 0, "pending", store.clock())]
    with pytest.raises(LeaseLostError):
        advance(store, held, State.SNAPSHOTS_PENDING, created=again)
    assert [snapshot.id for snapshot in store.scans.snapshots(held.id)] == ["snap-1"]


def test_the_intent_keeps_the_lease(store: Store) -> None:
    held = claimed(store, new(store).id)
    store.scans.intend(held)
    present = store.scans.get(held.id)
    assert (present.state, present.lease) == (State.SNAPSHOTTING, held.lease)


def test_a_postponed_scan_is_not_claimed_before_its_time(store: Store, clock: Clock) -> None:
    held = claimed(store, new(store).id)
    store.scans.postpone(held, 30, error="throttled")
    assert store.scans.claim(held.id, LIVE, 60) is None
    clock.advance(30)
    again = claimed(store, held.id)
    assert (again.attempts, again.last_error) == (2, "throttled")


def test_a_message_that_a_clock_brings_a_little_early_is_in_time(
    store: Store, clock: Clock
) -> None:
    held = claimed(store, new(store).id)
    store.scans.postpone(held, 30)
    clock.advance(29.95)
    assert claimed(store, held.id).attempts == 1


def test_waiting_is_no_attempt(store: Store) -> None:
    held = claimed(store, new(store).id)
    store.scans.postpone(held, 0)
    assert claimed(store, held.id).attempts == 1


def test_waiting_forgets_no_attempt_of_a_dead_worker(store: Store, clock: Clock) -> None:
    held = claimed(store, new(store).id)
    clock.advance(61)
    store.scans.postpone(claimed(store, held.id), 0)
    assert claimed(store, held.id).attempts == 2


def test_a_failure_goes_by_way_of_deletion(store: Store) -> None:
    held = claimed(store, new(store).id)
    store.scans.fail(held, "the instance is gone", "RESOURCE_TERMINATED")
    present = store.scans.get(held.id)
    assert (present.state, present.failure, present.attempts) == (
        State.DELETING,
        "the instance is gone",
        0,
    )
    assert store.scans.events(held.id)[-1].detail == "the instance is gone"


def test_a_new_scan_is_due_for_publication_until_it_is_published(
    store: Store, clock: Clock
) -> None:
    scan = new(store)
    assert [one.id for one in store.due_messages.due(10)] == [scan.id]
    store.due_messages.published([scan.id])
    assert not store.due_messages.due(10)
    clock.advance(61)  # the message is lost, or the queue is long
    assert store.due_messages.due(10)
    store.due_messages.published([scan.id])
    clock.advance(61)
    assert not store.due_messages.due(10), "a long queue must not be made longer every minute"
    clock.advance(60)
    assert store.due_messages.due(10)


def test_of_a_long_queue_no_scan_is_published_again_before_its_turn(
    store: Store, clock: Clock
) -> None:
    scans = store.scans.create([(*PLACE[:2], f"i-{n}") for n in range(500)], "here")
    store.due_messages.published([scan.id for scan in scans])
    clock.advance(299)
    assert not store.due_messages.due(10), (
        "five hundred wait for a worker, and their messages as well"
    )
    clock.advance(1)
    assert store.due_messages.due(10)


def test_a_dead_workers_scan_is_due_when_its_lease_ends(store: Store, clock: Clock) -> None:
    scan = new(store)
    store.due_messages.published([scan.id])
    claimed(store, scan.id, 120)
    clock.advance(119)
    assert not store.due_messages.due(10)
    clock.advance(1)
    assert [one.id for one in store.due_messages.due(10)] == [scan.id]


def test_with_a_new_broker_everything_that_nobody_holds_is_published_when_it_is_due(
    store: Store, clock: Clock
) -> None:
    waiting, postponed, held = store.scans.create(
        [(*PLACE[:2], f"i-{n}") for n in range(3)], "here"
    )
    for scan in (waiting, postponed, held):
        store.due_messages.published([scan.id])
    store.scans.postpone(claimed(store, postponed.id), 10)
    claimed(store, held.id, 600)
    store.due_messages.expedite()
    assert [scan.id for scan in store.due_messages.due(10)] == [waiting.id]
    clock.advance(10)
    assert {scan.id for scan in store.due_messages.due(10)} == {waiting.id, postponed.id}


def test_an_ended_scan_is_never_due(store: Store, clock: Clock) -> None:
    advance(store, claimed(store, new(store).id), State.DONE)
    clock.advance(1e6)
    assert not store.due_messages.due(10)


def test_on_demand_comes_before_scheduled(store: Store) -> None:
    store.scans.create([PLACE], "here", 6)
    urgent = store.scans.create([(*PLACE[:2], "i-2")], "here", 0)[0]
    assert store.due_messages.due(1)[0].id == urgent.id


def test_what_is_hastened_is_published_again_and_first(store: Store) -> None:
    scans = store.scans.create([(*PLACE[:2], f"i-{number}") for number in range(4)], "here")
    held, waits, slow, _ = (scan.id for scan in scans)
    store.due_messages.published([scan.id for scan in scans])
    claimed(store, held)
    store.scans.postpone(claimed(store, waits), 30)
    assert store.due_messages.due(10) == []
    assert store.due_messages.prioritise([held, waits, slow], 0) == 2
    due = store.due_messages.due(10)
    assert {(scan.id, scan.priority) for scan in due} == {(waits, 0), (slow, 0)}
    assert claimed(store, waits).priority == store.scans.get(held).priority == 0
    assert store.due_messages.prioritise([held, waits, slow], 0) == 0, "they are urgent already"


def test_a_scan_that_is_not_there_is_an_error_with_its_id(store: Store) -> None:
    with pytest.raises(StoreError, match="abc: no such scan"):
        store.scans.get("abc")


def test_what_a_scan_asked_snapshots_of_is_kept_after_its_end(store: Store) -> None:
    (scan,) = store.scans.create([PLACE], "here")
    assert store.origins.of([scan.id])[scan.id].volumes == frozenset(), "none was asked for yet"
    held = claimed(store, scan.id)
    store.scans.intend(held, {"vol-b": 1, "vol-a": 1})
    advance(store, replace(held, state=State.SNAPSHOTTING), State.FAILED)
    origin = store.origins.of([scan.id])[scan.id]
    assert (origin.account, origin.region, origin.instance) == PLACE
    assert origin.volumes == frozenset({"vol-a", "vol-b"})
    assert not origin.live
    assert origin.finished_at is not None


def test_many_scans_are_made_and_selected_at_once(store: Store) -> None:
    scans = store.scans.create([(*PLACE[:2], f"i-{n}") for n in range(1200)], "here")
    ids = {scan.id for scan in scans}
    assert len(ids) == 1200
    assert {scan.id for scan in store.scans.select(ids)} == ids
    origins = store.origins.of(ids | {"unknown"})
    assert {name for name, origin in origins.items() if origin.live} == ids
    assert store.scans.counts() == {State.NEW: 1200}


def begun(
    store: Store, instance: str, volumes: dict[str, int], most: int = 0
) -> tuple[Scan, QuotaExceeded | None]:
    """A new scan of the instance that was claimed and asked for room; the answer."""
    store.scans.create([("1", "r", instance)], "d")
    (scan,) = [one for one in store.scans.select(live=True) if one.instance == instance]
    held = store.scans.claim(scan.id, {State.NEW}, 60)
    assert held is not None
    return held, store.scans.intend(held, volumes, most)


def test_snapshots_in_flight_are_capped_and_a_scans_end_makes_room(store: Store) -> None:
    first, full = begun(store, "i-1", {"vol-1": 0, "vol-2": 0}, most=3)
    assert full is None
    second, full = begun(store, "i-2", {"vol-3": 0, "vol-4": 0}, most=3)
    assert full == QuotaExceeded("2 snapshots of 3 exist in 1/r", waiting=1)
    assert store.scans.get(second.id).state is State.NEW
    # Another account's do not count.
    store.scans.create([("2", "r", "i-1")], "d")
    other = next(one for one in store.scans.select() if one.account == "2")
    held = store.scans.claim(other.id, {State.NEW}, 60)
    assert held is not None
    assert store.scans.intend(held, {"vol-9": 0, "vol-8": 0}, 3) is None
    # In whatever state a scan is that was begun, its snapshots may exist, until it has ended.
    started = store.scans.get(first.id)
    advance(store, started, State.DELETING)
    assert store.scans.intend(second, {"vol-3": 0, "vol-4": 0}, 3)
    ending = store.scans.claim(first.id, {State.DELETING}, 60)
    assert ending is not None
    advance(store, ending, State.DONE)
    assert store.scans.intend(second, {"vol-3": 0, "vol-4": 0}, 3) is None


def test_a_machine_with_more_volumes_than_there_is_room_has_its_turn_alone(store: Store) -> None:
    _, full = begun(store, "i-1", {"vol-1": 0, "vol-2": 0, "vol-3": 0}, most=2)
    assert full is None


def test_a_volume_that_two_machines_share_is_not_snapshotted_beyond_its_limit(
    store: Store,
) -> None:
    first, full = begun(store, "i-1", {"vol-shared": 1})
    assert full is None
    second, full = begun(store, "i-2", {"vol-shared": 1})
    assert full == QuotaExceeded("1 snapshots of vol-shared are under way")
    # Completed ones are no more under way, though they still exist.
    advance(store, store.scans.get(first.id), State.READING)
    assert store.scans.intend(second, {"vol-shared": 1}) is None


def test_the_last_room_is_given_once(url: str, store: Store) -> None:
    """Eight scans at once, on connections of their own, for room for three snapshots."""
    store.scans.create([("1", "r", f"i-{n}") for n in range(8)], "d")
    held = [store.scans.claim(scan.id, {State.NEW}, 60) for scan in store.scans.select()]
    barrier = threading.Barrier(8)

    def intend(scan: Scan | None) -> QuotaExceeded | None:
        assert scan is not None
        with Store(url, clock=store.clock) as own:
            barrier.wait()
            return own.scans.intend(scan, {f"vol-{scan.instance}": 0}, 3)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(intend, held))
    assert answers.count(None) == 3
    assert store.scans.counts() == {State.NEW: 5, State.SNAPSHOTTING: 3}


@pytest.mark.slow
def test_of_many_in_one_state_none_is_published_again_so_soon(store: Store, clock: Clock) -> None:
    """What waits in a long queue has its message there."""
    many = store.scans.create([(*PLACE[:2], f"i-{n}") for n in range(300)], "here")
    for scan in many:
        advance(store, claimed(store, scan.id), State.READING)
    clock.advance(61)
    assert store.due_messages.due(1000) == []
    clock.advance(120)
    assert len(store.due_messages.due(1000)) == 300
    store.due_messages.expedite()
    assert len(store.due_messages.due(1000)) == 300


def test_each_change_of_a_scan_returns_the_state_and_due_time_of_its_row(
    store: Store, clock: Clock
) -> None:
    (scan,) = store.scans.create([("1", "r", "i-1")], "here")

    def held() -> Scan:
        claimed = store.scans.claim(scan.id, LIVE, 60)
        assert claimed is not None
        return claimed

    def check(transition: Transition) -> None:
        row = store.scans.get(scan.id)
        assert (transition.state, transition.due) == (row.state, row.next_at)
        clock.advance(60)

    check(store.scans.postpone(held(), 10))
    claim = held()
    assert store.scans.intend(claim) is None
    claim = replace(claim, state=State.SNAPSHOTTING)
    check(store.scans.withdraw(claim, 5, "AWS refuses"))
    claim = held()
    assert store.scans.intend(claim) is None
    claim = replace(claim, state=State.SNAPSHOTTING)
    check(store.snapshot_polls.pend(claim, [], first=1, every=10))
    result = PollResult(held(), completed=True)
    check(store.snapshot_polls.settle([result])[scan.id])
    assert store.snapshot_polls.settle([result]) == {}, "the lease is lost"
    check(store.scans.fail(held(), "is over", "INTERNAL_ERROR"))
    covered = Coverage("1", "r", "i-1", "", "INACTIVE", "INTERNAL_ERROR")
    check(store.instances.finish(held(), State.FAILED, covered))


def test_a_scan_that_another_scans_poll_includes_has_no_message_of_its_own(
    store: Store,
) -> None:
    scans = store.scans.create([("1", "r", f"i-{n}") for n in range(3)], "here")
    transitions = []
    for scan in scans:
        claimed = store.scans.claim(scan.id, LIVE, 60)
        assert claimed is not None
        assert store.scans.intend(claimed) is None
        claimed = replace(claimed, state=State.SNAPSHOTTING)
        transitions.append(store.snapshot_polls.pend(claimed, [], first=1, every=10))
    assert [transition.own_message for transition in transitions] == [True, False, False]
