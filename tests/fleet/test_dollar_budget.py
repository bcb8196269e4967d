"""The dollar cap: asked while a volume is read, and seldom while there is much left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.aws.ebs import USD_PER_GET
from sidelight.fleet import dollar_budget
from sidelight.fleet.dollar_budget import Bill, MoneySpentError, Spending
from sidelight.fleet.settings import Settings
from sidelight.model import Cost, State
from sidelight.store import Store
from tests.fixtures.scan_states import advance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from sidelight.model import Scan

ACCOUNT = "123456789012"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path}/store.db") as store:
        store.migrate()
        yield store


def scans_of(store: Store, count: int) -> list[Scan]:
    return store.scans.create(
        [(ACCOUNT, "us-east-1", f"i-{number:08x}") for number in range(count)], "here", 6
    )


def dollars(blocks: float) -> float:
    return blocks * USD_PER_GET


def paid(bill: Bill, calls: int) -> int:
    """How many of so many calls were allowed."""
    for number in range(calls):
        try:
            bill.pay("get")
        except MoneySpentError:
            return number
    return calls


def test_a_read_stops_at_the_cap_and_everything_it_paid_is_booked(store: Store) -> None:
    (scan,) = scans_of(store, 1)
    bill = Bill(Spending(store, Settings.of(usd_per_day=dollars(100.5))), scan, store.costs.add)
    allowed = paid(bill, 1000)
    assert allowed == pytest.approx(100, abs=1)
    assert store.costs.of([scan.id])[scan.id].get_calls == allowed
    whole = Cost(scan.id, get_calls=allowed, usd=dollars(allowed), seconds=3.0)
    rest = bill.rest(whole)
    assert (rest.get_calls, rest.seconds) == (0, 3.0)
    assert rest.usd == pytest.approx(0.0)


def test_scans_that_read_at_once_share_the_cap(store: Store) -> None:
    settings = Settings.of(usd_per_day=dollars(8000))
    bills = [
        Bill(Spending(store, settings), scan, store.costs.add) for scan in scans_of(store, 4)
    ]  # each in a process of its own
    allowed = 0
    for _ in range(10_000):
        allowed += sum(paid(bill, 1) for bill in bills)
    overrun = 4 * dollar_budget.BOOKED_AT_ONCE / USD_PER_GET
    assert 7_900 <= allowed <= 8_000 + overrun


def test_without_a_cap_nothing_is_refused(store: Store) -> None:
    (scan,) = scans_of(store, 1)
    bill = Bill(Spending(store, Settings.of(usd_per_day=0.0)), scan, store.costs.add)
    assert paid(bill, 5000) == 5000
    assert not bill.exceeds_cap()


def test_a_scan_that_needs_more_than_a_days_dollars_is_recognised(store: Store) -> None:
    (scan,) = scans_of(store, 1)
    bill = Bill(Spending(store, Settings.of(usd_per_day=dollars(10))), scan, store.costs.add)
    paid(bill, 1000)
    assert bill.exceeds_cap()


def test_with_much_left_the_sum_is_asked_for_seldom(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts: list[str] = []
    spent = store.costs.spent

    def counted(account: str, since: datetime) -> float:
        accounts.append(account)
        return spent(account, since)

    monkeypatch.setattr(store.costs, "spent", counted)
    now = [0.0]
    known = Spending(store, Settings.of(usd_per_day=25.0), lambda: now[0])
    for _ in range(1000):
        known.check(ACCOUNT)
        now[0] += 0.01
    assert len(accounts) == 1


def test_a_scan_that_waits_for_money_says_so_until_it_goes_on(store: Store) -> None:
    (new_scan,) = scans_of(store, 1)
    scan = store.scans.claim(new_scan.id, (State.NEW,), 60.0)
    assert scan is not None
    store.scans.postpone(scan, 0.0, paced=True, why="waiting for money: 25 dollars are spent")
    waiting = store.scans.get(scan.id)
    assert waiting.last_error == "waiting for money: 25 dollars are spent"
    assert waiting.attempts == 0
    again = store.scans.claim(new_scan.id, (State.NEW,), 60.0)
    assert again is not None
    advance(store, again, State.SNAPSHOTS_PENDING)
    assert store.scans.get(scan.id).last_error == ""
