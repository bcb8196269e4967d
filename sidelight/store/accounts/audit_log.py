"""The audit log of the API: a record is written before its call begins, and completed after."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update

from sidelight.model import AuditRecord
from sidelight.store.base.dialect import insert
from sidelight.store.base.schema import audit_records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

DETAIL_LIMIT: Final = 500  # characters
_NAME_LIMIT: Final = 64  # characters of the other texts


class AuditLog:
    """Records of calls, the newest first. Their texts are bounded."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, record: AuditRecord) -> int | None:
        """Write a record; return its number, or None where its signature was used before."""
        values = {name: _bounded(name, value) for name, value in asdict(record).items()}
        with self._database.write() as connection:
            adding = insert(connection, audit_records).values(values)
            adding = adding.on_conflict_do_nothing(index_elements=["signature"])
            number = connection.execute(adding.returning(audit_records.c.id)).scalar()
            return None if number is None else int(number)

    def complete(self, number: int, outcome: str, detail: str = "") -> None:
        """Write the result of a call: OK, or the code of its error and why."""
        change = update(audit_records).where(audit_records.c.id == number)
        values = {"outcome": outcome[:_NAME_LIMIT]}
        if detail:
            values["detail"] = detail[:DETAIL_LIMIT]
        with self._database.write() as connection:
            connection.execute(change.values(values))

    def newest(self, count: int, *, principal: str = "") -> Iterable[AuditRecord]:
        """Return up to `count` records, of one principal or of all."""
        columns = [column for column in audit_records.c if column.name != "id"]
        query = select(*columns).order_by(audit_records.c.id.desc()).limit(count)
        if principal:
            query = query.where(audit_records.c.principal == principal)
        with self._database.read() as connection:
            return [AuditRecord(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - public


def _bounded(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    return value[: DETAIL_LIMIT if name == "detail" else _NAME_LIMIT]
