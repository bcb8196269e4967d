"""Findings in the order in which they were last observed, by two indexes.

Findings that follow an inventory are read by inventories in the order of their times, the others in
that of their own: the first of both are the first of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, true, tuple_

from sidelight.store.base.ordered_join import ordered_join
from sidelight.store.base.schema import finding_terms, findings, instance_terms, inventories
from sidelight.store.findings.criteria_sql import OF_INSTANCE
from sidelight.store.findings.observed_times import OF_INVENTORY, OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Select
    from sqlalchemy.sql.selectable import FromClause

    from sidelight.store.base.column_types import SqlColumn, SqlRow
    from sidelight.store.findings.criteria_sql import SearchConditions


@dataclass(frozen=True, slots=True)
class ObservedOrder:
    """A search in this order; `after` is the time and the id of the finding before, if any."""

    conditions: SearchConditions
    after: Sequence[SqlColumn] | None
    descending: bool

    def first(self, connection: Connection, size: int) -> Sequence[SqlRow]:
        """Return time and id of the first findings."""
        own = connection.execute(self._own().limit(size)).all()
        if connection.dialect.name == "postgresql":
            following = connection.execute(self._by_inventories(size)).all()
        else:
            following = connection.execute(self._following().limit(size)).all()
        return sorted([*own, *following], key=tuple, reverse=self.descending)[:size]

    def _own(self) -> Select[SqlRow]:
        last, number = findings.c.last_observed, findings.c.id
        _, high = self.conditions.observed
        # An open network finding may have been observed later, never earlier.
        bounds = [] if high is None else [last <= high]
        query = select(last, number).select_from(self._described(findings))
        query = query.where(OWN, *bounds, *self._matching(), *self._beyond(last, number))
        return query.order_by(self._ordered(last), self._ordered(number))

    def _following(self) -> Select[SqlRow]:
        """Select from inventories and findings: SQLite sorts those of one time alone."""
        at, number = inventories.c.observed_at, findings.c.id
        table = self._described(ordered_join(inventories, findings, OF_INVENTORY))
        query = select(at, number).select_from(table)
        query = query.where(
            findings.c.follows, *self._bounds(), *self._matching(), *self._beyond(at, number)
        )
        return query.order_by(self._ordered(at), self._ordered(number))

    def _by_inventories(self, size: int) -> Select[SqlRow]:
        """Select a page at most of each inventory: PostgreSQL would sort all of one time."""
        at = inventories.c.observed_at
        # Not the column itself, whose index has the findings of all.
        number = findings.c.id + 0
        found = (
            select(findings.c.id)
            .select_from(self._described(findings))
            .where(OF_INVENTORY, findings.c.follows, *self._matching())
            .where(*self._beyond(at, findings.c.id))
            .correlate(inventories)
            .order_by(self._ordered(number))
            .limit(size)
            .lateral("found")
        )
        query = select(at, found.c.id).select_from(inventories.join(found, true()))
        if self.after is not None:
            last = self.after[0]
            query = query.where(at <= last if self.descending else at >= last)
        query = query.where(*self._bounds())
        return query.order_by(self._ordered(at), self._ordered(found.c.id)).limit(size)

    def _bounds(self) -> list[ColumnElement[bool]]:
        """Return the conditions of the inventories' times."""
        at = inventories.c.observed_at
        low, high = self.conditions.observed
        bounds: list[ColumnElement[bool]] = [at.is_not(None)]
        if low is not None:
            bounds.append(at >= low)
        if high is not None:
            bounds.append(at <= high)
        return bounds

    def _matching(self) -> list[ColumnElement[bool]]:
        conditions = self.conditions
        return [*conditions.finding, *conditions.terms, *conditions.instance]

    def _described(self, table: FromClause) -> FromClause:
        """Join what the conditions are about."""
        if self.conditions.terms:
            of_terms = finding_terms.c.detail == findings.c.detail
            table = ordered_join(table, finding_terms, of_terms)
        if self.conditions.instance:
            table = table.outerjoin(instance_terms, OF_INSTANCE)
        return table

    def _beyond(self, time: SqlColumn, number: SqlColumn) -> list[ColumnElement[bool]]:
        if self.after is None:
            return []
        row, bound = tuple_(time, number), tuple_(*self.after)
        return [row < bound if self.descending else row > bound]

    def _ordered(self, key: SqlColumn) -> SqlColumn:
        return key.desc() if self.descending else key.asc()
