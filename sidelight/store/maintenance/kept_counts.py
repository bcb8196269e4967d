"""Keep the counts that aggregations read (`sidelight.store.findings.active_counts`).

Triggers record each change of findings in its transaction, without a lock that others wait for.
`fold` takes recorded changes into the counts: numbers of details are added, and instances are
counted again. A change that commits meanwhile leaves its record, so that nothing is lost or counted
twice.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, select, text, tuple_

from sidelight.model import FindingStatus
from sidelight.store.base.count_triggers import TERMS_LOCK
from sidelight.store.base.counters import increment, set_counter
from sidelight.store.base.dialect import insert, once, parts
from sidelight.store.base.schema import count_changes, detail_counts, findings, instance_counts
from sidelight.store.findings.active_counts import (
    COUNTS,
    KEPT,
    are_kept,
    counting_instances,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sidelight.store.base.column_types import SqlValue
    from sidelight.store.base.engine import Database

AT_ONCE: Final = 20_000  # changes that one transaction takes
_COLUMNS: Final = ("account", "instance", "type", "region", *COUNTS)


class KeptCounts:
    """Writes the counts of active findings. Several processes take turns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def fold(self, limit: int = AT_ONCE) -> int:
        """Take the oldest changes into the counts; return how many, 0 if there are none.

        A store whose findings were never counted is counted whole.
        """
        with self._database.read() as connection:
            is_kept = are_kept(connection)
            if is_kept and connection.execute(select(count_changes.c.id).limit(1)).first() is None:
                return 0
        if not is_kept:
            self.recount()
        with self._database.write() as connection:
            _lock(connection)
            oldest = select(count_changes.c.id).order_by(count_changes.c.id).limit(limit)
            taken = delete(count_changes).where(count_changes.c.id.in_(oldest.scalar_subquery()))
            changes = connection.execute(taken.returning(*count_changes.c)).all()
            numbers: Counter[tuple[int, str]] = Counter()
            for row in changes:
                numbers[row.detail, row.account] += row.change
            _add(connection, numbers)
            _count_instances(connection, {(row.account, row.instance) for row in changes})
        return len(changes)

    def recount(self) -> None:
        """Count all active findings, and replace the counts. Others may write meanwhile."""
        active = findings.c.status == FindingStatus.ACTIVE.value
        columns = ("detail", "account", "active")
        counted = (
            select(findings.c.detail, findings.c.account, func.count())
            .where(active)
            .group_by(findings.c.detail, findings.c.account)
        )
        with self._database.write() as connection:
            _lock(connection)
            connection.execute(delete(detail_counts))
            connection.execute(delete(instance_counts))
            adding = insert(connection, detail_counts).from_select(columns, counted)
            removing = delete(count_changes)
            if connection.dialect.name == "postgresql":
                # One statement sees the findings and their changes at the same moment.
                adding = adding.add_cte(removing.returning(count_changes.c.id).cte("removed"))
            else:
                connection.execute(removing)
            connection.execute(adding)
            every = insert(connection, instance_counts)
            connection.execute(every.from_select(_COLUMNS, counting_instances(findings)))
            increment(connection, KEPT, 0)
            set_counter(connection, KEPT, 1)


def _lock(connection: Connection) -> None:
    """Wait for those who change terms, and for other processes that count."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": TERMS_LOCK})


def _add(connection: Connection, numbers: Counter[tuple[int, str]]) -> None:
    rows = [
        {"detail": detail, "account": account, "active": number}
        for (detail, account), number in sorted(numbers.items())
        if number
    ]
    if rows:
        connection.execute(_adding(connection), rows)
    gone = [key for key, number in sorted(numbers.items()) if number < 0]
    for part in parts(gone):
        is_gone = tuple_(detail_counts.c.detail, detail_counts.c.account).in_(part)
        connection.execute(delete(detail_counts).where(is_gone, detail_counts.c.active == 0))


@once
def _adding(connection: Connection) -> SqlValue:
    adding = insert(connection, detail_counts)
    total = detail_counts.c.active + adding.excluded.active
    return adding.on_conflict_do_update(
        index_elements=("detail", "account"), set_={"active": total}
    )


def _count_instances(connection: Connection, pairs: set[tuple[str, str]]) -> None:
    for account in sorted({account for account, _ in pairs}):
        for part in parts(sorted(instance for owner, instance in pairs if owner == account)):
            kept = (instance_counts.c.account == account) & instance_counts.c.instance.in_(part)
            connection.execute(delete(instance_counts).where(kept))
            own = (findings.c.account == account) & findings.c.instance.in_(part)
            counted = counting_instances(findings).where(own)
            adding = insert(connection, instance_counts).from_select(_COLUMNS, counted)
            connection.execute(adding)
