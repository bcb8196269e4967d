"""The kept counts agree with what is stored, and count each event once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sidelight.model import Cost, Coverage, FindingStatus, Instance, Severity, State
from sidelight.store import measures
from tests.fakes.clocks import START
from tests.fixtures.scan_states import advance
from tests.fixtures.searched_findings import ACCOUNTS, all_rows, fill
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    FakeAdvisory,
    in_state,
    inventory,
    package,
    scanned,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from sidelight.store import Store
    from tests.fakes.clocks import Clock

TODAY = START.date()


def discover(store: Store, *states: str) -> None:
    store.instances.discovered(
        ACCOUNT,
        REGION,
        [Instance(f"i-{n}", ACCOUNT, REGION, state, ()) for n, state in enumerate(states, 1)],
    )


def count(store: Store) -> None:
    while store.fleet_counts.add_events():
        pass
    store.fleet_counts.recount()


def active(store: Store, accounts: Collection[str] | None) -> Counter[Severity]:
    today = store.fleet_overview.days(accounts, 1)[-1]
    return Counter(dict(today.running)) + Counter(dict(today.other))


@pytest.mark.parametrize("accounts", [None, ACCOUNTS[:1], ACCOUNTS[1:], ("999999999999",)])
def test_active_findings_by_severity_are_those_of_the_scope(
    store: Store, accounts: Collection[str] | None
) -> None:
    fill(store, 3)
    count(store)
    expected = Counter(
        row.finding.severity
        for row in all_rows(store)
        if row.status is FindingStatus.ACTIVE and (accounts is None or row.account in accounts)
    )
    assert active(store, accounts) == expected


def test_findings_of_stopped_machines_are_counted_apart(store: Store) -> None:
    discover(store, "running", "stopped")
    database = Database({"openssl": [FakeAdvisory("CVE-2026-1")]})
    for instance in ("i-1", "i-2"):
        scanned(store, database, inventory(package("openssl")), instance)
    count(store)
    today = store.fleet_overview.days(None, 1)[0]
    assert (today.running[Severity.HIGH], today.other[Severity.HIGH]) == (1, 1)
    assert today.active(Severity.HIGH) == 1


def test_opened_and_closed_findings_count_on_their_days(store: Store, clock: Clock) -> None:
    discover(store, "running")
    database = Database({"openssl": [FakeAdvisory("CVE-2026-1"), FakeAdvisory("CVE-2026-2")]})
    scanned(store, database, inventory(package("openssl")))
    count(store)
    clock.advance(86_400)
    scanned(store, database, inventory(package("openssl", "9")))
    count(store)
    before, today = store.fleet_overview.days(None, 2)
    assert (before.opened[Severity.HIGH], before.closed[Severity.HIGH]) == (2, 0)
    assert (today.opened.get(Severity.HIGH, 0), today.closed[Severity.HIGH]) == (0, 2)
    assert (before.active(), today.active()) == (2, 0)


def test_events_count_once_however_they_are_read(store: Store) -> None:
    discover(store, "running")
    database = Database({"openssl": [FakeAdvisory(f"CVE-2026-{number}") for number in range(7)]})
    scanned(store, database, inventory(package("openssl")))
    while store.fleet_counts.add_events(2):
        pass
    assert store.fleet_counts.add_events() == 0
    count(store)
    assert store.fleet_overview.days(None, 1)[0].opened[Severity.HIGH] == 7


def test_a_day_that_nobody_counted_is_not_zero(store: Store, clock: Clock) -> None:
    count(store)
    clock.advance(2 * 86_400)
    count(store)
    counted = [day.counted for day in store.fleet_overview.days(None, 4)]
    assert counted == [False, True, False, True]


def test_a_fleet_without_findings_is_counted(store: Store) -> None:
    assert store.fleet_overview.counted_at() is None
    count(store)
    assert store.fleet_overview.counted_at() == START
    assert store.fleet_overview.days(None, 1)[0].active() == 0


def test_what_is_lost_is_rebuilt_from_the_findings(store: Store, clock: Clock) -> None:
    discover(store, "running")
    database = Database(
        {"openssl": [FakeAdvisory("CVE-2026-1")], "zlib": [FakeAdvisory("CVE-2026-2")]}
    )
    scanned(store, database, inventory(package("openssl"), package("zlib")))
    count(store)
    clock.advance(86_400)
    scanned(store, database, inventory(package("openssl"), package("zlib", "9")))
    count(store)
    kept = store.fleet_overview.days(None, 3)[1:]
    for _ in range(2):
        store.fleet_counts.rebuild(3)
        count(store)
        again = store.fleet_overview.days(None, 3)
        for was, now in zip(kept, again[1:], strict=True):
            assert (now.active(), Counter(now.opened), Counter(now.closed)) == (
                was.active(), Counter(was.opened), Counter(was.closed),
            )  # fmt: skip
        assert again[0].active() == 0


def test_counts_older_than_their_retention_are_deleted(store: Store, clock: Clock) -> None:
    count(store)
    clock.advance(401 * 86_400)
    count(store)
    assert [day.counted for day in store.fleet_overview.days(None, 402)].count(True) == 1


def test_coverage_is_summed_by_reason_and_scope(store: Store) -> None:
    def row(number: int, account: str, reason: str, *, hours: int | None) -> Coverage:
        at = None if hours is None else START - timedelta(hours=hours)
        code = "ACTIVE" if hours is not None else "INACTIVE"
        return Coverage(account, REGION, f"i-{number}", "", code, reason, scanned_at=at)

    store.instances.cover([row(1, ACCOUNT, "SUCCESSFUL", hours=1)])
    store.instances.cover([row(2, ACCOUNT, "SUCCESSFUL", hours=30)])
    store.instances.cover([row(3, "222222222222", "EXCLUDED_BY_TAG", hours=None)])
    count(store)
    sums = store.fleet_overview.sums([measures.COVERAGE, measures.STALE], None)
    assert sums["coverage"].values == {"ACTIVE SUCCESSFUL": 2, "INACTIVE EXCLUDED_BY_TAG": 1}
    assert sums["coverage"].counted_at == START
    assert sums["stale"].total == 1
    scoped = store.fleet_overview.sums([measures.COVERAGE, measures.STALE], ["222222222222"])
    assert scoped["coverage"].values == {"INACTIVE EXCLUDED_BY_TAG": 1}
    assert scoped["stale"].total == 0


def test_a_measure_that_ends_is_replaced_by_zero(store: Store, clock: Clock) -> None:
    old = START - timedelta(hours=30)
    stale = Coverage(ACCOUNT, REGION, "i-1", "", "ACTIVE", "SUCCESSFUL", scanned_at=old)
    store.instances.cover([stale])
    count(store)
    fresh = Coverage(ACCOUNT, REGION, "i-1", "", "ACTIVE", "SUCCESSFUL", scanned_at=START)
    store.instances.cover([fresh])
    clock.advance(60)
    count(store)
    assert store.fleet_overview.sums([measures.STALE], None)["stale"].total == 0
    assert store.fleet_overview.sums([measures.STALE], [ACCOUNT])["stale"].total == 0


def test_costs_are_summed_by_day_also_after_scans_are_deleted(store: Store, clock: Clock) -> None:
    def spend(usd: float) -> None:
        scan = in_state(store, State.READING)
        store.costs.add(Cost(scan.id, usd=usd))
        advance(store, scan, State.DONE)
        store.fleet_counts.recount_costs()

    spend(1.0)
    clock.advance(86_400)
    spend(2.0)
    clock.advance(86_400)
    spend(4.0)
    values = store.fleet_overview.sums([measures.COST], None)["cost"].values
    assert values == {"2026-01-01": 1.0, "2026-01-02": 2.0, "2026-01-03": 4.0}
    clock.advance(86_400 * 31)
    store.retention.run()
    store.fleet_counts.recount_costs()
    after = store.fleet_overview.sums([measures.COST], [ACCOUNT])["cost"].values
    assert after.get("2026-01-03", 0) in {0, 4.0}
    assert store.fleet_overview.sums([measures.COST], None)["cost"].values["2026-02-03"] == 0


def test_only_what_the_internet_reaches_and_is_vulnerable_is_exposed(store: Store) -> None:
    machines = fill(store, 5, 300)
    count(store)
    rows = [row for row in all_rows(store) if row.status is FindingStatus.ACTIVE]
    network = {(r.account, r.instance) for r in rows if r.finding.type == "NETWORK_REACHABILITY"}
    serious = {
        (r.account, r.instance)
        for r in rows
        if r.finding.type == "PACKAGE_VULNERABILITY" and r.finding.severity.rank >= 4
    }
    assert machines
    assert network & serious
    assert store.fleet_overview.sums([measures.EXPOSED], None)["exposed"].total == len(
        network & serious
    )
