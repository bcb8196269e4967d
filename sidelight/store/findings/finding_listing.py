"""All findings in an order, a page at a time: for commands that list a whole fleet's.

The details of findings are few and their documents long. So findings are ordered by groups of equal
details, of which the ids are read first, and each document is decoded once. No transaction is open
while the caller writes a page.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import func, literal, select, tuple_

from sidelight.model import FindingStatus, NetworkFinding, Severity
from sidelight.store.base.dialect import PART, parts
from sidelight.store.base.schema import coverage, finding_details, findings
from sidelight.store.base.tables.findings import CLOSED_FINDING, OPEN_FINDING
from sidelight.store.findings.active_counts import are_kept, of_instances
from sidelight.store.findings.finding_documents import load_finding
from sidelight.store.findings.findings import COLUMNS, OF_NETWORK, finding_row, observed_again
from sidelight.store.findings.row_columns import (
    ROW_DETAIL,
    ROW_REGION,
    ROW_STATUS,
    ROW_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, TextClause

    from sidelight.model import Finding, FindingRow, FindingType
    from sidelight.store.base.engine import Database

LISTING_ORDERS: Final = ("severity", "score", "vulnerability", "package", "instance")
PAGE: Final = PART  # findings
MOST_DOCUMENTS: Final = 8192  # decoded ones that are kept: some 3 KB each
_FETCHED: Final = 10_000  # rows of a statement that are in memory


@dataclass(frozen=True, slots=True)
class ListedFindings:
    """Which findings: each member that is empty or None selects all."""

    account: str = ""
    region: str = ""
    instances: Collection[str] = ()
    status: FindingStatus | None = FindingStatus.ACTIVE
    kind: FindingType | None = None
    severities: Collection[Severity] = ()


class FindingTally(NamedTuple):
    """How many findings there are, by severity, and on how many instances."""

    severities: dict[Severity, int]
    instances: int


class _Group(NamedTuple):
    """Details whose findings come together: by a condition on them, or by their ids."""

    condition: ColumnElement[bool] | None = None
    ids: Sequence[int] = ()


class FindingListing:
    """Lists findings in one of LISTING_ORDERS; within equal ones by severity, instance and id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pages(self, wanted: ListedFindings, order: str = "severity") -> Iterator[list[FindingRow]]:
        """Yield findings, PAGE of them at a time. What is deleted meanwhile is left out."""
        found = self._by_instance(wanted) if order == "instance" else self._by_group(wanted, order)
        details = _DecodedDetails()
        for ids in found:
            for begin in range(0, len(ids), PAGE):
                with self._database.read() as connection:
                    rows = _rows(connection, ids[begin : begin + PAGE], details)
                if rows:
                    yield rows

    def tally(self, wanted: ListedFindings) -> FindingTally:
        """Count the findings without reading them."""
        with self._database.read() as connection:
            if wanted.status is FindingStatus.ACTIVE and are_kept(connection):
                return _kept_tally(connection, wanted)
            return _tally(connection, wanted)

    def places(self, wanted: ListedFindings) -> list[tuple[str, str]]:
        """Return the accounts and Regions that have such findings, sorted."""
        query = select(findings.c.account, findings.c.region).where(*_of_findings(wanted))
        with self._database.read() as connection:
            rows = connection.execute(query.distinct())
            return sorted((row.account, row.region) for row in rows)

    # --- ids, in their order ---

    def _by_group(self, wanted: ListedFindings, order: str) -> Iterator[array[int]]:
        for group in self._groups(wanted, order):
            # Nothing is yielded within: who reads may take hours, or stop.
            with self._database.read() as connection:
                ids = _ids(connection, wanted, group)
            yield ids

    def _by_instance(self, wanted: ListedFindings) -> Iterator[array[int]]:
        ids = select(findings.c.id, finding_details.c.severity).join(
            finding_details, finding_details.c.id == findings.c.detail
        )
        ids = ids.where(*_of_findings(wanted, by_instance=True), *_of_details(wanted))
        for account, instance in self._machines(wanted):
            own = ids.where(findings.c.account == account, findings.c.instance == instance)
            with self._database.read() as connection:
                rows = list(connection.execute(own))
            rows.sort(key=lambda row: (-Severity(row.severity).rank, row.id))
            yield array("q", (row.id for row in rows))

    def _machines(self, wanted: ListedFindings) -> Iterator[tuple[str, str]]:
        """Yield accounts and instances in their order; some may have no such finding.

        Each is found behind the one before it, by the indexes of open and of closed findings: to
        select all that differ reads every finding of the fleet before the first is known.
        """
        machine = findings.c.account, findings.c.instance
        query = select(*machine)
        if wanted.account:
            query = query.where(findings.c.account == wanted.account)
        if wanted.instances:  # few, of which an index has the findings
            query = query.where(findings.c.instance.in_(sorted(wanted.instances))).distinct()
            with self._database.read() as connection:
                rows = connection.execute(query.order_by(*machine)).all()
            yield from ((row.account, row.instance) for row in rows)
            return
        firsts = [query.where(states).order_by(*machine).limit(1) for states in _states(wanted)]
        after = ("", "")
        while True:
            with self._database.read() as connection:
                behind = (first.where(tuple_(*machine) > tuple_(*after)) for first in firsts)
                rows = [row for query in behind for row in connection.execute(query)]
            if not rows:
                return
            after = min((row.account, row.instance) for row in rows)
            yield after

    def _groups(self, wanted: ListedFindings, order: str) -> Iterator[_Group]:
        """Yield groups of details in the order of their findings."""
        if order == "severity":
            levels = set(wanted.severities or Severity)
            for level in sorted(levels, key=lambda level: -level.rank):
                yield _Group(finding_details.c.severity == level.value)
            return
        groups: dict[tuple[Any, ...], list[int]] = {}
        with self._database.read() as connection:
            for key, detail in self._keys(connection, wanted, order):
                groups.setdefault(key, []).append(detail)
        for key in sorted(groups):
            yield _Group(ids=groups[key])

    def _keys(
        self, connection: Connection, wanted: ListedFindings, order: str
    ) -> Iterator[tuple[tuple[Any, ...], int]]:
        """Yield each detail with what its findings are sorted by, before their instance."""
        details = finding_details.c
        columns = [details.id, details.severity, details.score, details.type]
        if order != "score":
            columns.append(details.document)
        query = select(*columns).where(*_of_details(wanted))
        for row in connection.execute(query, execution_options={"yield_per": _FETCHED}):
            behind = -Severity(row.severity).rank
            if order == "score":
                yield (-(row.score or 0.0), behind), row.id
                continue
            finding = load_finding(row.type, row.document)
            if order == "package":
                yield (*_package(finding), behind), row.id
            elif isinstance(finding, NetworkFinding):
                yield (finding.title, behind), row.id
            else:
                yield (finding.vulnerability, behind), row.id


