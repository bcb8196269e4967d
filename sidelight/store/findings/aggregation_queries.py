"""Queries that count active findings by severity and group them, as ListFindingAggregations does.

Kept counts answer where they have all that is asked for; else findings are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, case, cast, exists, func, literal, or_, select, tuple_

from sidelight.model import FindingStatus, FindingType, Severity
from sidelight.store.base.ordered_join import hashed_joins, ordered_join, same_instance
from sidelight.store.base.schema import (
    finding_terms,
    findings,
    instance_platforms,
    instance_tags,
    instance_terms,
)
from sidelight.store.findings.active_counts import (
    COUNTS,
    SEVERITIES,
    are_kept,
    of_details,
    of_instances,
)
from sidelight.store.findings.criteria_sql import text_condition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import CTE, ColumnElement, Connection, Select
    from sqlalchemy.sql.selectable import FromClause

    from sidelight.store.base.column_types import SqlColumn, SqlRow

    Condition = ColumnElement[bool]
    _Counting = Callable[["FindingAggregation", Sequence[str]], Select[SqlRow]]

# (comparison, value) of a StringFilter.
TextTest = tuple[str, str]
_TERMS: Final = {name: finding_terms.c[name] for name in ("package", "title", "vulnerability")}
_OTHERS: Final = _TERMS | {
    "image": instance_terms.c.image, "platform": instance_platforms.c.platform,
}  # fmt: skip
_OF_ROWS: Final = ("account", "instance", "region")
# Aggregation type -> the columns of its groups. Each further type has no groups: what it counts
# (container images, functions, code) has no findings here.
KEYS: Final = {
    "ACCOUNT": ("account",),
    "FINDING_TYPE": ("account",),
    "AMI": ("account", "image"),
    "AWS_EC2_INSTANCE": ("account", "instance"),
    "VM_INSTANCE": ("account", "instance"),
    "PACKAGE": ("account", "package"),
    "TITLE": ("account", "title", "vulnerability"),
}
SORTS: Final = {"CRITICAL": "critical", "HIGH": "high", "ALL": "all",
                "NETWORK_FINDINGS": "network", "AFFECTED_INSTANCES": "instances"}  # fmt: skip
_OF_DETAILS: Final = ("PACKAGE", "TITLE")
# Sort -> the severity whose findings decide it; empty: all do.
_LEADING: Final = {
    "CRITICAL": Severity.CRITICAL.value, "HIGH": Severity.HIGH.value, "ALL": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FindingAggregation:
    """The findings to count, by one of KEYS. `texts`: alternatives for the columns of `_COLUMNS`.

    `tags` are alternatives, a key and a value or None each. `finding_type` limits the findings to
    one type. `sort` is one of SORTS.
    """

    kind: str
    accounts: Collection[str] | None = None
    texts: Mapping[str, Sequence[TextTest]] = field(default_factory=dict)
    tags: Sequence[tuple[str, str | None]] = ()
    finding_type: str = ""
    sort: str = "CRITICAL"
    descending: bool = True


def grouping(connection: Connection, wanted: FindingAggregation) -> Select[SqlRow]:
    """Return the query of all groups: keys, severities, and the other counts of FindingGroup.

    A column `number`, if it has one, is in the order of the keys after the account.
    """
    counts = _counting(connection, wanted)
    if wanted.kind == "AMI":
        return _by_image(wanted, counts)
    return counts(wanted, KEYS[wanted.kind])


def _counting(connection: Connection, wanted: FindingAggregation) -> _Counting:
    """Return how to count: from kept counts, or from findings where those do not have it all."""
    by_detail = wanted.kind in _OF_DETAILS
    needed = set(wanted.texts) - {"account"} | ({"tags"} if wanted.tags else set())
    has_all = needed <= _TERMS.keys() if by_detail else needed.isdisjoint(_TERMS)
    if has_all and are_kept(connection):
        return _kept_of_details if by_detail else _kept_of_instances
    sorts_slowly = connection.dialect.name == "postgresql"
    return _counts_of_details if by_detail and sorts_slowly else _counts


def _by_image(wanted: FindingAggregation, counts: _Counting) -> Select[SqlRow]:
    """Group instances that are counted already: they are few, and each has one image."""
    image = [*wanted.texts.get("image", ())]
    others = {name: tests for name, tests in wanted.texts.items() if name != "image"}
    counted = counts(replace(wanted, texts=others), _OF_ROWS).subquery("of_instance")
    of_it = same_instance(instance_terms, counted)
    query = (
        select(
            counted.c.account,
            instance_terms.c.image,
            *(_total(counted.c[name]).label(name) for name in (*COUNTS, "all", "network")),
            func.count().label("instances"),
            # An image is in one Region.
            func.min(counted.c.region).label("region"),
        )
        .select_from(counted.join(instance_terms, of_it))
        .where(instance_terms.c.image != "")
        .group_by(counted.c.account, instance_terms.c.image)
    )
    return query.where(text_condition(instance_terms.c.image, image)) if image else query


def _kept_of_instances(wanted: FindingAggregation, names: Sequence[str]) -> Select[SqlRow]:
    """Sum the kept counts of instances."""
    counted = of_instances()
    everything: SqlColumn = sum(
        (counted.c[name] for name in SEVERITIES[1:]), counted.c[SEVERITIES[0]]
    )
    is_network = counted.c.type == FindingType.NETWORK_REACHABILITY.value
    of_type = [counted.c.type == wanted.finding_type] if wanted.finding_type else []
    columns = _columns(counted)
    keys = [columns[name] for name in names]
    return (
        select(
            *(key.label(name) for key, name in zip(keys, names, strict=True)),
            *(_total(counted.c[name]).label(name) for name in COUNTS),
            _total(everything).label("all"),
            _counted(is_network, everything, "network"),
            literal(0).label("instances"),
        )
        .select_from(_described_by(wanted, counted, counted))
        .where(*_of_source(wanted, counted), *of_type)
        .group_by(*keys)
    )


def _kept_of_details(
    wanted: FindingAggregation, names: Sequence[str], *conditions: Condition
) -> Select[SqlRow]:
    """Sum the kept counts of details, of those with further conditions on their terms.

    Names have numbers, since long texts are grouped slowly.
    """
    counted, named = of_details(), _named(wanted, names, *conditions)
    found = (
        select(counted.c.account, named.c.number, *_sums(counted.c.active, named))
        .select_from(counted.join(named, named.c.detail == counted.c.detail))
        .where(*_of_source(wanted, counted))
        .group_by(counted.c.account, named.c.number)
        .having(func.sum(counted.c.active) > 0)
        .subquery("found")
    )
    return _with_texts(found, named, names, (*COUNTS, "all", "network", "instances"))


def _named(wanted: FindingAggregation, names: Sequence[str], *conditions: Condition) -> CTE:
    """Select the details of the findings to count, with the number of their texts."""
    terms = finding_terms.c
    keys = [terms[name] for name in names if name in _TERMS]
    number = func.dense_rank().over(order_by=keys).label("number")
    counts_as = (terms.type, terms.severity, terms.exploit, terms.fix)
    query = select(terms.detail, number, *counts_as, *keys)
    return query.where(*_of_terms(wanted), *conditions).cte("named")


def _with_texts(
    found: FromClause, named: CTE, names: Sequence[str], counts: Sequence[str]
) -> Select[SqlRow]:
    """Select groups with the texts of their numbers."""
    keys = [named.c[name] for name in names if name in _TERMS]
    texts = select(named.c.number, *keys).distinct().subquery()
    columns = [found.c.account, *(texts.c[key.name] for key in keys), found.c.number]
    columns += [found.c[name] for name in counts]
    return select(*columns).join_from(found, texts, texts.c.number == found.c.number)


def leading(
    connection: Connection,
    wanted: FindingAggregation,
    limit: int,
    after: Callable[[SqlColumn, Sequence[SqlColumn]], Condition] | None,
) -> list[tuple[str, ...]] | None:
    """Return the keys of the first groups in their order, by the counts that decide it alone.

    None where it does not apply. Groups whose metric is 0 are left out: fewer than `limit` may not
    be all. `after` returns the condition of a position from the metric and the keys.
    """
    is_kept = _counting(connection, wanted) is _kept_of_details
    if not is_kept or not wanted.descending or wanted.sort not in _LEADING:
        return None
    names, grade = KEYS[wanted.kind], _LEADING[wanted.sort]
    counted, named = of_details(), _named(wanted, names)
    metric = cast(func.sum(counted.c.active), BigInteger)
    groups = (counted.c.account, named.c.number)
    found = (
        select(*groups, metric.label("metric"))
        .select_from(counted.join(named, named.c.detail == counted.c.detail))
        .where(*_of_source(wanted, counted), *([named.c.severity == grade] if grade else []))
        .group_by(*groups)
        .having(metric > 0)
    )
    if after is None:
        # Their texts, which a position is compared with, are then those of one page.
        first = metric.desc(), counted.c.account, named.c.number
        found = found.order_by(*first).limit(limit)
    texts = _with_texts(found.subquery("found"), named, names, ("metric",)).subquery("texts")
    query = select(*(texts.c[name] for name in names))
    if after is not None:
        query = query.where(after(texts.c.metric, [texts.c[name] for name in names]))
    query = query.order_by(texts.c.metric.desc(), texts.c.account, texts.c.number).limit(limit)
    with hashed_joins(connection):
        return [tuple(row) for row in connection.execute(query)]


def of_groups(wanted: FindingAggregation, groups: Collection[tuple[str, ...]]) -> Select[SqlRow]:
    """Return the query of groups of details by their keys; others may be among its rows."""
    names = KEYS[wanted.kind]
    narrowed = replace(wanted, accounts={group[0] for group in groups})
    terms = [_TERMS[name] for name in names[1:]]
    is_one = tuple_(*terms).in_({group[1:] for group in groups})
    return _kept_of_details(narrowed, names, is_one)


def _counts(wanted: FindingAggregation, names: Sequence[str]) -> Select[SqlRow]:
    """Count findings by columns."""
    # SQLite: details in their order, and their findings from one index without their rows.
    table: SqlColumn = ordered_join(
        finding_terms, findings, finding_terms.c.detail == findings.c.detail
    )
    columns = _columns(findings)
    keys = [columns[name] for name in names]
    return (
        select(
            *(key.label(name) for key, name in zip(keys, names, strict=True)), *_sums(literal(1))
        )
        .select_from(_described_by(wanted, findings, table))
        .where(findings.c.status == FindingStatus.ACTIVE.value)
        .where(*_of_source(wanted, findings), *_of_terms(wanted))
        .group_by(*keys)
    )


def _counts_of_details(wanted: FindingAggregation, names: Sequence[str]) -> Select[SqlRow]:
    """Count as `_counts`, at first by account and detail: PostgreSQL sorts long texts slowly."""
    columns = findings.c.account, findings.c.detail
    number = func.count().label("number")
    inner = _counts(wanted, ()).group_by(*columns).with_only_columns(*columns, number)
    found = inner.subquery("found")
    keys = {name: _TERMS.get(name, found.c.account) for name in names}
    return (
        select(*(key.label(name) for name, key in keys.items()), *_sums(found.c.number))
        .select_from(found.join(finding_terms, finding_terms.c.detail == found.c.detail))
        .group_by(*keys.values())
    )


def _columns(source: FromClause) -> dict[str, SqlColumn]:
    """Return the columns of groups and filters; account, instance and region are the source's."""
    own = {name: source.c[name] for name in _OF_ROWS if name in source.c}
    return own | _OTHERS


