"""The outbox: changes of findings, of coverage, and first scans as events, in order.

The transaction of the change also writes the event: an event is never lost, and never without its
change. Numbers have no gaps. A reader that stores the last number it has processed gets every event
at least once, also after a failure.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, Select, select

from sidelight.findings import EventKind, FindingChange
from sidelight.model import (
    CoverageEvent,
    FindingEvent,
    FindingRow,
    FindingStatus,
    InstanceRef,
    ScanEvent,
)
from sidelight.store.base.counters import increment, read_counter
from sidelight.store.base.dialect import insert, parts, put_rows
from sidelight.store.base.fleet_events import fleet_events_between, number_events
from sidelight.store.base.schema import (
    finding_details,
    finding_events,
    findings,
    fleet_events,
    properties,
    sequences,
)
from sidelight.store.findings.finding_documents import load_finding
from sidelight.store.findings.observed_times import LAST_OBSERVED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sidelight.store.base.engine import Database


_FOLLOWED: Final = "event targets"  # of `properties`


class OpenFinding(NamedTuple):
    """An open finding's row, with the columns that judging and announcing it need."""

    id: int
    account: str
    region: str
    instance: str
    detail: int
    status: str
    first_observed: datetime
    last_observed: datetime
    updated_at: datetime


OPEN_FINDINGS: Final[Select[Any]] = select(
    *(
        LAST_OBSERVED.label(name) if name == "last_observed" else findings.c[name]
        for name in OpenFinding._fields
    )
).where(findings.c.status != FindingStatus.CLOSED.value)


def change_of(kind: EventKind, row: OpenFinding, status: str) -> FindingChange:
    """Build the change of a finding from its row and its new status."""
    instance = InstanceRef(row.account, row.region, row.instance)
    return FindingChange(
        kind, row.id, instance, row.detail, status, row.first_observed, row.last_observed
    )


def open_findings(connection: Connection, query: Select[Any]) -> list[OpenFinding]:
    """Return the rows of a query that begins with OPEN_FINDINGS."""
    return [OpenFinding._make(row) for row in connection.execute(query)]


def announce(connection: Connection, changes: Sequence[FindingChange], now: datetime) -> None:
    """Write the events. This must be the last step of a transaction.

    The counter's row is locked from here to the commit, which orders the numbers. The holder of
    this lock must not wait for anything else.
    """
    if not changes:
        return
    first = increment(connection, "events", len(changes)) + 1
    put_rows(
        connection,
        finding_events,
        [
            {
                "sequence": number,
                "at": now,
                "kind": change.kind.value,
                "finding": change.finding,
                "account": change.instance.account,
                "region": change.instance.region,
                "instance": change.instance.instance,
                "detail": change.detail,
                "status": change.status,
                "first_observed": change.first_observed,
                "last_observed": change.last_observed,
            }
            for number, change in enumerate(changes, first)
        ],
    )