class _DecodedDetails:
    """Decoded details by id: the latest used are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Finding | NetworkFinding] = OrderedDict()

    def of(self, connection: Connection, ids: Iterable[int]) -> dict[int, Finding | NetworkFinding]:
        """Return these details; unknown ids are left out."""
        wanted = set(ids)
        known = {number: self._kept[number] for number in wanted if number in self._kept}
        for number in known:
            self._kept.move_to_end(number)
        columns = finding_details.c
        for part in parts(sorted(wanted - known.keys())):
            query = select(columns.id, columns.type, columns.document).where(columns.id.in_(part))
            for row in connection.execute(query):
                known[row.id] = self._kept[row.id] = load_finding(row.type, row.document)
        while len(self._kept) > MOST_DOCUMENTS:
            self._kept.popitem(last=False)
        return known


def _rows(connection: Connection, ids: Sequence[int], details: _DecodedDetails) -> list[FindingRow]:
    """Return findings by id, in this order; unknown ids are left out."""
    query = (
        select(*COLUMNS, findings.c.detail, observed_again())
        .outerjoin(coverage, OF_NETWORK)
        .where(findings.c.id.in_(list(ids)))
    )
    found = {row.id: row for row in connection.execute(query)}
    known = details.of(connection, (row.detail for row in found.values()))
    return [
        finding_row(row, known[row.detail])
        for row in map(found.get, ids)
        if row is not None and row.detail in known
    ]


def _tally(connection: Connection, wanted: ListedFindings) -> FindingTally:
    joined = findings.join(finding_details, finding_details.c.id == findings.c.detail)
    conditions = [*_of_findings(wanted), *_of_details(wanted)]
    counted = (
        select(finding_details.c.severity, func.count())
        .select_from(joined)
        .where(*conditions)
        .group_by(finding_details.c.severity)
    )
    places = select(findings.c.account, findings.c.instance).select_from(joined)
    places = places.where(*conditions).distinct()
    by_severity = {Severity(name): count for name, count in connection.execute(counted)}
    instances = connection.execute(select(func.count()).select_from(places.subquery()))
    return FindingTally(by_severity, instances.scalar_one())


def _kept_tally(connection: Connection, wanted: ListedFindings) -> FindingTally:
    """Count active findings by the counts that are kept of each instance."""
    counted = of_instances()
    chosen = {
        level: counted.c[level.value.lower()]
        for level in Severity
        if level in (wanted.severities or Severity)
    }
    conditions = [sum(chosen.values(), literal(0)) > 0]
    if wanted.account:
        conditions.append(counted.c.account == wanted.account)
    if wanted.region:
        conditions.append(counted.c.region == wanted.region)
    if wanted.instances:
        conditions.append(counted.c.instance.in_(sorted(wanted.instances)))
    if wanted.kind is not None:
        conditions.append(counted.c.type == wanted.kind.value)
    # An instance has a row for each type of its findings.
    machine = counted.c.account, counted.c.instance
    of_machine = (
        select(*(func.sum(number).label(level.value) for level, number in chosen.items()))
        .where(*conditions)
        .group_by(*machine)
        .subquery()
    )
    sums = [func.sum(of_machine.c[level.value]) for level in chosen]
    instances, *numbers = connection.execute(select(func.count(), *sums)).one()
    levels = zip(chosen, numbers, strict=True)
    return FindingTally({level: int(number) for level, number in levels if number}, instances)


def _package(finding: Finding | NetworkFinding) -> tuple[str, str]:
    """Return a package's name and version; network findings come behind all packages."""
    if isinstance(finding, NetworkFinding):
        return "\U0010ffff", finding.title
    return finding.package.name, finding.package.version