def _described_by(wanted: FindingAggregation, source: FromClause, table: SqlColumn) -> SqlColumn:
    """Join the properties of the source's instances that a filter names."""
    for name, properties in (("image", instance_terms), ("platform", instance_platforms)):
        if name in wanted.texts:
            table = table.outerjoin(properties, same_instance(properties, source))
    return table


def _sums(number: SqlColumn, source: FromClause = finding_terms) -> list[SqlColumn]:
    """Sum a number of findings by what their terms say."""
    terms = source.c
    return [
        *(
            _counted(terms.severity == grade.value, number, grade.value.lower())
            for grade in Severity
        ),
        _total(number).label("all"),
        _counted(terms.exploit == "YES", number, "exploitable"),
        _counted(terms.fix == "YES", number, "fixable"),
        _counted(terms.type == FindingType.NETWORK_REACHABILITY.value, number, "network"),
        literal(0).label("instances"),
    ]


def _counted(condition: Condition, number: SqlColumn, name: str) -> SqlColumn:
    return _total(case((condition, number), else_=0)).label(name)


def _total(number: SqlColumn) -> SqlColumn:
    """Sum counts: PostgreSQL's sum of large integers is a decimal number, which is not a count."""
    return cast(func.sum(number), BigInteger)


def _of_source(wanted: FindingAggregation, source: FromClause) -> list[Condition]:
    """Return the conditions on findings or counts, and on what is joined to them."""
    conditions: list[Condition] = []
    columns = _columns(source)
    if wanted.accounts is not None:
        conditions.append(source.c.account.in_(sorted(wanted.accounts)))
    for name, tests in wanted.texts.items():
        if name not in _TERMS:
            conditions.append(text_condition(func.coalesce(columns[name], ""), tests))
    if wanted.tags:
        conditions.append(or_(*(_tagged(source, key, value) for key, value in wanted.tags)))
    return conditions


def _of_terms(wanted: FindingAggregation) -> list[Condition]:
    """Return the conditions on the findings' details."""
    conditions: list[Condition] = [
        text_condition(column, wanted.texts[name])
        for name, column in _TERMS.items()
        if name in wanted.texts
    ]
    if wanted.finding_type:
        conditions.append(finding_terms.c.type == wanted.finding_type)
    # A package's name is empty where there is none.
    if "package" in KEYS[wanted.kind]:
        conditions.append(finding_terms.c.package != "")
    return conditions


def _tagged(source: FromClause, key: str, value: str | None) -> Condition:
    of_it = [same_instance(instance_tags, source), instance_tags.c.key == key]
    if value is not None:
        of_it.append(instance_tags.c.value == value)
    return exists().where(*of_it)
