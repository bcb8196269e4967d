"""What scans cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import event, insert

from sidelight.store import Store
from sidelight.store.base.schema import costs, scans

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ZEROS = dict.fromkeys(("get_calls", "list_calls", "blocks", "bytes", "seconds", "cpu_seconds"), 0)
NOTHING = dict.fromkeys(("lease", "failure", "failure_code", "last_error"), "")
FIRST = dict.fromkeys(("priority", "attempts", "publications"), 0)


def add_scans(store: Store, name: str, count: int, at: datetime, *, ended: bool) -> None:
    """Scans of account 1 that cost a dollar each."""
    times = dict.fromkeys(("next_at", "publish_at", "created_at", "entered_at"), at)
    common = {"deployment": "d", "account": "1", "region": "r", **NOTHING, **FIRST, **times}
    state = {"state": "DONE" if ended else "NEW", "finished_at": at if ended else None}
    ids = [f"{name}-{number}" for number in range(count)]
    with store._database.write() as connection:
        connection.execute(
            insert(scans), [{"id": one, "instance": one, **common, **state} for one in ids]
        )
        connection.execute(insert(costs), [{"scan": one, "usd": 1.0, **ZEROS} for one in ids])


def steps(store: Store) -> int:
    """What SQLite's virtual machine does to add what was spent in a day."""
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    def watch(connection: object, *_: object) -> None:
        connection.set_progress_handler(step, 1)  # type: ignore[attr-defined] # sqlite3's

    event.listen(store._database.engine, "checkout", watch)
    try:
        assert store.costs.spent("1", NOW - DAY) == 12.0
    finally:
        event.remove(store._database.engine, "checkout", watch)
    return taken


def test_what_a_day_cost_is_summed_over_its_scans_and_not_over_all_there_were(
    tmp_path: Path,
) -> None:
    with Store(f"sqlite:///{tmp_path / 'store.db'}", clock=lambda: NOW) as store:
        store.migrate()
        add_scans(store, "today", 10, NOW, ended=True)
        add_scans(store, "waits", 2, NOW - 3 * DAY, ended=False)
        before = steps(store)
        add_scans(store, "old", 500, NOW - 2 * DAY, ended=True)
        assert steps(store) < before + 50