def _ids(connection: Connection, wanted: ListedFindings, group: _Group) -> array[int]:
    """Return the ids of a group's findings, by instance and id."""
    conditions = _of_findings(wanted)
    of_it = ROW_DETAIL if wanted.instances else findings.c.detail
    if group.condition is not None:
        chosen = select(finding_details.c.id).where(group.condition, *_of_details(wanted))
        query = select(findings.c.id).where(*conditions, of_it.in_(chosen))
        query = query.order_by(findings.c.instance, findings.c.id)
        rows = connection.execute(query, execution_options={"yield_per": _FETCHED})
        return array("q", rows.scalars())
    found: list[tuple[str, int]] = []
    for part in parts(group.ids):
        query = select(findings.c.instance, findings.c.id).where(*conditions)
        rows = connection.execute(query.where(of_it.in_(part)))
        found += ((row.instance, row.id) for row in rows)
    found.sort()
    return array("q", (number for _, number in found))


def _states(wanted: ListedFindings) -> list[TextClause]:
    """Return the conditions of the partial indexes that have the wanted findings."""
    if wanted.status is None:
        return [OPEN_FINDING, CLOSED_FINDING]
    return [CLOSED_FINDING if wanted.status is FindingStatus.CLOSED else OPEN_FINDING]


def _of_findings(wanted: ListedFindings, *, by_instance: bool = False) -> list[ColumnElement[bool]]:
    """Return the conditions on findings; `by_instance` if others name an instance."""
    conditions: list[ColumnElement[bool]] = []
    in_rows = by_instance or wanted.instances
    if wanted.account:
        conditions.append(findings.c.account == wanted.account)
    if wanted.region:
        conditions.append((ROW_REGION if in_rows else findings.c.region) == wanted.region)
    if wanted.instances:
        conditions.append(findings.c.instance.in_(sorted(wanted.instances)))
    if wanted.status is not None:
        conditions.append((ROW_STATUS if in_rows else findings.c.status) == wanted.status.value)
    if wanted.kind is not None:
        conditions.append((ROW_TYPE if in_rows else findings.c.type) == wanted.kind.value)
    return conditions


def _of_details(wanted: ListedFindings) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.severities:
        levels = [level.value for level in wanted.severities]
        conditions.append(finding_details.c.severity.in_(levels))
    if wanted.kind is not None:
        conditions.append(finding_details.c.type == wanted.kind.value)
    return conditions
