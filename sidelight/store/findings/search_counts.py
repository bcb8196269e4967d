"""Counts of the findings that a search matches: facets, groups, and by instance.

A person's page must not count millions: of a search that matches more than `most` findings, the
first `most` that the database finds are counted, and the result says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import case, func, literal, select

from sidelight.model import Severity
from sidelight.store.base.dialect import parts
from sidelight.store.base.ordered_join import same_instance, values_by_instance
from sidelight.store.base.schema import (
    finding_terms,
    findings,
    instance_platforms,
    instance_tags,
    instance_terms,
)
from sidelight.store.findings.criteria_sql import OF_INSTANCE, conditions_of
from sidelight.store.findings.row_columns import ROW_IS_ACTIVE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.sql.selectable import FromClause

    from sidelight.store.base.column_types import SqlColumn, SqlRow
    from sidelight.store.base.engine import Database
    from sidelight.store.findings.search import FindingSearch

MOST: Final = 50_000  # findings that one page counts
_FACETS: Final[Mapping[str, SqlColumn]] = {
    "severity": finding_terms.c.severity,
    "type": finding_terms.c.type,
    "fix": finding_terms.c.fix,
    "exploit": finding_terms.c.exploit,
    "account": findings.c.account,
    "region": findings.c.region,
}
_GROUPS: Final[Mapping[str, tuple[SqlColumn, ...]]] = {
    "vulnerability": (finding_terms.c.vulnerability,),
    "package": (finding_terms.c.package,),
    "instance": (findings.c.account, findings.c.instance),
    "fix": (finding_terms.c.package, finding_terms.c.fixed_version),
    "version": (finding_terms.c.package, finding_terms.c.version, finding_terms.c.release),
    "account": (findings.c.account,),
    "region": (findings.c.account, findings.c.region),
}
TAG_GROUPING: Final = "tag:"  # a grouping by the values of the tag whose key follows
_LONGEST_KEY: Final = 128  # characters of a tag's key, AWS's limit


def grouped_tag(by: str) -> str:
    """Return the key of the tag that a grouping is by; empty for another grouping."""
    return by[len(TAG_GROUPING) :] if by.startswith(TAG_GROUPING) else ""


def is_grouping(by: str) -> bool:
    """Whether findings can be grouped by this: a name of _GROUPS, or `tag:` and a tag's key."""
    return by in _GROUPS or 0 < len(grouped_tag(by)) <= _LONGEST_KEY


def _keys(by: str) -> tuple[SqlColumn, ...]:
    """Return the columns of a group's key; of a tag `=value`, empty where it is missing."""
    tag = grouped_tag(by)
    if not tag:
        return _GROUPS[by]
    # Read by the primary key for each of the findings that are counted.
    value = (
        select(literal("=") + instance_tags.c.value)
        .where(same_instance(instance_tags, findings), instance_tags.c.key == tag)
        .correlate(findings)
        .scalar_subquery()
    )
    return (func.coalesce(value, ""),)


@dataclass(frozen=True, slots=True)
class FindingFacets:
    """The number of findings, and by facet and value. `is_part`: there are more than counted."""

    total: int
    is_part: bool
    values: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class SearchGroup:
    """A group of findings: its key's parts, its findings by severity, its distinct instances."""

    key: tuple[str, ...]
    severities: Mapping[str, int]
    instances: int

    @property
    def findings(self) -> int:
        """All findings of the group."""
        return sum(self.severities.values())


class FindingCounts:
    """Counts what searches match. Raises StoreError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def facets(self, search: FindingSearch, most: int = MOST) -> FindingFacets:
        """Count the findings of a search by each facet."""
        found = _matching(search, _FACETS, most).subquery("found")
        columns = [found.c[name] for name in _FACETS]
        query = select(*columns, func.count()).group_by(*columns)
        values: dict[str, Counter[str]] = {name: Counter() for name in _FACETS}
        total = 0
        with self._database.read() as connection:
            for row in connection.execute(query):
                count = int(row[-1])
                total += count
                for name, value in zip(_FACETS, row, strict=False):
                    values[name][str(value)] += count
        return FindingFacets(min(total, most), total > most, values)

    def groups(
        self,
        search: FindingSearch,
        by: str,
        size: int,
        offset: int = 0,
        then: str = "",
    ) -> tuple[list[SearchGroup], bool]:
        """Return groups by a grouping, the most severe first, and whether more follow.

        `then` divides each by another grouping (`is_grouping`): the keys have the parts of both.
        """
        columns = (*_keys(by), *(_keys(then) if then else ()))
        names = {f"key_{number}": column for number, column in enumerate(columns)}
        wanted = {**names, "severity": finding_terms.c.severity,
                  "machine": findings.c.account + "/" + findings.c.instance}  # fmt: skip
        found = _matching(search, wanted, MOST).subquery("found")
        keys = [found.c[name] for name in names]
        counted = [
            func.sum(case((found.c.severity == grade.value, 1), else_=0)).label(grade.value)
            for grade in reversed(Severity)
        ]
        query = select(*keys, *counted, func.count(found.c.machine.distinct())).group_by(*keys)
        query = query.order_by(*(count.desc() for count in counted), *keys)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(size + 1).offset(offset)).all()
        width = len(keys)
        groups = [
            SearchGroup(
                tuple(str(value) for value in row[:width]),
                {grade.value: int(count)
                 for grade, count in zip(reversed(Severity), row[width:-1], strict=True)},
                int(row[-1]),
            )
            for row in rows[:size]
        ]  # fmt: skip
        return groups, len(rows) > size

    def of_instances(
        self, pairs: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], dict[str, int]]:
        """Count the active findings of these instances (account, id) by severity."""
        counts: dict[tuple[str, str], dict[str, int]] = {pair: {} for pair in pairs}
        with self._database.read() as connection:
            for part in parts(sorted({instance for _, instance in pairs})):
                for row in connection.execute(_by_instance(part)):
                    pair = (row.account, row.instance)
                    if pair in counts:
                        counts[pair][row.severity] = int(row[-1])
        return counts

    def platforms(self, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return the names of these instances' operating systems, of those that are known."""
        with self._database.read() as connection:
            found = values_by_instance(connection, instance_platforms, "platform", pairs)
        return {pair: platform for pair, platform in found.items() if platform}


def _by_instance(instances: Sequence[str]) -> Select[SqlRow]:
    columns = findings.c.account, findings.c.instance, finding_terms.c.severity
    return (
        select(*columns, func.count())
        .select_from(findings.join(finding_terms, finding_terms.c.detail == findings.c.detail))
        .where(findings.c.instance.in_(instances), ROW_IS_ACTIVE)
        .group_by(*columns)
    )


def _matching(search: FindingSearch, columns: Mapping[str, SqlColumn], most: int) -> Select[SqlRow]:
    """Select these columns of the findings of a search, of one more than `most` at most."""
    conditions = conditions_of(search.criteria, search.accounts)
    table: FromClause = findings.join(
        finding_terms, finding_terms.c.detail == findings.c.detail
    )  # fmt: skip
    if conditions.instance:
        table = table.outerjoin(instance_terms, OF_INSTANCE)
    where = [*conditions.finding, *conditions.lookups, *conditions.terms, *conditions.instance]
    labels = [column.label(name) for name, column in columns.items()]
    return select(*labels).select_from(table).where(*where).limit(most + 1)
