"""Inspector's FilterCriteria as SQL; `sidelight.suppression` has their meaning.

A property test compares the two. Conditions are grouped by the table that they are about, so
that a search can begin with the one that leaves the fewest findings.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, and_, exists, false, func, or_, select, true

from sidelight.model import FindingStatus, FindingType, Severity
from sidelight.store.base.column_types import OrderedText, storable
from sidelight.store.base.ordered_join import ByteRange, Position, Unindexed, same_instance
from sidelight.store.base.schema import (
    coverage,
    finding_terms,
    findings,
    instance_tags,
    instance_terms,
)
from sidelight.store.findings import arn_ranges
from sidelight.store.findings.finding_terms import (
    LISTS,
    NUMBERS,
    PACKAGE_TEXTS,
    TEXTS,
    item_text,
)
from sidelight.store.findings.findings import OF_NETWORK
from sidelight.store.findings.observed_times import LAST_OBSERVED
from sidelight.suppression import Criteria, Level, instance_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select

    from sidelight.store.base.column_types import SqlColumn, SqlRow, SqlValue

    Condition = ColumnElement[bool]
    Test = tuple[str, SqlValue]
    Tests = Sequence[Test]

_OF_FINDING: Final = {
    "awsAccountId": findings.c.account,
    "resourceId": findings.c.instance,
    "cloudProviderRegion": findings.c.region,
    "cloudProviderAccountId": findings.c.account,
}
_DATES: Final = {
    "firstObservedAt": findings.c.first_observed,
    "updatedAt": findings.c.updated_at,
}
_OF_INSTANCE: Final = {
    "ec2InstanceImageId": instance_terms.c.image,
    "ec2InstanceVpcId": instance_terms.c.vpc,
    "ec2InstanceSubnetId": instance_terms.c.subnet,
}
_SAME: Final = {
    name: values
    for name, values in instance_values("", "", "", None).items()
    if name not in _OF_FINDING
}
_SURROGATES: Final = (0xD800, 0xDFFF)  # no characters
_OBSERVED_AGAIN: Final = (OF_NETWORK, findings.c.status != FindingStatus.CLOSED.value)
OF_INSTANCE: Final = same_instance(instance_terms, findings)


@dataclass(slots=True)
class SearchConditions:
    """The conditions of a search by table.

    `lookups` are conditions on `findings` that an index finds, one for each index. `finding` has
    the same conditions and more, without the use of an index. `equal` are those of one account or
    one status, which indexes have in the order of details. `needs_instance`: a finding of an
    instance that was never discovered does not match. `dated`: a range of times is among the
    lookups. `observed`: the first and last time at which a finding may have been observed last.
    `among` are queries of the accounts and ids of instances that say the same as `instance`, if
    each condition of that names what its instances have.
    """

    terms: list[Condition] = field(default_factory=list)
    instance: list[Condition] = field(default_factory=list)
    among: list[Select[SqlRow]] = field(default_factory=list)
    tags: list[Condition] = field(default_factory=list)
    finding: list[Condition] = field(default_factory=list)
    lookups: list[Condition] = field(default_factory=list)
    equal: list[Condition] = field(default_factory=list)
    needs_instance: bool = False
    dated: bool = False
    observed: tuple[datetime | None, datetime | None] = (None, None)


def conditions_of(criteria: Criteria | None, accounts: Collection[str] | None) -> SearchConditions:
    """Translate criteria; `accounts` limits the findings to these, None does not."""
    result = SearchConditions()
    if accounts is not None:
        allowed = sorted(accounts)
        _add_values(result, findings.c.account, allowed)
    for level, name, kind, tests in criteria.tests if criteria else ():
        if name in _OF_FINDING:
            _add_text(result, _OF_FINDING[name], tests)
        elif name == "findingStatus":
            _add_status(result, level, tests)
        elif name == "lastObservedAt":
            _add_last_observed(result, tests)
        elif name in _DATES:
            _add_date(result, _DATES[name], tests)
        elif name == "findingArn":
            _add_arn(result, tests)
        elif name in _OF_INSTANCE or name == "resourceTags":
            _add_instance(result, name, tests)
        else:
            _add_detail(result, level, name, kind, tests)
    return result


def _add_instance(result: SearchConditions, name: str, tests: Tests) -> None:
    if name == "resourceTags":
        result.instance.append(or_(*(_has_tag(operand) for _, operand in tests)))
        tagged = or_(*(_tag(operand) for _, operand in tests))
        result.tags.append(tagged)
        result.among.append(select(instance_tags.c.account, instance_tags.c.instance).where(tagged))
        return
    column = _OF_INSTANCE[name]
    result.instance.append(text_condition(func.coalesce(column, ""), tests))
    if any(comparison != "NOT_EQUALS" for comparison, _ in tests):
        result.needs_instance = True
        columns = instance_terms.c.account, instance_terms.c.instance
        result.among.append(select(*columns).where(text_condition(column, tests)))


def _add_detail(result: SearchConditions, level: Level, name: str, kind: str, tests: Tests) -> None:
    condition: Condition
    if name == "severity":
        # By rank, which an index has.
        same = Criteria(((level, name, kind, tuple(tests)),))
        ranks = [s.rank for s in Severity if same.agree(level, {name: (s.value,)})]
        condition = finding_terms.c.severity_rank.in_(ranks)
    elif name in TEXTS:
        condition = text_condition(finding_terms.c[TEXTS[name]], tests)
    elif name in LISTS:
        condition = _list_condition(finding_terms.c[LISTS[name]], tests)
    elif name in NUMBERS:
        condition = or_(*(_in_range(finding_terms.c[NUMBERS[name]], test) for test in tests))
    elif name == "vulnerablePackages":
        condition = or_(*(_package(members) for _, members in tests))
    elif name == "portRange":
        condition = or_(*(_ports(test) for test in tests))
    else:
        # The same for every finding: what findings never have, or always.
        same = Criteria(((level, name, kind, tuple(tests)),))
        result.finding.append(true() if same.agree(level, _SAME) else false())
        return
    result.terms.append(condition)


def _add_text(result: SearchConditions, column: SqlColumn, tests: Tests) -> None:
    result.finding.append(text_condition(Unindexed(column), tests))
    if all(comparison == "EQUALS" for comparison, _ in tests):
        values = [operand for _, operand in tests]
        result.lookups.append(column.in_(values))
        if column is findings.c.account and len(values) == 1:
            result.equal.append(column == values[0])
    elif column is findings.c.instance and all(c != "NOT_EQUALS" for c, _ in tests):
        result.lookups.append(_compared(tests, lambda v: column == v, lambda v: _within(column, v)))


def _add_values(result: SearchConditions, column: SqlColumn, values: Sequence[str]) -> None:
    result.finding.append(Unindexed(column).in_(values))
    result.lookups.append(column.in_(values))
    if len(values) == 1:
        result.equal.append(column == values[0])


def _add_status(result: SearchConditions, level: Level, tests: Tests) -> None:
    """Name the statuses that match: an index finds equal ones alone."""
    criteria = Criteria(((level, "findingStatus", "string", tuple(tests)),))
    matching = [
        status.value
        for status in FindingStatus
        if criteria.agree(level, {"findingStatus": (status.value,)})
    ]
    if len(matching) == len(FindingStatus):
        return
    _add_values(result, findings.c.status, matching)


def _add_date(result: SearchConditions, column: SqlColumn, tests: Tests) -> None:
    result.finding.append(or_(*(_between(Unindexed(column), test) for test in tests)))
    if len(tests) == 1:
        result.dated = True
        result.lookups.append(_between(column, tests[0]))


def _last_observed(test: Test) -> Condition:
    """Compare as `findings.row_of` reads: an open network finding is observed with its coverage."""
    own = _between(LAST_OBSERVED, test)
    later = (*_OBSERVED_AGAIN, coverage.c.scanned_at > findings.c.last_observed)
    again = exists().where(*later)
    of_network = findings.c.type == FindingType.NETWORK_REACHABILITY.value
    return or_(
        and_(own, or_(~of_network, ~again)),
        and_(of_network, exists().where(*later, _between(coverage.c.scanned_at, test))),
    )


def _add_last_observed(result: SearchConditions, tests: Tests) -> None:
    result.finding.append(or_(*(_last_observed(test) for test in tests)))
    if len(tests) == 1:
        result.observed = tests[0][1]


def _add_arn(result: SearchConditions, tests: Tests) -> None:
    result.finding.append(_compared(tests, _arn_equals, _arn_prefix))
    if all(comparison == "EQUALS" for comparison, _ in tests):
        result.lookups.append(or_(*(_arn_equals(operand, indexed=True) for _, operand in tests)))


def _arn_equals(operand: SqlValue, *, indexed: bool = False) -> Condition:
    arn = arn_ranges.exact(operand)
    if arn is None:
        return false()
    number = findings.c.id if indexed else Unindexed(findings.c.id)
    return and_(
        number == arn.first,
        Unindexed(findings.c.account) == arn.account,
        Unindexed(findings.c.region) == arn.region,
    )


def _arn_prefix(operand: SqlValue) -> Condition:
    return or_(false(), *(_arn_range(item) for item in arn_ranges.prefixed(operand)))


def _arn_range(item: arn_ranges.ArnRange) -> Condition:
    region, account, number = (Unindexed(findings.c[name]) for name in ("region", "account", "id"))
    return and_(
        true(),
        _starts(region, item.region) if item.open == "region" else region == item.region,
        _starts(account, item.account) if item.open in ("region", "account")
        else account == item.account,
        *([number.between(item.first, item.last)] if item.open == "id" else []),
    )  # fmt: skip


def _compared(
    tests: Tests, equals: Callable[[SqlValue], Condition], starts: Callable[[SqlValue], Condition]
) -> Condition:
    """Combine tests: any positive one suffices, and no NOT_EQUALS may fail."""
    positive = [
        (equals if comparison == "EQUALS" else starts)(operand)
        for comparison, operand in tests
        if comparison != "NOT_EQUALS"
    ]
    negative = [~equals(operand) for comparison, operand in tests if comparison == "NOT_EQUALS"]
    return and_(*negative, or_(*positive)) if positive else and_(*negative)


def text_condition(column: SqlColumn, tests: Tests) -> Condition:
    """Return the condition of StringFilters, (comparison, value) each, on a column."""
    return _compared(tests, lambda v: column == storable(v), lambda v: _starts(column, v))


def _starts(column: SqlColumn, prefix: str) -> Condition:
    """Compare the beginning: LIKE ignores case in SQLite."""
    text = storable(prefix)
    end = next_text(text)
    if end and isinstance(column, Column) and isinstance(column.type, OrderedText):
        return and_(column >= text, column < end)
    return func.substr(column, 1, len(text)) == text


def _within(column: SqlColumn, prefix: str) -> Condition:
    """Compare the beginning by an index of the column's bytes."""
    text = storable(prefix)
    end = next_text(text)
    return ByteRange(column, text, end) if end else true()