def announce_details(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Write an UPDATED event for each open finding of these vulnerability details."""
    changes = [
        change_of(EventKind.UPDATED, finding, finding.status)
        for part in parts(ids)
        for finding in open_findings(connection, OPEN_FINDINGS.where(findings.c.detail.in_(part)))
    ]
    announce(connection, changes, now)


class Outbox:
    """The events, for readers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self) -> int:
        """Return the number of the newest event, 0 before the first."""
        with self._database.read() as connection:
            return read_counter(connection, "events")

    def number(self) -> int:
        """Number the committed events of coverage and scans; return how many.

        They are not among the events `after` a number before that.
        """
        return number_events(self._database)

    def position(self, reader: str) -> int:
        """Return the last event that a reader has processed; for a new reader, the newest event."""
        name = _reader(reader)
        with self._database.write() as connection:
            statement = insert(connection, sequences).on_conflict_do_nothing()
            connection.execute(
                statement, {"name": name, "value": read_counter(connection, "events")}
            )
            return read_counter(connection, name)

    def reached(self, reader: str, sequence: int) -> None:
        """Store the reader's position. Of two processes with one name, the later position wins."""
        name = _reader(reader)
        with self._database.write() as connection:
            values = {"name": name, "value": sequence}
            statement = insert(connection, sequences).values(values)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"],
                    set_={"value": sequence},
                    where=sequences.c.value < sequence,
                )
            )

    def follow(self, readers: Mapping[str, str]) -> None:
        """Set whose lag is reported: the names that people see, by the readers' own."""
        names = json.dumps({_reader(reader): name for reader, name in readers.items()})
        with self._database.write() as connection:
            statement = insert(connection, properties).values(name=_FOLLOWED, value=names)
            updated = {"value": statement.excluded.value}
            connection.execute(
                statement.on_conflict_do_update(index_elements=["name"], set_=updated)
            )

    def lags(self, now: datetime) -> dict[str, float]:
        """Return the age in seconds of the oldest event that each followed reader has not taken.

        0 for one that has all; without those that have taken none yet.
        """
        query = select(properties.c.value).where(properties.c.name == _FOLLOWED)
        found = {}
        with self._database.read() as connection:
            names = json.loads(connection.execute(query).scalar() or "{}")
            positions = select(sequences).where(sequences.c.name.in_(sorted(names)))
            for row in connection.execute(positions).all():
                first = _first_after(connection, row.value)
                age = 0.0 if first is None else (now - first).total_seconds()
                found[names[row.name]] = max(0.0, age)
        return found

    def after(
        self, sequence: int, limit: int = 1000
    ) -> list[FindingEvent | CoverageEvent | ScanEvent]:
        """Return the next events in order, with the vulnerability details as they are now."""
        with self._database.read() as connection:
            # All numbers up to the counter's committed value are committed; of what is committed
            # between the two queries neither is read.
            last = read_counter(connection, "events")
            if sequence >= last:  # also a number that no database could compare with
                return []
            query = (
                select(*_EVENT_COLUMNS)
                .join(finding_details, finding_details.c.id == finding_events.c.detail)
                .where(finding_events.c.sequence > sequence, finding_events.c.sequence <= last)
                .order_by(finding_events.c.sequence)
                .limit(limit)
            )
            own = [_event(_StoredEvent._make(row)) for row in connection.execute(query)]
            others = fleet_events_between(connection, sequence, last, limit)
        return sorted([*own, *others], key=lambda event: event.sequence)[:limit]

    def finding_events(self, sequence: int, limit: int = 1000) -> list[FindingEvent]:
        """Return those of the next events that are of findings."""
        events = self.after(sequence, limit)
        return [event for event in events if isinstance(event, FindingEvent)]


def _first_after(connection: Connection, sequence: int) -> datetime | None:
    """Return the time of the next event; None where there is none."""
    times = []
    for table in (finding_events, fleet_events):
        query = select(table.c.at).where(table.c.sequence > sequence)
        at = connection.execute(query.order_by(table.c.sequence).limit(1)).scalar()
        if at is not None:
            times.append(at)
    return min(times, default=None)


def _reader(name: str) -> str:
    """Return the name of a reader's counter, hashed: a reader's name may be too long for one."""
    return f"read {hashlib.sha256(name.encode()).hexdigest()[:40]}"


class _StoredEvent(NamedTuple):
    """An event's row, with its vulnerability details."""

    sequence: int
    at: datetime
    kind: str
    finding: int
    account: str
    region: str
    instance: str
    status: str
    first_observed: datetime
    last_observed: datetime
    type: str
    document: str


_EVENT_COLUMNS: Final = tuple(
    (finding_details if name in {"type", "document"} else finding_events).c[name]
    for name in _StoredEvent._fields
)


def _event(row: _StoredEvent) -> FindingEvent:
    closed = row.status == FindingStatus.CLOSED.value
    return FindingEvent(
        row.sequence,
        row.at,
        row.kind,
        FindingRow(
            id=row.finding,
            account=row.account,
            region=row.region,
            instance=row.instance,
            status=FindingStatus(row.status),
            first_observed=row.first_observed,
            last_observed=row.last_observed,
            finding=load_finding(row.type, row.document),
            updated_at=row.at,
            closed_at=row.at if closed else None,
        ),
    )
