"""Findings are opened, kept, closed and opened again; what could not be read stays open."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from sidelight.errors import LeaseLostError, StoreError
from sidelight.fleet import evaluation
from sidelight.model import (
    Cost,
    FindingChanges,
    FindingStatus,
    Instance,
    Inventory,
    OperatingSystem,
    Problem,
    Severity,
    State,
    Status,
)
from sidelight.store import Store
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    FakeAdvisory,
    claimed,
    in_state,
    inspected,
    inventory,
    kinds,
    open_names,
    package,
    reevaluated,
    says,
    scanned,
)

if TYPE_CHECKING:
    from tests.fakes.clocks import Clock

DAY = 86400.0


def test_findings_are_opened_kept_and_closed(store: Store) -> None:
    read = inventory(package("a"), package("b"))
    assert scanned(store, says("a", "b"), read) == FindingChanges(2, 0, 0)
    fixed = inventory(package("a"), package("b", "9"))
    assert scanned(store, says("a", "b"), fixed) == FindingChanges(0, 1, 1)
    assert open_names(store) == {"a"}


def test_a_second_scan_changes_nothing_but_when_it_was_observed(store: Store, clock: Clock) -> None:
    scanned(store, says("a"), inventory(package("a")))
    (before,) = store.findings.rows(status=None)
    clock.advance(DAY)
    assert scanned(store, says("a"), inventory(package("a"))) == FindingChanges(0, 1, 0)
    (after,) = store.findings.rows(status=None)
    assert after == replace(before, last_observed=clock())


def test_the_same_package_twice_is_one_finding(store: Store) -> None:
    twice = inventory(package("a"), replace(package("a"), licence="MIT"))
    scanned(store, says("a"), twice)
    assert len(list(store.findings.rows())) == 1
    # And when one of the two goes, it is the same finding still.
    assert scanned(store, says("a"), inventory(package("a"))) == FindingChanges(0, 1, 0)
    assert len(list(store.findings.rows(status=None))) == 1


def test_what_recurs_within_a_week_is_the_same_finding(store: Store, clock: Clock) -> None:
    scanned(store, says("a"), inventory(package("a")))
    (first,) = store.findings.rows()
    scanned(store, says("a"), inventory())
    clock.advance(7 * DAY)
    assert scanned(store, says("a"), inventory(package("a"))) == FindingChanges(1, 0, 0)
    (row,) = store.findings.rows(status=None)
    assert row == replace(first, last_observed=clock(), updated_at=clock())


def test_what_recurs_later_is_a_new_finding_and_the_old_one_stays_closed(
    store: Store, clock: Clock
) -> None:
    scanned(store, says("a"), inventory(package("a")))
    (old,) = store.findings.rows()
    scanned(store, says("a"), inventory())
    clock.advance(7 * DAY + 1)
    scanned(store, says("a"), inventory(package("a")))
    (new,) = store.findings.rows()
    assert new.id > old.id
    assert new.first_observed == clock()
    assert Counter(row.status for row in store.findings.rows(status=None)) == {
        FindingStatus.ACTIVE: 1,
        FindingStatus.CLOSED: 1,
    }


def test_closed_findings_are_deleted_after_thirty_days_and_not_before(
    store: Store, clock: Clock
) -> None:
    scanned(store, says("a", "b"), inventory(package("a"), package("b")))
    scanned(store, says("a", "b"), inventory(package("b")))
    clock.advance(30 * DAY - 1)
    assert store.retention.run().findings == 0
    clock.advance(1)
    assert store.retention.run().findings == 1
    assert [row.package_finding.package.name for row in store.findings.rows(status=None)] == ["b"]


def test_those_of_an_instance_that_is_gone_are_closed_at_once_and_deleted_after_three_days(
    store: Store, clock: Clock
) -> None:
    scanned(store, says("a"), inventory(package("a")))
    assert store.findings.close_instances(ACCOUNT, ["i-1", "i-other"]) == 1
    assert store.findings.close_instances(ACCOUNT, ["i-1"]) == 0
    assert [row.status for row in store.findings.rows(status=None)] == [FindingStatus.CLOSED]
    # Its inventory stays, but no advisory opens anything of it.
    assert reevaluated(store, says("a", "b")) == FindingChanges()
    clock.advance(3 * DAY - 1)
    assert store.retention.run().findings == 0
    clock.advance(1)
    assert store.retention.run().findings == 1


def test_a_scan_that_outlives_its_instance_opens_nothing(store: Store) -> None:
    found = Instance("i-1", ACCOUNT, REGION, "running", ())
    store.instances.discovered(ACCOUNT, REGION, [found])
    scanned(store, says("a"), inventory(package("a")))
    scan = inspected(store, inventory(package("a"), package("b")))
    assert store.instances.discovered(ACCOUNT, REGION, []) == ["i-1"]
    assert evaluation.evaluate(store, scan, says("a", "b")).changes == FindingChanges(0, 0, 1)
    assert not list(store.findings.rows())


def test_an_instance_that_is_scanned_again_has_its_findings_again(store: Store) -> None:
    scanned(store, says("a"), inventory(package("a")))
    (before,) = store.findings.rows()
    store.findings.close_instances(ACCOUNT, ["i-1"])
    scanned(store, says("a"), inventory(package("a")))
    (after,) = store.findings.rows()
    assert after.id == before.id


def test_a_machine_read_in_part_closes_only_what_was_read_again(store: Store) -> None:
    scanned(store, says("fixed", "lost"), inventory(package("fixed"), package("lost")))
    partial = inventory(package("fixed", "9"), status=Status.PARTIAL)
    assert scanned(store, says("fixed", "lost"), partial) == FindingChanges(0, 0, 1)
    assert open_names(store) == {"lost"}
    # But what no advisory says any more is over wherever it is.
    assert reevaluated(store, says("fixed")) == FindingChanges(0, 0, 1)
    assert open_names(store) == set()


def test_a_changed_severity_is_shown_and_makes_an_event(store: Store) -> None:
    scanned(store, says("a"), inventory(package("a")))
    graver = Database({"a": [FakeAdvisory("CVE-2026-1", severity=Severity.CRITICAL)]})
    reevaluated(store, graver)
    assert store.findings.severities() == {(ACCOUNT, "i-1"): {Severity.CRITICAL: 1}}
    assert [kind for kind, _, _ in kinds(store)] == ["OPENED", "UPDATED"]


def test_a_system_past_its_last_day_is_a_critical_finding(store: Store, clock: Clock) -> None:
    database = says()
    database.last_day = date(2026, 1, 2)
    assert scanned(store, database, inventory(package("a"))) == FindingChanges()
    clock.advance(2 * DAY)
    assert scanned(store, database, inventory(package("a"))) == FindingChanges(1, 0, 0)
    assert scanned(store, database, inventory(package("a"))) == FindingChanges(0, 1, 0)
    (row,) = store.findings.rows()
    assert (row.finding.severity, row.package_finding.package.type) == (Severity.CRITICAL, "os")


def test_an_upgraded_system_closes_the_end_of_the_older_one_on_a_partial_machine(
    store: Store, clock: Clock
) -> None:
    database = says()
    database.last_day = clock().date() - timedelta(days=1)
    assert scanned(store, database, inventory(package("a"))).opened == 1
    database.last_day = None
    partial = inventory(package("a"), status=Status.PARTIAL)
    unknown = replace(partial, os=OperatingSystem())
    assert scanned(store, database, unknown).closed == 0, "nobody knows which system it is"

    upgraded = replace(partial, os=OperatingSystem("debian", "13", "Debian GNU/Linux 13"))

    assert scanned(store, database, upgraded).closed == 1


def test_a_machine_without_a_known_system_or_package_is_stored_and_evaluated(store: Store) -> None:
    empty = Inventory(Status.FAILED, OperatingSystem(), (), (Problem("/", "nothing is known"),))

    assert scanned(store, says("a"), empty) == FindingChanges()

    assert store.findings.inventory(ACCOUNT, "i-1") == empty


def test_names_that_are_not_utf8_and_hold_nul_are_kept(store: Store) -> None:
    odd = package("a\0b", path="/var/\udcff" + "x" * 5000)
    database = says("a\0b")
    scanned(store, database, inventory(odd))
    assert next(store.findings.rows()).package_finding.package == odd
    assert scanned(store, database, inventory(odd)) == FindingChanges(0, 1, 0)


def test_an_inventory_comes_back_as_it_was(store: Store) -> None:
    scan = in_state(store, State.READING)
    read = inventory(package("a", path="/\udcff"), package("b"), status=Status.PARTIAL)
    store.findings.save_inventory(scan, read, Cost(scan.id, get_calls=3, usd=0.5))
    assert store.findings.inventory(ACCOUNT, "i-1") == read
    assert store.scans.get(scan.id).state is State.EVALUATING
    assert store.costs.of([scan.id])[scan.id].get_calls == 3


def test_machines_of_one_image_share_their_packages(store: Store) -> None:
    database = says("a")
    for number in range(3):
        read = inventory(package("a"), package("b"), disk=f"disk{number}")
        scanned(store, database, read, f"i-{number}")
        assert store.findings.inventory(ACCOUNT, f"i-{number}") == read
    assert database.queries == ["a", "b"]  # once for all three
    with store._database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM package_sets")).scalar() == 1
        assert connection.execute(text("SELECT count(*) FROM finding_details")).scalar() == 1


def test_an_inventory_of_a_worker_that_is_late_is_not_saved(store: Store, clock: Clock) -> None:
    scan = in_state(store, State.READING)
    clock.advance(61)
    claimed(store, scan.id)
    with pytest.raises(LeaseLostError):
        store.findings.save_inventory(scan, inventory(), Cost(scan.id, get_calls=1))
    with pytest.raises(StoreError, match="no inventory"):
        store.findings.inventory(ACCOUNT, "i-1")
    assert not store.costs.of([scan.id])


def test_findings_of_a_worker_that_is_late_are_not_saved(store: Store, clock: Clock) -> None:
    scan = inspected(store, inventory(package("a")))
    clock.advance(61)
    claimed(store, scan.id)
    with pytest.raises(LeaseLostError):
        evaluation.evaluate(store, scan, says("a"))
    assert not list(store.findings.rows(status=None))


def test_what_nobody_has_any_more_is_deleted(store: Store, clock: Clock) -> None:
    scanned(store, says("a"), inventory(package("a"), package("b")))
    scanned(store, says("a"), inventory(package("b"), package("c")))
    clock.advance(31 * DAY)
    tidied = store.retention.run()
    # `b` is on the machine still.
    assert (tidied.package_sets, tidied.packages, tidied.findings) == (1, 1, 1)
    clock.advance(31 * DAY)
    store.retention.run()
    with store._database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM finding_details")).scalar() == 0
    assert scanned(store, says("a"), inventory(package("a"))) == FindingChanges(1, 0, 0)


@pytest.mark.slow
def test_many_workers_make_no_duplicate_and_lose_nothing(url: str, clock: Clock) -> None:
    """Scans and re-evaluations of the same machines at the same time, as fast as they can."""
    names = [f"p{number}" for number in range(12)]
    machines = [f"i-{number}" for number in range(4)]
    read = inventory(*map(package, names))
    databases = [says(*names[:count]) for count in (3, 6, 9, 12)]
    with Store(url, clock=clock) as store:
        store.migrate()
        for machine in machines:
            scanned(store, databases[0], read, machine)

    def scan(machine: str) -> None:
        with Store(url, clock=clock) as own:
            for database in databases:
                scanned(own, database, read, machine)

    def reevaluate(database: Database) -> None:
        with Store(url, clock=clock) as own:
            own.reevaluation.register(database)
            while evaluation.reevaluate(own, database).left:
                pass

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(scan, machine) for machine in machines]
        done += [pool.submit(reevaluate, database) for database in databases]
        for one in done:
            one.result()
    with Store(url, clock=clock) as store:
        reevaluated(store, databases[-1])
        found = Counter(
            (row.instance, row.package_finding.package.name) for row in store.findings.rows()
        )
        assert found == {(machine, name): 1 for machine in machines for name in names}
        events = store.outbox.finding_events(0, 100_000)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        standing = Counter[tuple[str, str]]()
        for event in events:
            change = {"OPENED": 1, "REOPENED": 1, "CLOSED": -1}.get(event.kind, 0)
            standing[event.row.instance, event.row.package_finding.package.name] += change
        assert standing == found


def test_costs_add_up_over_attempts_and_accounts(store: Store) -> None:
    scan = in_state(store, State.READING)
    for _ in range(2):
        store.costs.add(Cost(scan.id, get_calls=2, bytes=1 << 40, seconds=0.5, usd=0.25))
    assert [one.bytes for one in store.costs.sums(["account"])] == [2 << 40]
    assert store.costs.of([scan.id])[scan.id].usd == 0.5
