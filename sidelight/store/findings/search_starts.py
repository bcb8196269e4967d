"""Where a search of findings may begin: a kind of condition that may leave few of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from sidelight.store.base.ordered_join import ordered_join, same_instance
from sidelight.store.base.schema import finding_terms, findings, instance_tags, instance_terms
from sidelight.store.findings.criteria_sql import OF_INSTANCE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Select
    from sqlalchemy.sql.selectable import FromClause

    from sidelight.store.base.column_types import SqlRow
    from sidelight.store.findings.criteria_sql import SearchConditions

OF_TERMS: Final = finding_terms.c.detail == findings.c.detail
_DETAILS: Final = 1000  # that are named one by one


@dataclass(frozen=True, slots=True)
class SearchStart:
    """The tables that a query begins with, and the conditions on them.

    `is_near`: the findings are those of instances, of which each has its own near each other.
    """

    table: FromClause
    lookups: Sequence[ColumnElement[bool]]
    has_terms: bool = False
    has_instance: bool = False
    is_near: bool = False

    def first(self, few: int) -> Select[SqlRow]:
        """Select a little more than a few of the findings that it leaves."""
        query = select(findings.c.id).select_from(self.table).where(*self.lookups)
        return query.limit(few + 1)


def matching_details(connection: Connection, conditions: SearchConditions) -> list[int] | None:
    """Return the details that match; None if these are many, or all."""
    if not conditions.terms:
        return None
    query = select(finding_terms.c.detail).where(*conditions.terms).limit(_DETAILS + 1)
    found = list(connection.execute(query).scalars())
    return found if len(found) <= _DETAILS else None


def starts(conditions: SearchConditions, details: Collection[int] | None) -> Iterator[SearchStart]:
    """Yield the starts by which a search may begin, the cheapest to count first."""
    if details is not None:
        yield SearchStart(findings, [findings.c.detail.in_(details)])
    for lookup in conditions.lookups:
        yield SearchStart(findings, [lookup])
    if conditions.terms and details is None:
        table = ordered_join(finding_terms, findings, OF_TERMS)
        yield SearchStart(table, conditions.terms, has_terms=True)
    if conditions.tags:
        tagged = (
            select(instance_tags.c.account, instance_tags.c.instance)
            .where(*conditions.tags)
            .distinct()
            .subquery("tagged")
        )
        table = ordered_join(tagged, findings, same_instance(tagged, findings))
        yield SearchStart(table, [], is_near=True)
    elif conditions.needs_instance:
        table = ordered_join(instance_terms, findings, OF_INSTANCE)
        yield SearchStart(table, conditions.instance, has_instance=True, is_near=True)
