"""Stage durations of scans: in the queue, running, and waiting for the shared budgets.

The worker that claimed the scan measures the stage's turn. `release` writes it in the transaction
that gives the scan back, so that it needs no additional commit.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, case, select

from sidelight.model import STAGE_OF, STAGES
from sidelight.store.base.dialect import insert, once
from sidelight.store.base.schema import stage_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sidelight.model import Scan, State
    from sidelight.store.base.engine import Database


@dataclass(slots=True)
class Turn:
    """A claim: its start, and the seconds for which budgets delayed it."""

    since: datetime
    paced: float = 0.0
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, seconds: float) -> None:
        """Add a wait of `seconds` by a thread of this turn; overlapping waits count once."""
        with self._lock:
            now = time.monotonic()
            self.paced += max(0.0, now + seconds - max(now, self._until))
            self._until = max(self._until, now + seconds)


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


def current_turn() -> Turn | None:
    """Return the turn of this thread's stage; None outside of a stage."""
    return _turn.get()


@contextmanager
def turn(since: datetime) -> Iterator[Turn]:
    """Open a turn: scans that are released within the block were claimed at `since`."""
    opened = Turn(since)
    token = _turn.set(opened)
    try:
        yield opened
    finally:
        _turn.reset(token)


class EndedTurn(NamedTuple):
    """A released scan, and its state now; `paced`: the seconds of its postponement for a budget."""

    scan: Scan
    to: State
    paced: float = 0.0


def end_turns(connection: Connection, ended: Sequence[EndedTurn], now: datetime) -> None:
    """Record the present turn of released scans; does nothing outside of a turn."""
    opened = current_turn()
    if opened is None or not ended:
        return
    rows = [
        {
            "scan": scan.id,
            "stage": STAGE_OF[scan.state],
            "runs": 1,
            "waited": max(0.0, (opened.since - scan.next_at).total_seconds()),
            "ran": max(0.0, (now - opened.since).total_seconds()),
            "paced": opened.paced + paced,
            "took": 0.0 if to is scan.state else max(0.0, (now - scan.entered_at).total_seconds()),
            "ended_at": now,
        }
        for scan, to, paced in ended
    ]
    connection.execute(_adding(connection), rows)


@once
def _adding(connection: Connection) -> Any:
    adding = insert(connection, stage_times)
    new = adding.excluded
    added = {name: stage_times.c[name] + new[name] for name in ("runs", "waited", "ran", "paced")}
    # Only the run that leaves the stage has a `took` above 0.
    took = case((new.took > 0, new.took), else_=stage_times.c.took)
    return adding.on_conflict_do_update(
        index_elements=["scan", "stage"],
        set_={**added, "took": took, "ended_at": new.ended_at},
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds: half of the scans took at most `p50`, 95% took at most `p95`."""

    p50: float
    p95: float
    sum: float


@dataclass(frozen=True, slots=True)
class StageTimes:
    """One stage of many scans: the sums over each scan's runs; `runs` is the total of all scans.

    `took`: from entering the stage to leaving it, for scans that left it. `waited`: due but not
    claimed yet (the queue). `ran`: claimed. `paced`: delayed by budgets and caps, while running
    or postponed.
    """

    stage: str
    scans: int
    runs: int
    took: Spread
    waited: Spread
    ran: Spread
    paced: Spread


class Stages:
    """The times of the stages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def times(self, since: datetime) -> list[StageTimes]:
        """Return the times of scans that left a stage since then, in the order of the stages.

        The query reads one row per scan and stage: for a fleet, ask for an hour or a day. Stages
        that no scan has passed are absent.
        """
        query = select(stage_times).where(stage_times.c.ended_at >= since)
        rows_by_stage: dict[str, list[Any]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                rows_by_stage.setdefault(row.stage, []).append(row)
        return [
            _stage_times(stage, rows_by_stage[stage]) for stage in STAGES if stage in rows_by_stage
        ]


def _stage_times(stage: str, rows: Sequence[Any]) -> StageTimes:
    return StageTimes(
        stage,
        scans=len(rows),
        runs=sum(row.runs for row in rows),
        took=spread([row.took for row in rows if row.took > 0]),
        waited=spread([row.waited for row in rows]),
        ran=spread([row.ran for row in rows]),
        paced=spread([row.paced for row in rows]),
    )


def spread(values: Sequence[float]) -> Spread:
    """Return the percentiles and the sum of `values`; all zeros for an empty list."""
    if not values:
        return Spread(0.0, 0.0, 0.0)
    ordered = sorted(values)
    last = len(ordered) - 1
    return Spread(ordered[round(last * 0.5)], ordered[round(last * 0.95)], sum(ordered))
