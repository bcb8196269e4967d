"""How long the stages of scans take: in the queue, at work, and waiting for the shared budgets.

A stage's turn is known to whoever claimed the scan; `release` writes it in the transaction that
gives the scan back, so that it costs no commit of its own.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, case, select

from sidelight.store.rows import State
from sidelight.store.schema import stage_times
from sidelight.store.statements import insert, once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sidelight.store.engine import Database
    from sidelight.store.rows import Scan

TAKE, AWAIT, INSPECT, EVALUATE, DELETE = STAGES = (
    "take",
    "await",
    "inspect",
    "evaluate",
    "delete",
)
STAGE_OF: dict[State, str] = {
    State.NEW: TAKE,
    State.SNAPSHOTTING: TAKE,
    State.SNAPSHOTS_PENDING: AWAIT,
    State.READING: INSPECT,
    State.EVALUATING: EVALUATE,
    State.DELETING: DELETE,
}


@dataclass(slots=True)
class Turn:
    """A claim: since when, and the seconds for which budgets held it back.

    `left`: the state that each scan was released to, by its id, and when it is due there; not of
    those that another's message will serve.
    """

    since: datetime
    paced: float = 0.0
    left: dict[str, tuple[State, datetime]] = field(default_factory=dict)
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, seconds: float) -> None:
        """A thread of this turn is about to wait so long; several at once count once."""
        with self._lock:
            now = time.monotonic()
            self.paced += max(0.0, now + seconds - max(now, self._until))
            self._until = max(self._until, now + seconds)


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


def current() -> Turn | None:
    """The turn of this thread's stage, where it is within one."""
    return _turn.get()


@contextmanager
def turn(since: datetime) -> Iterator[Turn]:
    """What is released within was claimed then."""
    begun = Turn(since)
    token = _turn.set(begun)
    try:
        yield begun
    finally:
        _turn.reset(token)


def end_turn(  # noqa: PLR0913 - a scan, a moment, and where it goes
    connection: Connection,
    scan: Scan,
    now: datetime,
    to: State,
    due: datetime,
    *,
    paced: float,
    told: bool,
) -> None:
    """Add the present turn of a scan that is given back; nothing outside of a turn.

    `paced`: the seconds for which it is set aside for a budget. `told`: a message is to follow.
    """
    begun = current()
    if begun is None:
        return
    if told:
        begun.left[scan.id] = (to, due)
    values = {
        "scan": scan.id,
        "stage": STAGE_OF[scan.state],
        "runs": 1,
        "waited": max(0.0, (begun.since - scan.next_at).total_seconds()),
        "ran": max(0.0, (now - begun.since).total_seconds()),
        "paced": begun.paced + paced,
        "took": max(0.0, (now - scan.entered_at).total_seconds()) if to is not scan.state else 0.0,
        "ended_at": now,
    }
    connection.execute(_adding(connection), values)


@once
def _adding(connection: Connection) -> Any:
    adding = insert(connection, stage_times)
    new = adding.excluded
    added = {name: stage_times.c[name] + new[name] for name in ("runs", "waited", "ran", "paced")}
    # Runs before the last leave nothing here.
    took = case((new.took > 0, new.took), else_=stage_times.c.took)
    return adding.on_conflict_do_update(
        index_elements=["scan", "stage"],
        set_={**added, "took": took, "ended_at": new.ended_at},
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds: half of the scans took no more than `p50`, 95% no more than `p95`."""

    p50: float
    p95: float
    sum: float


@dataclass(frozen=True, slots=True)
class StageTimes:
    """One stage of many scans, a scan's runs of it added up; `runs` of all of them.

    `took`: from entering the stage to leaving it, of those that left it; `waited`: due, and not
    claimed yet (the queue); `ran`: claimed; `paced`: held back by budgets and caps, while it ran
    or set aside.
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
        """Of the scans that a stage let go of since then, by stage in a scan's order.

        A row a scan and stage is read: for a fleet ask for an hour or a day. Stages that no scan
        has passed are absent.
        """
        query = select(stage_times).where(stage_times.c.ended_at >= since)
        found: dict[str, list[Any]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                found.setdefault(row.stage, []).append(row)
        return [_stage_times(stage, found[stage]) for stage in STAGES if stage in found]


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
    """Noughts for none."""
    if not values:
        return Spread(0.0, 0.0, 0.0)
    ordered = sorted(values)
    last = len(ordered) - 1
    return Spread(ordered[round(last * 0.5)], ordered[round(last * 0.95)], sum(ordered))
