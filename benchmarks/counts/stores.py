"""What a store executes and reads: statements and rows, on SQLite."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event

from benchmarks.console_pages import fill_machines, page_costs
from benchmarks.dispatcher_tick import ACCOUNT, REGION, instance, scanned_before, silent
from benchmarks.drawn_store import fill
from dispatcher.enqueue import enqueue, tick
from dispatcher.fleet_counter import FleetCounter
from dispatcher.planning.eligibility import Configuration
from dispatcher.planning.plan import plan
from sidelight.store import Store
from tests.fixtures.stored_findings import inventory, package, says, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = 850
FLEET = 2400


class Written:
    """Statements of a store, and rows that its changes touched."""

    def __init__(self) -> None:
        self.statements = 0
        self.rows = 0


@contextmanager
def written(store: Store) -> Iterator[Written]:
    """Count the statements, and the rows that they change, of what is done within."""
    seen = Written()
    engine = store._database.engine  # noqa: SLF001 - what no interface of the store reports

    def note(*arguments: object) -> None:
        cursor, statement = arguments[1], str(arguments[2]).lstrip()
        seen.statements += 1
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            seen.rows += max(getattr(cursor, "rowcount", 0), 0)

    event.listen(engine, "after_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "after_cursor_execute", note)


def rescan_counts(directory: Path) -> dict[str, int]:
    """Return what an unchanged machine's second scan costs the store."""
    names = [f"package-{number}" for number in range(PACKAGES)]
    read = inventory(*map(package, names))
    with Store(f"sqlite:///{directory}/rescan.db") as store:
        store.migrate()
        with written(store) as first:
            scanned(store, says(*names), read)
        with written(store) as second:
            scanned(store, says(*names), read)
    return {
        f"first scan of {PACKAGES} findings: statements": first.statements,
        f"rescan of {PACKAGES} unchanged findings: statements": second.statements,
        f"rescan of {PACKAGES} unchanged findings: rows written": second.rows,
    }


def tick_counts(directory: Path) -> dict[str, int]:
    """Return what one tick of a dispatcher costs the store, an hour's share of the fleet due."""
    fleet = [instance(number) for number in range(FLEET)]
    counts = {}
    with Store(f"sqlite:///{directory}/tick.db") as store:
        store.migrate()
        store.instances.discovered(ACCOUNT, REGION, fleet)
        scanned_before(store, fleet)
        with written(store) as seen:
            store.instances.discovered(ACCOUNT, REGION, fleet)
        counts[f"discovery of {FLEET} known instances: statements"] = seen.statements
        counts[f"discovery of {FLEET} known instances: rows written"] = seen.rows
        with written(store) as seen:
            history = store.instances.with_history(ACCOUNT, REGION, fleet)
            planned = plan(history, store.clock(), Configuration())
        counts[f"plan over {FLEET} instances: statements"] = seen.statements
        with written(store) as seen:
            created = enqueue(store, silent, planned.due[: FLEET // 24], "here")
        counts[f"enqueueing of {len(created)} scans: statements"] = seen.statements
        with written(store) as seen:
            tick(store, silent)
        counts[f"look for what is due, {len(created)} live: statements"] = seen.statements
    return counts


def page_counts(directory: Path) -> dict[str, int]:
    """Return what each page of the console costs the store."""
    url = f"sqlite:///{directory}/pages.db"
    fill(url, 1200, 60, 500)
    fill_machines(url, 40)
    counts = {}
    with Store(url) as store:
        FleetCounter(store).run()
        for cost in page_costs(store, runs=1):
            path = cost.path.partition("?")[0]
            counts[f"page {path}: statements"] = cost.statements
    return counts
