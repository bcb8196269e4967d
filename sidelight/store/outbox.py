"""What happened to findings, as events in the order in which it was committed.

Written in the transaction of the change itself: an event is never lost, and never without its
change. Numbers have no gaps. A reader that keeps the last number it has dealt with gets every
event at least once, whatever falls in between.
"""

from __future__ import annotations

import hashlib
from datetime import datetime  # noqa: TC003 - a NamedTuple's
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Row, select

from sidelight.model import Finding
from sidelight.store import codec
from sidelight.store.rows import FindingEvent, FindingRow, FindingStatus, Place
from sidelight.store.schema import finding_details, finding_events, findings, sequences
from sidelight.store.statements import insert, parts, put_rows, raised, value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.store.engine import Database


class Kind(StrEnum):
    """What happened. UPDATED: what is said of it changed, or a rule suppressed it or let it go."""

    OPENED = "OPENED"
    REOPENED = "REOPENED"
    UPDATED = "UPDATED"
    CLOSED = "CLOSED"


class News(NamedTuple):
    """What happened to a finding, and how it is now."""

    kind: Kind
    finding: int
    place: Place
    detail: int
    status: str
    first_observed: datetime
    last_observed: datetime


def news_of(kind: Kind, row: Row[Any], status: str) -> News:
    """Of a finding as it was read, in its new status."""
    place = Place(row.account, row.region, row.instance)
    return News(kind, row.id, place, row.detail, status, row.first_observed, row.last_observed)


def announce(connection: Connection, news: Sequence[News], now: datetime) -> None:
    """Write the events. The last thing to do in a transaction.

    The counter's row is locked from here to the commit: that is what orders the numbers, and who
    holds it must not wait for anything else.
    """
    if not news:
        return
    first = raised(connection, "events", len(news)) + 1
    put_rows(
        connection,
        finding_events,
        [
            {
                "sequence": number,
                "at": now,
                "kind": one.kind.value,
                "finding": one.finding,
                "account": one.place.account,
                "region": one.place.region,
                "instance": one.place.instance,
                "detail": one.detail,
                "status": one.status,
                "first_observed": one.first_observed,
                "last_observed": one.last_observed,
            }
            for number, one in enumerate(news, first)
        ],
    )


def announce_details(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """An UPDATED event for each open finding of these details."""
    columns = [findings.c[name] for name in (
        "id", "account", "region", "instance", "detail", "status", "first_observed",
        "last_observed",
    )]  # fmt: skip
    news: list[News] = []
    for part in parts(ids):
        query = select(*columns).where(
            findings.c.detail.in_(part), findings.c.status != FindingStatus.CLOSED.value
        )
        news += [news_of(Kind.UPDATED, row, row.status) for row in connection.execute(query)]
    announce(connection, news, now)


class Outbox:
    """The events, for readers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self) -> int:
        """The number of the newest event, 0 before the first."""
        with self._database.read() as connection:
            return value(connection, "events")

    def position(self, reader: str) -> int:
        """The last event that a reader has dealt with; for a new reader, the last there is now."""
        name = _reader(reader)
        with self._database.write() as connection:
            statement = insert(connection, sequences).on_conflict_do_nothing()
            connection.execute(statement, {"name": name, "value": value(connection, "events")})
            return value(connection, name)

    def reached(self, reader: str, sequence: int) -> None:
        """Remember that. Of two that read as one, the one that is behind changes nothing."""
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

    def after(self, sequence: int, limit: int = 1000) -> list[FindingEvent]:
        """The next events in order. What is said of the finding is what is known of it now."""
        query = (
            select(finding_events, finding_details.c.document)
            .join(finding_details, finding_details.c.id == finding_events.c.detail)
            .where(finding_events.c.sequence > sequence)
            .order_by(finding_events.c.sequence)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_event(row) for row in connection.execute(query)]


def _reader(name: str) -> str:
    """A reader's counter: a name may be longer than a counter's can be."""
    return f"read {hashlib.sha256(name.encode()).hexdigest()[:40]}"


def _event(row: Row[Any]) -> FindingEvent:
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
            finding=codec.load(Finding, row.document),
            updated_at=row.at,
            closed_at=row.at if closed else None,
        ),
    )
