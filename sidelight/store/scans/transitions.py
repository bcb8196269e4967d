"""Changes of a scan's row within a transaction: claims, and the changes that a holder may make.

Every change is one UPDATE whose WHERE names the expected state and lease. Of two workers with the
same message, one gets the row and the other gets nothing. A worker that was presumed dead and
comes back has lost its lease (LeaseLostError) and changes nothing.

A worker holds a scan for one stage. A keeper (a command that runs all stages itself) holds it to
the scan's end, so that no worker can claim it in between. When the keeper dies, its last lease
expires as a worker's does.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, or_, update

from sidelight.errors import LeaseLostError
from sidelight.model import (
    KEPT,
    TERMINAL,
    TRANSITIONS,
    WAITING,
    Event,
    Keeper,
    Scan,
    Snapshot,
    State,
    Transition,
)
from sidelight.store.base import row_leases
from sidelight.store.base.dialect import insert, once
from sidelight.store.base.schema import events, intents, scans, snapshots
from sidelight.store.scans.stages import end_turn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.sql.dml import ReturningUpdate

# A message that no worker picked up is published again after this.
GRACE = timedelta(seconds=60)
# A message that arrives this much early is on time: workers' clocks differ slightly.
EARLY = timedelta(seconds=0.1)

SCAN_COLUMNS = [
    scans.c[name]
    for name in (
        "id", "deployment", "account", "region", "instance", "state", "created_at", "entered_at",
        "next_at", "attempts", "lease", "lease_until", "failure", "failure_code", "last_error",
        "priority", "finished_at", "late_since", "source",
    )
]  # fmt: skip


def scan_of(row: RowMapping) -> Scan:
    """Build a Scan from a row of SCAN_COLUMNS."""
    return Scan(**{**row, "state": State(row["state"])})


def free(now: datetime) -> ColumnElement[bool]:
    """Match scans without a lease, or with an expired one."""
    return row_leases.free(scans, now)


def kept() -> ColumnElement[bool]:
    """Match scans of any keeper, alive or dead."""
    return scans.c.lease.startswith(KEPT)


def by(keeper: Keeper) -> ColumnElement[bool]:
    """Match scans of this keeper."""
    return scans.c.lease.startswith(keeper.token)


def claiming(
    now: datetime, seconds: float, *wanted: ColumnElement[bool], keeper: Keeper | None = None
) -> ReturningUpdate[Any]:
    """Claim the wanted scans that are free, under one lease; each claim counts an attempt.

    A keeper can claim its own scans again: each claim's token is the keeper's plus a new suffix.
    """
    until = now + timedelta(seconds=seconds)
    token = uuid.uuid4().hex
    return (
        update(scans)
        .where(*wanted, free(now) if keeper is None else or_(free(now), by(keeper)))
        .values(
            lease=token if keeper is None else f"{keeper.token}{token[:16]}",
            lease_until=until,
            # If this worker dies, the dispatcher publishes the scan again.
            publish_at=until,
            publications=0,
            attempts=scans.c.attempts + 1,
        )
        .returning(*SCAN_COLUMNS)
    )


def check(scan: Scan, to: State) -> None:
    """Raise ValueError unless the scan may change to this state: a programming error."""
    if to is not scan.state and to not in TRANSITIONS[scan.state]:
        raise ValueError(f"scan {scan.id}: no scan goes from {scan.state} to {to}")


def change(connection: Connection, scan: Scan, **values: Any) -> None:
    """Compare and set. Raises LeaseLostError if the state or lease differs from the worker's."""
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
    own_message: bool = True,
    **values: Any,
) -> Transition:
    """Give the lease back, in the next state or the same. Raises LeaseLostError.

    `paced`: the seconds for which it is postponed for a budget. `own_message` as in Transition. A
    keeper keeps the lease until the end; if it dies, the scan is published when the lease expires.
    """
    check(scan, to)
    values = {"state": to, "next_at": due} | values
    if to in TERMINAL or not scan.kept:
        values |= {
            "lease": "",
            "lease_until": None,
            # The worker publishes the next stage itself; this applies if it dies before that.
            "publish_at": due + GRACE,
            "publications": 0,
        }
    if to is not scan.state:
        values["entered_at"] = now
        values["attempts"] = 0
        values["late_since"] = None
        if scan.last_error.startswith(WAITING):
            values.setdefault("last_error", "")
    if to in TERMINAL:
        values["finished_at"] = now
        connection.execute(intents.delete().where(intents.c.scan == scan.id))
    change(connection, scan, **values)
    end_turn(connection, scan, now, to, paced)
    return Transition(to, due, own_message)


def remember(connection: Connection, created: Sequence[Snapshot]) -> None:
    """Insert or update snapshot rows."""
    if not created:
        return
    for snapshot in created:
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
    """Match the row with this claim's lease and state. Raises LeaseLostError if never claimed."""
    if not scan.lease:
        raise LeaseLostError("never claimed", where=scan.id)
    return (and_(scans.c.id == scan.id, scans.c.lease == scan.lease, scans.c.state == scan.state),)
