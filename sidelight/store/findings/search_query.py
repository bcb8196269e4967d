"""One page of a search of findings: which plan the database follows, and the queries of each.

The plan is fixed here, because both databases misjudge such queries. At first some findings are
read in the order of an index and tested, which fills the page of a search that matches many. Else,
if one kind of condition leaves few findings, these are read and sorted: up to FEW, or up to the
number that is probably read in the order, by how many of those tested match. Where that misjudges,
up to _MANY times FEW: else a search whose findings are at the end of its order would read most of
the store.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, func, literal, not_, or_, select, true, tuple_

from sidelight.store.base.dialect import one_of
from sidelight.store.base.ordered_join import fix_plan, ordered_join
from sidelight.store.base.positions import key_values
from sidelight.store.base.schema import finding_terms, findings, instance_terms
from sidelight.store.findings.criteria_sql import OF_INSTANCE, SearchConditions
from sidelight.store.findings.observed_order import ObservedOrder
from sidelight.store.findings.observed_times import LAST_OBSERVED
from sidelight.store.findings.search_orders import SORT_FINDING, SORT_TERMS
from sidelight.store.findings.search_starts import OF_TERMS, SearchStart, matching_details, starts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Select
    from sqlalchemy.sql.selectable import FromClause

    from sidelight.store.base.column_types import SqlColumn, SqlRow

# Findings that are read and sorted for one page, at most. Of fewer findings in all, fewer: else
# reading in the order of an index finds a page sooner.
FEW: Final = 20_000
# How many times more of a range of times, in the order of last observations: times are related, and
# a day's findings may be at the far end of that order.
_RELATED: Final = 5
# Findings that are tested in the order of an index before anything is counted, and then at most.
TESTED: Final = (1_000, 8_000)
# How many times more of instances: the findings of each are near each other in the table.
_NEAR: Final = 3
_SURE: Final = 2  # times what is expected to fill a page
_MANY: Final = 20  # times FEW, that are sorted where an order does not soon fill a page
_PAGE: Final = 50  # what a page of findings costs more than the sorting of one


def few_findings(connection: Connection) -> int:
    """Return up to how many of all findings are better sorted than found in an index's order."""
    last = connection.execute(select(func.max(findings.c.id))).scalar_one() or 0
    return min(FEW, math.isqrt(_PAGE * last))


