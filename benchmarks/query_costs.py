"""What queries read: a cost that does not vary with the load of the machine; and CPU time.

PostgreSQL: rows that the scans of the plans visit, and buffers of 8 KiB, by EXPLAIN (ANALYZE,
BUFFERS). SQLite: steps of its virtual machine, about ten for each row that a query tests.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import event, text

from sidelight.store.base.engine import READ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sidelight.store.base.engine import Database

STEPS = 100  # of SQLite's virtual machine, between two counts


@dataclass(frozen=True, slots=True, order=True)
class QueryCost:
    """Rows and buffers that PostgreSQL reads, or steps of SQLite's virtual machine."""

    rows: int = 0
    buffers: int = 0
    steps: int = 0

    def __str__(self) -> str:
        """Write what the database counts."""
        if self.steps:
            return f"{self.steps:9,} steps"
        return f"{self.rows:9,} rows {self.buffers:8,} buffers"


def cost(database: Database, run: Callable[[], object]) -> QueryCost:
    """Return what the statements of a call read."""
    if database.engine.dialect.name == "sqlite":
        return QueryCost(steps=_steps(database, run))
    rows = buffers = 0
    for plan in plans(database, run, "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "):
        answer = plan[0]
        found = json.loads(answer) if isinstance(answer, str) else answer
        assert isinstance(found, list)
        top = found[0]["Plan"]
        rows += _rows(top)
        buffers += top.get("Shared Hit Blocks", 0) + top.get("Shared Read Blocks", 0)
    return QueryCost(rows, buffers)


def cpu(database: Database, run: Callable[[], object], runs: int = 3) -> float:
    """Return milliseconds of CPU time of a call, the least of some runs.

    Of this process, and of the server's where that is on this machine: waiting for cores that
    others use does not count.
    """
    took = []
    for _ in range(runs):
        begin = time.process_time() + _server_seconds(database)
        run()
        took.append(1000 * (time.process_time() + _server_seconds(database) - begin))
    return min(took)


def _server_seconds(database: Database) -> float:
    """Return the CPU seconds of the server's processes for this database."""
    if database.engine.dialect.name == "sqlite":
        return 0.0
    query = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
    with database.read() as connection:
        pids = list(connection.execute(query).scalars())
    files = [Path(f"/proc/{pid}/schedstat") for pid in pids]
    return sum(int(file.read_text().split()[0]) for file in files if file.exists()) / 1e9


@contextmanager
def executed_statements(database: Database) -> Iterator[list[tuple[str, object]]]:
    """Collect the statements that are executed, with their values."""
    seen: list[tuple[str, object]] = []

    def note(*args: object) -> None:
        seen.append((str(args[2]), args[3]))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def plans(database: Database, run: Callable[[], object], prefix: str) -> Iterator[list[object]]:
    """Yield the answers to EXPLAIN of the SELECTs that a call executes."""
    with executed_statements(database) as statements:
        run()
    with database.engine.connect().execution_options(**{READ: True}) as connection:
        for statement, values in statements:
            if "set_config" in statement:
                connection.exec_driver_sql(statement, values)  # type: ignore[arg-type]
            elif statement.startswith(("SELECT", "WITH")):
                answer = connection.exec_driver_sql(prefix + statement, values)  # type: ignore[arg-type]
                yield [row[-1] for row in answer]


def _rows(plan: Mapping[str, object]) -> int:
    """Return the rows that the scans of a plan visit, also those that no condition takes."""
    rows = 0.0
    if "Scan" in str(plan["Node Type"]) and plan["Node Type"] not in ("CTE Scan", "Subquery Scan"):
        each = sum(
            _number(plan.get(name))
            for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        )
        rows += each * _number(plan.get("Actual Loops"))
    below = plan.get("Plans", ())
    assert isinstance(below, (list, tuple))
    return round(rows) + sum(_rows(item) for item in below)


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


@contextmanager
def _counted(database: Database, seen: list[int]) -> Iterator[None]:
    def begin(*args: object) -> None:
        def count() -> int:
            seen[0] += STEPS
            return 0

        connection: object = args[0].connection.driver_connection  # type: ignore[attr-defined]
        connection.set_progress_handler(count, STEPS)  # type: ignore[attr-defined]

    event.listen(database.engine, "before_cursor_execute", begin)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", begin)
        database.engine.dispose()  # with the handlers


def _steps(database: Database, run: Callable[[], object]) -> int:
    seen = [0]
    with _counted(database, seen):
        run()
    return seen[0]
