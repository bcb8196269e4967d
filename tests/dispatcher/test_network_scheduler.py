"""Networks are evaluated every 12 hours, after a first discovery, and soon after a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.discovery.accounts import AccountRegion
from dispatcher.network_scheduler import SETTLE_SECONDS, NetworkScheduler, network_changed
from dispatcher.planning.plan import network_turns
from sidelight.errors import BrokerError
from sidelight.fleet.settings import Settings
from sidelight.model import Coverage
from sidelight.store import Store
from tests.fakes.clocks import Clock
from tests.fixtures.store_templates import lay
from tests.fixtures.store_urls import quick_directory, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = AccountRegion("123456789012", "eu-west-1")
KEY = (HERE.account, HERE.region)
TWELVE_HOURS = 12 * 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[Store]:
    with quick_directory() as directory:
        lay(sqlite_url(directory))
        with Store(sqlite_url(directory), clock=clock) as store:
            yield store


def evaluated(store: Store) -> bool:
    """One worker's evaluation; False if there is nothing to do for it."""
    claim = store.network_evaluations.claim(*KEY, 60.0)
    return claim is not None and store.network_evaluations.finish(claim, TWELVE_HOURS, "", None)


def test_one_message_is_sent_every_twelve_hours(store: Store, clock: Clock) -> None:
    messages: list[tuple[str, str]] = []
    scheduler = NetworkScheduler(store, Settings(), lambda *place: messages.append(place))
    scheduler.keep([HERE])
    assert (scheduler.tick(), scheduler.tick(), messages) == (1, 0, [KEY])
    assert evaluated(store)
    clock.advance(TWELVE_HOURS - 1)
    assert scheduler.tick() == 0
    clock.advance(2)
    assert scheduler.tick() == 1


def test_a_lost_message_is_sent_again(store: Store, clock: Clock) -> None:
    scheduler = NetworkScheduler(store, Settings(), lambda *_: None)
    scheduler.keep([HERE])
    scheduler.tick()
    clock.advance(121.0)
    assert scheduler.tick() == 1


def test_a_broker_that_does_not_answer_loses_no_evaluation(store: Store) -> None:
    def refuse(*_: str) -> None:
        raise BrokerError("does not answer")

    NetworkScheduler(store, Settings(), refuse).keep([HERE])
    assert NetworkScheduler(store, Settings(), refuse).tick() == 0
    assert NetworkScheduler(store, Settings(), lambda *_: None).tick() == 1


def test_zero_hours_switch_evaluations_off(store: Store) -> None:
    scheduler = NetworkScheduler(store, Settings.of(network_hours=0.0), lambda *_: None)
    scheduler.keep([HERE])
    assert scheduler.tick() == 0
    assert not store.network_evaluations.times()


def test_a_burst_of_changes_is_one_evaluation_within_a_minute(store: Store, clock: Clock) -> None:
    scheduler = NetworkScheduler(store, Settings(), lambda *_: None)
    scheduler.keep([HERE])
    evaluated(store)
    for number in range(20):
        assert network_changed(store, *KEY, ids=[f"sg-{number}"])
        clock.advance(0.5)
    clock.advance(SETTLE_SECONDS)
    assert scheduler.tick() == 1
    assert evaluated(store)
    clock.advance(60.0)
    assert (scheduler.tick(), evaluated(store)) == (0, False)


def test_a_change_during_an_evaluation_leads_to_another(store: Store, clock: Clock) -> None:
    NetworkScheduler(store, Settings(), lambda *_: None).keep([HERE])
    claim = store.network_evaluations.claim(*KEY, 60.0)
    assert claim is not None
    network_changed(store, *KEY)
    assert store.network_evaluations.finish(claim, TWELVE_HOURS, "", None)
    clock.advance(1.0)
    assert evaluated(store)


def test_changes_of_other_account_regions_are_left(store: Store) -> None:
    assert not network_changed(store, "2" * 12, "eu-west-1")


def test_one_worker_claims_an_evaluation_and_a_dead_ones_lease_ends(
    store: Store, clock: Clock
) -> None:
    store.network_evaluations.keep([KEY])
    first = store.network_evaluations.claim(*KEY, 60.0)
    assert first is not None
    assert store.network_evaluations.claim(*KEY, 60.0) is None
    clock.advance(61.0)
    second = store.network_evaluations.claim(*KEY, 60.0)
    assert second is not None
    assert not store.network_evaluations.finish(first, TWELVE_HOURS, "", None)
    assert store.network_evaluations.finish(second, TWELVE_HOURS, "", None)


def test_failures_are_tried_again_later_and_later(store: Store, clock: Clock) -> None:
    store.network_evaluations.keep([KEY])
    waits = []
    for _ in range(9):
        claim = store.network_evaluations.claim(*KEY, 60.0)
        assert claim is not None
        store.network_evaluations.fail(claim, "throttled")
        (time,) = store.network_evaluations.times().values()
        waits.append((time.due_at - clock()).total_seconds())
        clock.advance(waits[-1])
    assert waits[:3] == [60.0, 120.0, 240.0]
    assert waits[-1] == 3600.0


def row(status: str, reason: str) -> Coverage:
    return Coverage(*KEY, "i-1", "", status, reason, scan_mode="", scan_type="NETWORK")


@pytest.mark.parametrize(
    ("stored", "begins"),
    [
        (None, True),
        (("INACTIVE", "EC2_INSTANCE_STOPPED"), True),
        (("INACTIVE", "EXCLUDED_BY_TAG"), True),
        (("INACTIVE", "ACCESS_DENIED"), False),
        (("ACTIVE", "SUCCESSFUL"), False),
        (("ACTIVE", "PARTIAL"), False),
    ],
)
def test_an_instance_begins_to_be_evaluated_once(
    stored: tuple[str, str] | None, *, begins: bool
) -> None:
    states = {} if stored is None else {"i-1": stored}
    found = network_turns([row("ACTIVE", "PENDING_INITIAL_SCAN")], states)
    assert bool(found[1]) is begins


def test_an_exclusion_is_written_once() -> None:
    excluded = row("INACTIVE", "EXCLUDED_BY_TAG")
    assert network_turns([excluded], {"i-1": ("ACTIVE", "SUCCESSFUL")}) == ([excluded], [])
    assert network_turns([excluded], {"i-1": ("INACTIVE", "EXCLUDED_BY_TAG")}) == ([], [])
