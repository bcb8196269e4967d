"""Coverage by Inspector's CoverageFilterCriteria, a page at a time, and counted by a key.

The tests of one criterion are alternatives, except NOT_EQUALS: none of these may fail. A criterion
about what instances do not have matches only if all its tests are NOT_EQUALS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, case, exists, false, func, literal, or_, select, true, tuple_

from sidelight.model import Coverage, Instance, ScanType
from sidelight.store.base import documents
from sidelight.store.base.ordered_join import same_instance
from sidelight.store.base.positions import key_values
from sidelight.store.base.schema import (
    coverage,
    instance_addresses,
    instance_tags,
    instances,
    inventories,
)
from sidelight.store.instances.instance_terms import canonical_address
from sidelight.store.instances.unreached_targets import IS_MACHINE
from sidelight.suppression import last_within

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement

    from sidelight.store.base.column_types import SqlColumn
    from sidelight.store.base.engine import Database

    Condition = ColumnElement[bool]

Filter = Mapping[str, object]
Filters = Mapping[str, Sequence[Filter]]
RESOURCE_TYPE: Final = "AWS_EC2_INSTANCE"
PROVIDER: Final = "AWS"
_KEY: Final = (coverage.c.account, coverage.c.instance, coverage.c.scan_type)
_PACKAGE: Final = coverage.c.scan_type == ScanType.PACKAGE.value
# A re-evaluation of a stored inventory is a scan too, as in `FleetInstances.coverage`, but not of
# data that is older than its scan.
_SCANNED: Final = case(
    (
        _PACKAGE
        & coverage.c.data_at.is_(None)
        & (inventories.c.evaluated_at > coverage.c.scanned_at),
        inventories.c.evaluated_at,
    ),
    else_=coverage.c.scanned_at,
)
_OF_INVENTORY: Final = same_instance(inventories, coverage) & inventories.c.retired_at.is_(None)
_OF_INSTANCE: Final = same_instance(instances, coverage)
_TEXTS: Final = {
    "scanStatusCode": coverage.c.status_code,
    "accountId": coverage.c.account,
    "resourceId": coverage.c.instance,
    "scanType": coverage.c.scan_type,
    "scanMode": coverage.c.scan_mode,
    "cloudProviderAccountId": coverage.c.account,
    "cloudProviderRegion": coverage.c.region,
    "resourceType": literal(RESOURCE_TYPE),
    "cloudProvider": literal(PROVIDER),
}
_GROUPS: Final = {
    "SCAN_STATUS_CODE": coverage.c.status_code,
    "ACCOUNT_ID": coverage.c.account,
    "RESOURCE_TYPE": literal(RESOURCE_TYPE),
    "PROVIDER": literal(PROVIDER),
    "PROVIDER_ACCOUNT_ID": coverage.c.account,
    "PROVIDER_REGION": coverage.c.region,
}
NO_GROUPS: Final = frozenset({"ECR_REPOSITORY_NAME", "PROVIDER_ORG_ID"})
GROUP_KEYS: Final = frozenset({*_GROUPS, "SCAN_STATUS_REASON"}) | NO_GROUPS


@dataclass(frozen=True, slots=True)
class CoverageSearch:
    """The coverage to list: CoverageFilterCriteria, whose dates are datetimes.

    `accounts` limits it to these, None does not. `reasons` names stored reasons as they are shown
    and filtered; the others keep their names. `text` is an instance's id, one of its addresses, or
    a part of its name. `machines` leaves out the entries of whole accounts and Regions.
    """

    filters: Filters = field(default_factory=dict)
    accounts: Collection[str] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    machines: bool = False


@dataclass(frozen=True, slots=True)
class CoveragePage:
    """A page of coverage with its instances by (account, id); `position` as in FindingPage."""

    rows: Sequence[Coverage]
    instances: Mapping[tuple[str, str], Instance]
    position: Mapping[str, object] | None = None


class FoundCoverage:
    """Searches coverage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, search: CoverageSearch, size: int, after: Mapping[str, object] | None = None
    ) -> CoveragePage:
        """Return up to `size` entries after a position, by account, instance and scan type.

        Raises StoreError, and ValueError for a position of another search.
        """
        reason = _reason(search)
        columns = [
            coverage.c[name]
            for name in Coverage.__dataclass_fields__
            if name not in ("reason", "scanned_at")
        ]
        query = select(
            *columns, reason.label("reason"), _SCANNED.label("scanned_at"), instances.c.document
        )
        query = query.select_from(
            coverage.outerjoin(inventories, _OF_INVENTORY).outerjoin(instances, _OF_INSTANCE)
        ).where(*_conditions(search, reason))
        if after is not None:
            query = query.where(tuple_(*_KEY) > tuple_(*key_values(after, _KEY)))
        rows, known = [], {}
        with self._database.read() as connection:
            for row in connection.execute(query.order_by(*_KEY).limit(size + 1)):
                values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way
                document = values.pop("document")
                rows.append(Coverage(**values))
                if document is not None and len(rows) <= size:
                    known[row.account, row.instance] = documents.load(Instance, document)
        if len(rows) <= size:
            return CoveragePage(rows, known)
        last = rows[size - 1]
        position = {"key": [last.account, last.instance, last.scan_type]}
        return CoveragePage(rows[:size], known, position)

    def counts(self, search: CoverageSearch, group: str = "") -> dict[str, int]:
        """Count the entries by one of GROUP_KEYS, or all under ""; groups are sorted by value."""
        if group in NO_GROUPS:
            return {}
        reason = _reason(search)
        column: SqlColumn = _GROUPS.get(group, reason) if group else literal("")
        query = (
            select(column.label("value"), func.count())
            .select_from(coverage.outerjoin(inventories, _OF_INVENTORY))
            .where(*_conditions(search, reason))
            .group_by("value")
            .order_by("value")
        )
        with self._database.read() as connection:
            return {str(row.value): int(row[1]) for row in connection.execute(query)}


