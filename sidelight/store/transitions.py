"""The row's changes, within a transaction: claims and what a claim's holder may do.

Every change is one UPDATE whose WHERE names the state and the lease that the worker believes in,
so of two workers with the same message one gets the row and the other gets nothing. A worker that
was thought dead and comes back finds its lease gone (LeaseLostError) and changes nothing.

A worker holds a scan for a stage; a keeper (a command that does all stages itself) to its end, so
that no worker has it in between. When the keeper dies its last lease ends as a worker's does.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, or_, update

from sidelight.errors import LeaseLostError
from sidelight.store.rows import KEPT, TERMINAL, Event, Keeper, Scan, Snapshot, State
from sidelight.store.schema import events, intents, scans, snapshots
from sidelight.store.stages import end_turn
from sidelight.store.statements import insert, once

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.sql.dml import ReturningUpdate

# A message that nobody picked up is published again after this.
GRACE = timedelta(seconds=60)
# One that comes so much before its time is in time: workers' clocks differ a little.
EARLY = timedelta(seconds=0.1)

SCAN_COLUMNS = [
    scans.c[name]
    for name in (
        "id", "deployment", "account", "region", "instance", "state", "created_at", "entered_at",
        "next_at", "attempts", "lease", "lease_until", "failure", "failure_code", "last_error",
        "priority", "finished_at",
    )
]  # fmt: skip


def scan_of(row: Row[Any]) -> Scan:
    """A row of SCAN_COLUMNS."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way
    values["state"] = State(values["state"])
    return Scan(**values)


def free(now: datetime) -> ColumnElement[bool]:
    """Held by no worker, or by one whose lease has ended."""
    return or_(scans.c.lease_until.is_(None), scans.c.lease_until <= now)


def kept() -> ColumnElement[bool]:
    """Of a keeper, be it alive or not."""
    return scans.c.lease.startswith(KEPT)


def by(keeper: Keeper) -> ColumnElement[bool]:
    """Of this keeper."""
    return scans.c.lease.startswith(keeper.token)


def claiming(
    now: datetime, seconds: float, *wanted: ColumnElement[bool], keeper: Keeper | None = None
) -> ReturningUpdate[Any]:
    """Take the wanted scans that are free, under one lease; each counts an attempt.

    A keeper takes its own as well: each of its claims has a token of its own after the keeper's.
    """
    until = now + timedelta(seconds=seconds)
    token = uuid.uuid4().hex
    return (
        update(scans)
        .where(*wanted, free(now) if keeper is None else or_(free(now), by(keeper)))
        .values(
            lease=token if keeper is None else f"{keeper.token}{token[:16]}",
            lease_until=until,
            # Should this worker die, the dispatcher publishes the scan again.
            publish_at=until,
            publications=0,
            attempts=scans.c.attempts + 1,
        )
        .returning(*SCAN_COLUMNS)
    )


def change(connection: Connection, scan: Scan, **values: Any) -> None:
    """Compare and set: raises LeaseLostError unless the scan is still as the worker holds it."""
    result = connection.execute(update(scans).where(*held(scan)).values(**values))
    if result.rowcount != 1:
        raise LeaseLostError(f"not held any more in {scan.state}", where=scan.id)


def release(  # noqa: PLR0913 - a row, a moment, and where it goes
    connection: Connection,
    scan: Scan,
    now: datetime,
    due: datetime,
    to: State,
    *,
    paced: float = 0.0,
    told: bool = True,
    **values: Any,
) -> None:
    """Give the lease back, in the next state or the same. Raises LeaseLostError.

    `paced` is how long it is set aside for a budget. `told`: its worker is to publish it. A keeper
    gives nothing back before the end; should it die, the scan is published when its lease ends.
    """
    values = {"state": to, "next_at": due} | values
    if to in TERMINAL or not scan.kept:
        values |= {
            "lease": "",
            "lease_until": None,
            # The worker publishes the next stage itself; this is for when it dies before that.
            "publish_at": due + GRACE,
            "publications": 0,
        }
    if to is not scan.state:
        values["entered_at"] = now
        values["attempts"] = 0
    if to in TERMINAL:
        values["finished_at"] = now
        connection.execute(intents.delete().where(intents.c.scan == scan.id))
    change(connection, scan, **values)
    end_turn(connection, scan, now, to, due, paced=paced, told=told)


def remember(connection: Connection, made: Sequence[Snapshot]) -> None:
    """Write snapshots, new or known."""
    if not made:
        return
    for snapshot in made:
        values = {column.name: getattr(snapshot, column.name) for column in snapshots.c}
        connection.execute(_remembering(connection), values)


@once
def _remembering(connection: Connection) -> Any:
    adding = insert(connection, snapshots)
    changed = {name: adding.excluded[name] for name in ("state", "deleted_at", "receipt")}
    return adding.on_conflict_do_update(index_elements=["id"], set_=changed)


def note(connection: Connection, event: Event) -> None:
    """Write an event."""
    connection.execute(
        events.insert(),
        {"scan": event.scan, "at": event.at, "what": event.what, "detail": event.detail},
    )


def held(scan: Scan) -> tuple[Any, ...]:
    """That the row is as this claim has it. Raises LeaseLostError for what was never claimed."""
    if not scan.lease:
        raise LeaseLostError("never claimed", where=scan.id)
    return (and_(scans.c.id == scan.id, scans.c.lease == scan.lease, scans.c.state == scan.state),)