class SearchQuery:
    """One search after one position: of `conditions`, by one of SORT_FIELDS or by id.

    Raises ValueError for a position of another search.
    """

    def __init__(
        self,
        conditions: SearchConditions,
        sort: str,
        after: Mapping[str, object] | None,
        *,
        descending: bool,
    ) -> None:
        self.conditions = conditions
        self._descending = descending
        self.by_terms = sort in SORT_TERMS
        column: SqlColumn = SORT_TERMS.get(sort)
        if column is None:
            column = SORT_FINDING.get(sort)
        self._keys: list[SqlColumn] = [] if column is None else [column]
        if self.by_terms:
            self._keys.append(finding_terms.c.detail)
        elif column is findings.c.account or column is findings.c.status:
            self._keys.append(findings.c.detail)  # as in their indexes
        self._keys.append(findings.c.id)
        self._after = None if after is None else self._key(after)

    def _key(self, after: Mapping[str, object]) -> list[SqlColumn]:
        values = key_values(after, self._keys)
        return [
            literal(value, column.type) for column, value in zip(self._keys, values, strict=True)
        ]

    def position(self, row: SqlRow) -> dict[str, object]:
        """Return the position of a found row."""
        return {
            "key": [value.isoformat() if isinstance(value, datetime) else value for value in row]
        }

    def run(
        self, connection: Connection, size: int, few: int, tested: Sequence[int]
    ) -> Sequence[SqlRow]:
        """Return the sort keys of the first findings after the position."""
        if self._is_direct:
            fix_plan(connection, sorts=False)
            return self._in_order(connection, size)
        found, number = self._first_matching(connection, size, tested)
        if len(found) >= size:
            return found
        begin = self._beginning(connection, few)
        if begin is None and found:
            # So many are read in the order, if the others match as often as these.
            expected = size * number // len(found)
            begin = self._beginning(connection, min(_MANY * few, expected))
            if begin is None:
                reach = min(_SURE * expected, _SURE * tested[-1])
                found = self._tested(connection, size, reach, looks_up=False)
                if len(found) >= size:
                    return found
        if begin is None and tested:
            begin = self._beginning(connection, _MANY * few)
        fix_plan(connection, sorts=begin is not None)
        if begin is None:
            return self._in_order(connection, size)
        if connection.dialect.name == "postgresql":
            return connection.execute(self._sorted(begin, size)).all()
        return connection.execute(self._select(begin, self.conditions).limit(size)).all()

    def _first_matching(
        self, connection: Connection, size: int, tested: Sequence[int]
    ) -> tuple[Sequence[SqlRow], int]:
        """Return those of the first findings in the order that match, and how many were tested."""
        found: Sequence[SqlRow] = []
        number = 0
        for most in tested:
            if number:
                # Then as many as surely fill the page, if they match as often as the first.
                wanted = _SURE * size * number // max(len(found), 1)
                if wanted > _SURE * most:
                    break
                number = wanted
            else:
                number = most
            found = self._tested(connection, size, number, looks_up=most == tested[0])
            if len(found) >= size:
                break
        return found, number

    @property
    def _is_direct(self) -> bool:
        """Whether an index has the findings that match in their order."""
        conditions = self.conditions
        if conditions.finding or conditions.instance:
            return False
        return self.by_terms or not conditions.terms

    def _in_order(self, connection: Connection, size: int) -> Sequence[SqlRow]:
        """Read findings in the order of an index until a page is full."""
        if self._keys[0] is LAST_OBSERVED:
            order = ObservedOrder(self.conditions, self._after, self._descending)
            return order.first(connection, size)
        if connection.dialect.name == "postgresql" and self.by_terms:
            return connection.execute(self._bymatching_details(self.conditions, size)).all()
        return connection.execute(self._select(None, self.conditions).limit(size)).all()

    def _tested(
        self, connection: Connection, size: int, number: int, *, looks_up: bool
    ) -> Sequence[SqlRow]:
        """Return those of the first findings in the order of an index that match.

        With `looks_up` what is known of each one's instance is read, else of all instances.
        SQLite always reads it: it would compare each one with all instances.
        """
        fix_plan(connection, sorts=False)
        looks_up |= connection.dialect.name == "sqlite"
        conditions = self.conditions
        where, instance, among = [*conditions.finding], conditions.instance, conditions.among
        if not looks_up and len(among) == len(instance):
            pair = tuple_(findings.c.account, findings.c.instance)
            where += [pair.in_(query) for query in among]
            instance = []

        def described(table: FromClause) -> FromClause:
            if conditions.terms and not self.by_terms:
                table = ordered_join(table, finding_terms, OF_TERMS)
            return table.outerjoin(instance_terms, OF_INSTANCE) if instance else table

        if not self.by_terms:
            where += conditions.terms
        where += instance
        if self._keys[0] is LAST_OBSERVED:
            bounds = SearchConditions(observed=conditions.observed)
            first = ObservedOrder(bounds, self._after, self._descending).first(connection, number)
            where.append(one_of(connection, findings.c.id, [row[-1] for row in first]))
            query = select(findings.c.id).select_from(described(findings)).where(*where)
            matching = set(connection.execute(query).scalars())
            return [row for row in first if row[-1] in matching][:size]
        tested = self._first(connection, number).subquery("tested")
        keys = list(tested.c)
        table = described(ordered_join(tested, findings, findings.c.id == keys[-1]))
        order = [key.desc() if self._descending else key.asc() for key in keys]
        query = select(*keys).select_from(table).where(*where).order_by(*order)
        return connection.execute(query.limit(size)).all()

    def _first(self, connection: Connection, number: int) -> Select[SqlRow]:
        """Build the query of the first findings in the order of an index, matching or not."""
        bare = SearchConditions(terms=self.conditions.terms if self.by_terms else [])
        if connection.dialect.name == "postgresql" and self.by_terms:
            return self._bymatching_details(bare, number)
        return self._select(None, bare).limit(number)

    def _sorted(self, begin: SearchStart, size: int) -> Select[SqlRow]:
        """Build the query from a start: PostgreSQL would rather read an index in its order."""
        names = [f"key_{number}" for number in range(len(self._keys))]
        keys = [key.label(name) for key, name in zip(self._keys, names, strict=True)]
        all_of_it = self._select(begin, self.conditions).order_by(None).with_only_columns(*keys)
        found = all_of_it.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
        columns = [found.c[name] for name in names]
        order = [column.desc() if self._descending else column.asc() for column in columns]
        return select(*columns).order_by(*order).limit(size)

    def _bymatching_details(self, conditions: SearchConditions, size: int) -> Select[SqlRow]:
        """Build the query in the order of details, of each a page of findings at most.

        Without that, PostgreSQL would sort all findings of a vulnerability that is everywhere.
        """
        of_one = [
            OF_TERMS,
            *conditions.equal,
            *conditions.finding,
            *conditions.instance,
        ]
        continuing = self._continuing()
        number = findings.c.id.desc() if self._descending else findings.c.id.asc()
        table: FromClause = findings
        if conditions.instance:
            table = findings.outerjoin(instance_terms, OF_INSTANCE)
        found = (
            select(findings.c.id)
            .select_from(table)
            .where(*of_one, *continuing[1:])
            .order_by(number)
            .limit(size)
            .lateral("found")
        )
        keys = [*self._keys[:2], found.c.id]
        query = select(*keys).select_from(finding_terms.join(found, true()))
        query = query.where(*conditions.terms, *continuing[:1])
        order = [key.desc() if self._descending else key.asc() for key in keys]
        return query.order_by(*order).limit(size)

    def _beginning(self, connection: Connection, few: int) -> SearchStart | None:
        """Return the start that leaves few findings; None if none does."""
        fix_plan(connection, sorts=True)
        if self._keys[0] is LAST_OBSERVED and self.conditions.dated:
            few *= _RELATED
        for start in starts(self.conditions, matching_details(connection, self.conditions)):
            most = few * _NEAR if start.is_near else few
            counted = select(func.count()).select_from(start.first(most).subquery())
            if connection.execute(counted).scalar_one() <= most:
                return start
        return None

    def _select(self, begin: SearchStart | None, conditions: SearchConditions) -> Select[SqlRow]:
        """Build the query from a start, or in the order of the sort's index."""
        needs_terms = self.by_terms or bool(conditions.terms)
        if begin is not None:
            table, has_terms, has_instance = begin.table, begin.has_terms, begin.has_instance
        elif self.by_terms:
            table = ordered_join(finding_terms, findings, OF_TERMS)
            has_terms, has_instance = True, False
        else:
            table, has_terms, has_instance = findings, False, False
        if needs_terms and not has_terms:
            table = ordered_join(table, finding_terms, OF_TERMS)
        if conditions.instance and not has_instance:
            table = table.outerjoin(instance_terms, OF_INSTANCE)
        where = [*conditions.finding, *conditions.terms, *conditions.instance]
        if begin is not None:
            where += begin.lookups
        elif self.by_terms:
            where += conditions.equal
        query = select(*self._keys).select_from(table).where(*where, *self._continuing())
        order = [key.desc() if self._descending else key.asc() for key in self._keys]
        return query.order_by(*order)

    def _continuing(self) -> list[ColumnElement[bool]]:
        """Return the conditions of the rows after the position.

        The first uses the index of the sort; it is of one table, and includes too much.
        """
        if self._after is None:
            return []
        keys, after = self._keys, self._after
        if not self.by_terms:
            return [_beyond(keys, after, descending=self._descending)]
        of_terms = [_beyond(keys[:2], after[:2], descending=self._descending, included=True)]
        same = and_(*(key == value for key, value in zip(keys[:2], after[:2], strict=True)))
        behind = keys[2] < after[2] if self._descending else keys[2] > after[2]
        return [*of_terms, or_(not_(same), behind)]


def _beyond(
    keys: Sequence[SqlColumn],
    after: Sequence[SqlColumn],
    *,
    descending: bool,
    included: bool = False,
) -> ColumnElement[bool]:
    if len(keys) == 1:
        return keys[0] < after[0] if descending else keys[0] > after[0]  # type: ignore[no-any-return]
    row, bound = tuple_(*keys), tuple_(*after)
    if included:
        return row <= bound if descending else row >= bound
    return row < bound if descending else row > bound