def _reason(search: CoverageSearch) -> SqlColumn:
    if not search.reasons:
        return coverage.c.reason
    return case(dict(search.reasons), value=coverage.c.reason, else_=coverage.c.reason)


def _conditions(search: CoverageSearch, reason: SqlColumn) -> list[Condition]:
    conditions: list[Condition] = []
    if search.accounts is not None:
        conditions.append(coverage.c.account.in_(sorted(search.accounts)))
    if search.machines:
        conditions.append(IS_MACHINE)
    if search.text:
        named = func.lower(coverage.c.name).contains(search.text.lower(), autoescape=True)
        found = or_(coverage.c.instance == search.text, named)
        if address := canonical_address(search.text):
            found = or_(found, _addressed(address))
        conditions.append(found)
    for name, tests in search.filters.items():
        if name == "lastScannedAt":
            conditions.append(or_(*(_between(test) for test in tests)))
        elif name == "ec2InstanceTags":
            conditions.append(or_(*(_tagged(test) for test in tests)))
        elif name == "scanStatusReason":
            conditions.append(_text(reason, tests))
        elif name in _TEXTS:
            conditions.append(_text(_TEXTS[name], tests))
        else:
            never = all(test.get("comparison") == "NOT_EQUALS" for test in tests)
            conditions.append(true() if never else false())
    return conditions


def _text(column: SqlColumn, tests: Sequence[Filter]) -> Condition:
    equals = [test["value"] for test in tests if test["comparison"] != "NOT_EQUALS"]
    others = [test["value"] for test in tests if test["comparison"] == "NOT_EQUALS"]
    conditions: list[Condition] = [column.in_(equals)] if equals else []
    if others:
        conditions.append(column.not_in(others))
    return and_(true(), *conditions)


def _between(test: Filter) -> Condition:
    conditions: list[Condition] = [_SCANNED.is_not(None)]
    begin, end = test.get("startInclusive"), test.get("endInclusive")
    if isinstance(begin, datetime):
        conditions.append(begin <= _SCANNED)
    if isinstance(end, datetime):
        conditions.append(last_within(end) >= _SCANNED)
    return and_(*conditions)


def _tagged(test: Filter) -> Condition:
    conditions = [
        same_instance(instance_tags, coverage),
        instance_tags.c.key == test["key"],
    ]
    if test.get("value") is not None:
        conditions.append(instance_tags.c.value == test["value"])
    return exists().where(*conditions)


def _addressed(address: str) -> Condition:
    return tuple_(coverage.c.account, coverage.c.instance).in_(
        select(instance_addresses.c.account, instance_addresses.c.instance).where(
            instance_addresses.c.address == address
        )
    )
