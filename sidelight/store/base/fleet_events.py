"""Events other than findings': changes of coverage, and first scans.

The transaction of a change writes its event without a number: only the last step of a transaction
may lock the counter of events. `number_events` numbers committed events afterwards, in the order in
which they were written, so that an instance's events keep their order.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select, update

from sidelight.model import CoverageChange, CoverageEvent, ScanEvent
from sidelight.store.base.counters import increment
from sidelight.store.base.schema import fleet_events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from sidelight.model import InstanceRef
    from sidelight.store.base.engine import Database

COVERAGE, SCAN = "COVERAGE", "SCAN"
_AT_ONCE: Final = 1000


def note_coverage_events(connection: Connection, changes: Sequence[CoverageChange]) -> None:
    """Write the events of changes of coverage, after the rows that they change are locked."""
    rows = [
        {
            "at": change.at, "kind": COVERAGE, "account": change.account, "region": change.region,
            "instance": change.instance,
            "document": json.dumps({
                "scan_type": change.scan_type, "status_code": change.status_code,
                "reason": change.reason, "scan_mode": change.scan_mode,
            }),
        }
        for change in changes
    ]  # fmt: skip
    if rows:
        connection.execute(fleet_events.insert(), rows)


def note_first_scan(
    connection: Connection, place: InstanceRef, severities: Mapping[str, int], now: datetime
) -> None:
    """Write the event of an instance's first scan, with its active findings by severity."""
    row = {
        "at": now, "kind": SCAN, "account": place.account, "region": place.region,
        "instance": place.instance, "document": json.dumps(dict(severities)),
    }  # fmt: skip
    connection.execute(fleet_events.insert(), [row])


def number_events(database: Database) -> int:
    """Number the committed events that have no number; return how many."""
    count = 0
    pending = select(fleet_events.c.id).where(fleet_events.c.sequence.is_(None))
    pending = pending.order_by(fleet_events.c.id).limit(_AT_ONCE)
    while True:
        with database.read() as connection:
            if connection.execute(pending.limit(1)).first() is None:
                return count
        with database.write() as connection:
            increment(connection, "events", 0)  # locked: what another process numbers is seen below
            ids = list(connection.execute(pending).scalars())
            if not ids:
                return count
            first = increment(connection, "events", len(ids)) + 1
            statement = (
                update(fleet_events)
                .where(fleet_events.c.id == bindparam("row"))
                .values(sequence=bindparam("number"))
            )
            numbers = [{"row": row, "number": number} for number, row in enumerate(ids, first)]
            connection.execute(statement, numbers)
            count += len(ids)


def fleet_events_between(
    connection: Connection, after: int, last: int, limit: int
) -> list[CoverageEvent | ScanEvent]:
    """Return the events with numbers above `after` and up to `last`, at most `limit`, in order."""
    query = (
        select(fleet_events)
        .where(fleet_events.c.sequence > after, fleet_events.c.sequence <= last)
        .order_by(fleet_events.c.sequence)
        .limit(limit)
    )
    return [_event(row) for row in connection.execute(query)]


def _event(row: Any) -> CoverageEvent | ScanEvent:
    document = json.loads(row.document)
    place = row.account, row.region, row.instance
    if row.kind == SCAN:
        return ScanEvent(row.sequence, row.at, *place, document)
    change = CoverageChange(
        *place, document["scan_type"], row.at, document["status_code"], document["reason"],
        document["scan_mode"],
    )  # fmt: skip
    return CoverageEvent(row.sequence, row.at, change)
