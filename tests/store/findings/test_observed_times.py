"""When findings were last observed, without writing those of unchanged machines."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text

from sidelight.model import Finding, State, Status, SuppressionRule
from sidelight.store import FindingSearch, FoundFindings, Store
from sidelight.store.base.engine import Database as StoreDatabase
from sidelight.store.base.schema import findings
from sidelight.suppression import parse
from tests.fixtures.scan_states import advance
from tests.fixtures.searched_findings import all_rows, fill, ids
from tests.fixtures.stored_findings import (
    ACCOUNT,
    Database,
    FakeAdvisory,
    claimed,
    inspected,
    inventory,
    package,
    reevaluated,
    scanned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sidelight.model import FindingRow
    from tests.fakes.clocks import Clock

DAY = timedelta(days=1).total_seconds()
PACKAGES = 850
WAL = 20_000  # bytes
HIGH = json.dumps({"severity": [{"comparison": "EQUALS", "value": "HIGH"}]})


def observed(store: Store) -> dict[str, datetime]:
    """When each package's finding was last observed, by its name."""
    return {
        row.package_finding.package.name: row.last_observed
        for row in store.findings.rows(status=None)
    }


def says(*names: str) -> Database:
    return Database({name: [FakeAdvisory("CVE-2026-1")] for name in names})


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("few", [0, 5000])
def test_findings_are_sorted_by_when_they_were_last_observed(
    store: Store, few: int, descending: bool
) -> None:
    fill(store, 8, 300, covers=True)
    database = StoreDatabase(store.where)
    found = FoundFindings(database, few)
    rows: list[FindingRow] = []
    after: Mapping[str, object] | None = None
    while True:
        page = found.page(FindingSearch(None, None, "LAST_OBSERVED_AT", descending), 7, after)
        rows += page.rows
        after = page.position
        if after is None:
            break
    database.close()
    assert sorted(ids(rows)) == ids(all_rows(store))
    # An open network finding is in the place of its first evaluation.
    keys = [(row.last_observed, row.id) for row in rows if isinstance(row.finding, Finding)]
    assert keys == sorted(keys, reverse=descending)
    assert len({key[0] for key in keys}) > 5


@pytest.mark.parametrize("few", [0, 5000])
@pytest.mark.parametrize("bounds", [(1, 3), (2, None), (None, 2)])
def test_findings_are_found_by_when_they_were_last_observed(
    store: Store, bounds: tuple[int | None, int | None], few: int
) -> None:
    fill(store, 9, 200, covers=True)
    rows = all_rows(store)
    first = min(row.last_observed for row in rows)
    low, high = (None if n is None else first + timedelta(hours=n) for n in bounds)
    test: dict[str, float] = {}
    if low is not None:
        test["startInclusive"] = low.timestamp()
    if high is not None:
        test["endInclusive"] = high.timestamp()
    database = StoreDatabase(store.where)
    criteria = parse({"lastObservedAt": [test]})
    page = FoundFindings(database, few).page(
        FindingSearch(criteria, None, "LAST_OBSERVED_AT", descending=True), 500
    )
    database.close()
    assert sorted(ids(page.rows)) == [
        row.id for row in rows
        if (low is None or row.last_observed >= low) and (high is None or row.last_observed <= high)
    ]  # fmt: skip


def test_a_finding_that_is_not_read_again_keeps_its_time(store: Store, clock: Clock) -> None:
    scanned(store, says("a", "b"), inventory(package("a"), package("b")))
    first = clock()
    clock.advance(DAY)
    scanned(store, says("a", "b"), inventory(package("a"), status=Status.PARTIAL))
    assert observed(store) == {"a": clock(), "b": first}
    clock.advance(DAY)
    scanned(store, says("a", "b"), inventory(package("a"), package("b")))
    assert observed(store) == {"a": clock(), "b": clock()}