def next_text(prefix: str) -> str:
    """Return the first text after all with a prefix, by code points; empty if there is none."""
    rest = prefix.rstrip(chr(sys.maxunicode))
    if not rest:
        return ""
    following = ord(rest[-1]) + 1
    is_surrogate = _SURROGATES[0] <= following <= _SURROGATES[1]
    return rest[:-1] + chr(_SURROGATES[1] + 1 if is_surrogate else following)


def _list_condition(column: SqlColumn, tests: Tests) -> Condition:
    return _compared(
        tests,
        lambda v: Position(column, f"\n{item_text(v)}\n") > 0,
        lambda v: Position(column, f"\n{item_text(v)}") > 0,
    )


def _in_range(column: SqlColumn, test: Test) -> Condition:
    low, high = test[1]
    return _limits(column, low, high, column >= 0)


def _between(column: SqlColumn, test: Test) -> Condition:
    low, high = test[1]
    return _limits(column, low, high, true())


def _limits(column: SqlColumn, low: object, high: object, known: Condition) -> Condition:
    limits = [known]
    if low is not None:
        limits.append(column >= low)
    if high is not None:
        limits.append(column <= high)
    return and_(*limits)


def _ports(test: Test) -> Condition:
    low, high = test[1]
    terms = finding_terms.c
    # An index has the type; ports alone are in none.
    limits = [terms.type == FindingType.NETWORK_REACHABILITY.value, terms.port_begin >= 0]
    if low is not None:
        limits.append(terms.port_begin >= low)
    if high is not None:
        limits.append(terms.port_end <= high)
    return and_(*limits)


def _package(members: Sequence[tuple[str, str, Test]]) -> Condition:
    terms = finding_terms.c
    conditions = [terms.epoch >= 0]
    for name, kind, test in members:
        if name in PACKAGE_TEXTS:
            conditions.append(text_condition(terms[PACKAGE_TEXTS[name]], (test,)))
        elif name == "epoch":
            conditions.append(_in_range(terms.epoch, test))
        elif kind != "string" or test[0] != "NOT_EQUALS":
            conditions.append(false())  # an image's layer, which no package has
    return and_(*conditions)


def _tag(operand: SqlValue) -> Condition:
    key, value = operand
    is_key = instance_tags.c.key == key
    return is_key if value is None else and_(is_key, instance_tags.c.value == value)


def _has_tag(operand: SqlValue) -> Condition:
    return exists().where(same_instance(instance_tags, findings), _tag(operand))
