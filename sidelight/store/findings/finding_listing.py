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

from sqlalchemy import func, select

from sidelight.model import FindingStatus, NetworkFinding, Severity
from sidelight.store.base.dialect import PART, parts
from sidelight.store.base.schema import coverage, finding_details, findings
from sidelight.store.findings.finding_documents import load_finding
from sidelight.store.findings.findings import COLUMNS, OF_NETWORK, finding_row, observed_again

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection

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
        with self._database.read() as connection:
            by_severity = {Severity(name): count for name, count in connection.execute(counted)}
            instances = connection.execute(select(func.count()).select_from(places.subquery()))
            return FindingTally(by_severity, instances.scalar_one())

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
        machine = findings.c.account, findings.c.instance
        query = select(*machine).where(*_of_findings(wanted)).distinct().order_by(*machine)
        with self._database.read() as connection:
            machines = connection.execute(query).all()
        ids = select(findings.c.id, finding_details.c.severity).join(
            finding_details, finding_details.c.id == findings.c.detail
        )
        ids = ids.where(*_of_findings(wanted), *_of_details(wanted))
        for account, instance in machines:
            own = ids.where(findings.c.account == account, findings.c.instance == instance)
            with self._database.read() as connection:
                rows = list(connection.execute(own))
            rows.sort(key=lambda row: (-Severity(row.severity).rank, row.id))
            yield array("q", (row.id for row in rows))

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


def _package(finding: Finding | NetworkFinding) -> tuple[str, str]:
    """Return a package's name and version; network findings come behind all packages."""
    if isinstance(finding, NetworkFinding):
        return "\U0010ffff", finding.title
    return finding.package.name, finding.package.version


def _ids(connection: Connection, wanted: ListedFindings, group: _Group) -> array[int]:
    """Return the ids of a group's findings, by instance and id."""
    conditions = _of_findings(wanted)
    if group.condition is not None:
        chosen = select(finding_details.c.id).where(group.condition, *_of_details(wanted))
        query = select(findings.c.id).where(*conditions, findings.c.detail.in_(chosen))
        query = query.order_by(findings.c.instance, findings.c.id)
        rows = connection.execute(query, execution_options={"yield_per": _FETCHED})
        return array("q", rows.scalars())
    found: list[tuple[str, int]] = []
    for part in parts(group.ids):
        query = select(findings.c.instance, findings.c.id).where(*conditions)
        rows = connection.execute(query.where(findings.c.detail.in_(part)))
        found += ((row.instance, row.id) for row in rows)
    found.sort()
    return array("q", (number for _, number in found))


def _of_findings(wanted: ListedFindings) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.account:
        conditions.append(findings.c.account == wanted.account)
    if wanted.region:
        conditions.append(findings.c.region == wanted.region)
    if wanted.instances:
        conditions.append(findings.c.instance.in_(sorted(wanted.instances)))
    if wanted.status is not None:
        conditions.append(findings.c.status == wanted.status.value)
    if wanted.kind is not None:
        conditions.append(findings.c.type == wanted.kind.value)
    return conditions


def _of_details(wanted: ListedFindings) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.severities:
        levels = [level.value for level in wanted.severities]
        conditions.append(finding_details.c.severity.in_(levels))
    if wanted.kind is not None:
        conditions.append(finding_details.c.type == wanted.kind.value)
    return conditions