def test_a_closed_finding_keeps_its_time(store: Store, clock: Clock) -> None:
    scanned(store, says("a", "b"), inventory(package("a"), package("b")))
    clock.advance(DAY)
    scanned(store, says("a", "b"), inventory(package("a"), package("b")))
    last = clock()
    clock.advance(DAY)
    scanned(store, says("a", "b"), inventory(package("a"), package("b", "9")))
    assert observed(store) == {"a": clock(), "b": last}
    (event,) = [event for event in store.outbox.finding_events(0) if event.kind == "CLOSED"]
    assert event.row.last_observed == last
    store.findings.close_instances(ACCOUNT, ["i-1"])
    scanned_last = clock()
    clock.advance(DAY)
    assert observed(store) == {"a": scanned_last, "b": last}


def test_an_inventory_that_is_not_evaluated_yet_observes_nothing(
    store: Store, clock: Clock
) -> None:
    scanned(store, says("a"), inventory(package("a")))
    first = clock()
    clock.advance(DAY)
    inspected(store, inventory(package("a")))
    assert observed(store) == {"a": first}


def test_a_finding_of_a_reevaluation_was_observed_then(store: Store, clock: Clock) -> None:
    scanned(store, says("a"), inventory(package("a"), package("b")))
    first = clock()
    clock.advance(DAY)
    reevaluated(store, says("a", "b"))
    assert observed(store) == {"a": first, "b": clock()}
    clock.advance(DAY)
    scanned(store, says("a", "b"), inventory(package("a"), package("b")))
    assert observed(store) == {"a": clock(), "b": clock()}


def test_an_event_has_the_time_of_the_last_scan(store: Store, clock: Clock) -> None:
    scanned(store, says("a"), inventory(package("a")))
    clock.advance(DAY)
    scanned(store, says("a"), inventory(package("a")))
    last = clock()
    clock.advance(DAY)
    store.suppression_rules.save(SuppressionRule("high", HIGH))
    event = store.outbox.finding_events(0)[-1]
    assert (event.kind, event.row.last_observed) == ("UPDATED", last)


def test_a_scan_of_an_unchanged_machine_writes_no_finding(store: Store, clock: Clock) -> None:
    names = [f"package-{number}" for number in range(60)]
    read = inventory(*map(package, names))
    scanned(store, says(*names), read)
    database = StoreDatabase(store.where)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE written (finding INTEGER)"))
        if connection.dialect.name == "sqlite":
            connection.execute(
                text(
                    "CREATE TRIGGER noting AFTER UPDATE ON findings"
                    " BEGIN INSERT INTO written VALUES (NEW.id); END"
                )
            )
    before = stored(database)
    clock.advance(DAY)
    scanned(store, says(*names), read)
    assert stored(database) == before
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM written")).scalar_one() == 0
    database.close()
    assert set(observed(store).values()) == {clock()}


def stored(database: StoreDatabase) -> list[tuple[object, ...]]:
    """Each finding's row, on PostgreSQL with the version of the row."""
    columns: list[object] = [findings]
    with database.read() as connection:
        if connection.dialect.name == "postgresql":
            columns.append(text("CAST(findings.xmin AS text), CAST(findings.ctid AS text)"))
        query = select(*columns).order_by(findings.c.id)  # type: ignore[call-overload]
        return [tuple(row) for row in connection.execute(query)]


@pytest.mark.services
def test_a_scan_of_an_unchanged_machine_writes_little_to_the_log_of_postgresql(
    make_postgresql: Callable[[], str],
) -> None:
    url = make_postgresql()
    names = [f"package-{number}" for number in range(PACKAGES)]
    read = inventory(*map(package, names))
    database = StoreDatabase(url)

    def position() -> int:
        with database.read() as connection:
            query = text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
            return int(connection.execute(query).scalar_one())

    with Store(url) as store:
        store.migrate()
        scanned(store, says(*names), read)
        written = []
        # The first time after a checkpoint, whole pages are written.
        for _ in range(3):
            scan = inspected(store, read)
            begin = position()
            store.findings.evaluate(scan, 1)
            written.append(position() - begin)
            advance(store, claimed(store, scan.id), State.DONE)
    database.close()
    assert min(written) <= WAL
