"""Counts of active findings by severity, grouped as Inspector's ListFindingAggregations.

Suppressed and closed findings count nowhere. Groups are sorted by one of their counts, then by
their keys. Kept counts answer where they have all that is asked for; else findings are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select

from sidelight.model import Instance, Severity
from sidelight.store.base import documents
from sidelight.store.base.ordered_join import by_instance, count_groups
from sidelight.store.base.schema import findings, instance_platforms, instances
from sidelight.store.findings.aggregation_queries import (
    KEYS,
    SORTS,
    FindingAggregation,
    grouping,
    leading,
    of_groups,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Select, Table

    from sidelight.store.base.column_types import SqlColumn, SqlRow
    from sidelight.store.base.engine import Database

    Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """One group: its keys by column, and its counts.

    `severities` has all severities; `all` is their sum. `exploitable` and `fixable` findings have
    an exploit or a fix, `network` are of networks. `instances` counts distinct ones, of an AMI
    alone. `region` is an AMI's or an instance's; `instance` and `platform` are one instance's.
    """

    keys: Mapping[str, str]
    severities: Mapping[Severity, int]
    exploitable: int
    fixable: int
    network: int
    instances: int = 0
    region: str = ""
    platform: str = ""
    instance: Instance | None = None

    @property
    def all(self) -> int:
        """All findings of the group."""
        return sum(self.severities.values())


@dataclass(frozen=True, slots=True)
class AggregationPage:
    """A page of groups; `position` as in FindingPage."""

    groups: Sequence[FindingGroup]
    position: Mapping[str, object] | None = None


class Aggregations:
    """Counts findings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, wanted: FindingAggregation, size: int, after: Mapping[str, object] | None = None
    ) -> AggregationPage:
        """Return up to `size` groups after a position; none for a type without findings here.

        Raises StoreError, and ValueError for a position of another aggregation.
        """
        if wanted.kind not in KEYS:
            return AggregationPage(())
        with self._database.read() as connection:
            count_groups(connection)
            return self._page(connection, wanted, size, after)

    def _page(
        self,
        connection: Connection,
        wanted: FindingAggregation,
        size: int,
        after: Mapping[str, object] | None,
    ) -> AggregationPage:
        def behind(metric: SqlColumn, keys: Sequence[SqlColumn]) -> Condition:
            return _after(metric, keys, after or {}, descending=wanted.descending)

        condition = None if after is None else behind
        rows = _first_groups(connection, wanted, size + 1, condition)
        if len(rows) <= size:
            rows = connection.execute(_all_groups(connection, wanted, size + 1, condition)).all()
        more, rows = len(rows) > size, rows[:size]
        groups = [_group(row, wanted.kind) for row in rows]
        if "instance" in KEYS[wanted.kind]:
            groups = _described(connection, groups)
        if not more:
            return AggregationPage(groups)
        last = rows[-1]._mapping  # noqa: SLF001 - SQLAlchemy's public way
        key = [last[SORTS[wanted.sort]], *(last[name] for name in KEYS[wanted.kind])]
        return AggregationPage(groups, {"key": key})


def _first_groups(
    connection: Connection,
    wanted: FindingAggregation,
    limit: int,
    after: Callable[[SqlColumn, Sequence[SqlColumn]], Condition] | None,
) -> Sequence[SqlRow]:
    """Return groups as `_all_groups`, counted alone; fewer than `limit` may not be all."""
    groups = leading(connection, wanted, limit, after)
    if groups is None or len(groups) < limit:
        return []
    found = {}
    for row in connection.execute(of_groups(wanted, groups)):
        values = row._mapping  # noqa: SLF001 - SQLAlchemy's public way
        found[tuple(values[name] for name in KEYS[wanted.kind])] = row
    return [found[group] for group in groups if group in found]


def _all_groups(
    connection: Connection,
    wanted: FindingAggregation,
    limit: int,
    after: Callable[[SqlColumn, Sequence[SqlColumn]], Condition] | None,
) -> Select[SqlRow]:
    grouped = grouping(connection, wanted).subquery("grouped")
    metric = grouped.c[SORTS[wanted.sort]]
    keys = [grouped.c[name] for name in KEYS[wanted.kind]]
    query = select(grouped)
    if after is not None:
        query = query.where(after(metric, keys))
    order = metric.desc() if wanted.descending else metric.asc()
    ordered = [keys[0], grouped.c.number] if "number" in grouped.c else keys
    return query.order_by(order, *ordered).limit(limit)


def _after(
    metric: SqlColumn, keys: Sequence[SqlColumn], after: Mapping[str, object], *, descending: bool
) -> Condition:
    key = after.get("key")
    if not isinstance(key, list) or len(key) != 1 + len(keys):
        raise ValueError("the position is of another aggregation")
    behind: list[Condition] = [metric < key[0] if descending else metric > key[0]]
    same: Condition = metric == key[0]
    for column, value in zip(keys, key[1:], strict=True):
        behind.append(and_(same, column > value))
        same = and_(same, column == value)
    return or_(*behind)


def _described(connection: Connection, groups: Sequence[FindingGroup]) -> list[FindingGroup]:
    """Return groups of instances with their properties, which counting all does not need."""
    pairs = {(group.keys["account"], group.keys["instance"]) for group in groups}

    def members(table: Table, member: str) -> dict[tuple[str, str], str]:
        rows = by_instance(connection, table, member, pairs)
        return {(row.account, row.instance): row[2] for row in rows}

    texts = members(instances, "document")
    platforms, regions = members(instance_platforms, "platform"), members(findings, "region")
    described = []
    for group in groups:
        pair = group.keys["account"], group.keys["instance"]
        document = texts.get(pair)
        described.append(
            replace(
                group,
                region=regions.get(pair, ""),
                platform=platforms.get(pair, ""),
                instance=None if document is None else documents.load(Instance, document),
            )
        )
    return described


def _group(row: SqlRow, kind: str) -> FindingGroup:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public way
    return FindingGroup(
        {name: str(values[name]) for name in KEYS[kind]},
        {grade: int(values[grade.value.lower()]) for grade in Severity},
        int(values["exploitable"]),
        int(values["fixable"]),
        int(values["network"]),
        int(values["instances"]),
        str(values.get("region", "")),
    )
