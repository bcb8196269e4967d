"""Inspector's findings and coverage as records, read from its answers.

Source: botocore's service model `inspector2` (Finding, CoveredResource). Times are datetimes in
boto3's answers, and ISO 8601 or seconds since 1970 in the AWS CLI's JSON. An answer is checked
member by member: an item that cannot be read is a Problem, and the others are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sidelight.model import InstanceRef
from sidelight.model.software import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INSTANCE: Final = "AWS_EC2_INSTANCE"
PACKAGE, NETWORK = "PACKAGE_VULNERABILITY", "NETWORK_REACHABILITY"
NOT_AVAILABLE: Final = "NotAvailable"  # in place of a fixed version
UNNAMED: Final = "unknown"  # what an answer without a package's name or version has
MOST_PACKAGES: Final = 1000  # of one finding
MOST_RELATED: Final = 100  # by the service's model
MOST_STEPS: Final = 30  # by the service's model
MOST_RESOURCES: Final = 10  # by the service's model
LONGEST: Final = 1024  # characters of a text, by the service's model
MOST_PROBLEMS: Final = 100
LONGEST_TYPE: Final = 64  # characters of a resource's type
_LATEST: Final = 4_102_444_800.0  # 2100: a larger number is not in seconds


@dataclass(frozen=True, slots=True)
class ReportedPackage:
    """A vulnerable package of a finding.

    `version` is `[epoch:]version[-release]` without an epoch of 0, `fixed` the same, or empty.
    """

    name: str
    version: str
    fixed: str = ""
    path: str = ""
    manager: str = ""


@dataclass(frozen=True, slots=True)
class ReportedPort:
    """The open ports of a network finding. `edge` is the id of the path's first component."""

    protocol: str
    begin: int
    end: int
    interface: str = ""
    edge: str = ""

    @property
    def text(self) -> str:
        """`TCP 22`, or `TCP 8000-8999`."""
        ports = str(self.begin) if self.begin == self.end else f"{self.begin}-{self.end}"
        return f"{self.protocol} {ports}"


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """One finding of one instance. A package finding has one or more `packages`, else a `port`.

    `severity_source` is the source of the score that the severity is of, where the answer has one.
    """

    place: InstanceRef
    arn: str
    type: str
    status: str
    severity: str
    title: str
    vulnerability: str = ""
    related: tuple[str, ...] = ()
    source: str = ""
    severity_source: str = ""
    vendor_severity: str = ""
    packages: tuple[ReportedPackage, ...] = ()
    port: ReportedPort | None = None
    first_observed: datetime | None = None
    last_observed: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportedCoverage:
    """Whether Inspector scans an instance; `scan_type` is PACKAGE or NETWORK."""

    place: InstanceRef
    scan_type: str
    status_code: str
    reason: str
    scan_mode: str = ""
    scanned_at: datetime | None = None


@dataclass(slots=True)
class InspectorSide:
    """All that was read of Inspector. `unread` are account-regions without its coverage.

    `skipped` counts items of other resources and types by name. `problems` has at most
    MOST_PROBLEMS entries; `unreadable` counts all items that could not be read.
    """

    findings: dict[str, ReportedFinding] = field(default_factory=dict)  # by ARN and instance
    coverage: dict[tuple[InstanceRef, str], ReportedCoverage] = field(default_factory=dict)
    unread: set[tuple[str, str]] = field(default_factory=set)
    skipped: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: int = 0

    def add_findings(self, items: Iterable[object], where: str) -> int:
        """Add the items of ListFindings; return how many there were.

        Of two answers with the same ARN the one that was updated later counts.
        """
        count = 0
        for count, item in enumerate(items, 1):
            try:
                for finding in _findings(item, self._skip):
                    key = f"{finding.arn} {finding.place.instance}"
                    other = self.findings.get(key)
                    if other is None or _updated(other) <= _updated(finding):
                        self.findings[key] = finding
            except ValueError as error:
                self._unread(Problem(f"{where}: finding {count}", str(error)))
        return count

    def add_coverage(self, items: Iterable[object], where: str) -> int:
        """Add the items of ListCoverage; return how many there were."""
        count = 0
        for count, item in enumerate(items, 1):
            try:
                covered = _coverage(item, self._skip)
            except ValueError as error:
                self._unread(Problem(f"{where}: covered resource {count}", str(error)))
            else:
                if covered is not None:
                    self.coverage[covered.place, covered.scan_type] = covered
        return count

    def add(self, other: InspectorSide) -> None:
        """Add what was read of other account-regions."""
        self.findings.update(other.findings)
        self.coverage.update(other.coverage)
        self.unread |= other.unread
        self.unreadable += other.unreadable
        self.problems += other.problems
        for name, count in other.skipped.items():
            self._skip(name, count)

    def _skip(self, name: str, count: int = 1) -> None:
        name = name if len(name) <= LONGEST_TYPE else UNNAMED
        if name not in self.skipped and len(self.skipped) >= MOST_PROBLEMS:
            name = UNNAMED
        self.skipped[name] = self.skipped.get(name, 0) + count

    def _unread(self, problem: Problem) -> None:
        self.unreadable += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def _updated(finding: ReportedFinding) -> datetime:
    return finding.updated_at or finding.last_observed or datetime.min.replace(tzinfo=UTC)


def version_text(epoch: object, version: str, release: str) -> str:
    """Return `[epoch:]version[-release]`, without an epoch of 0."""
    text = f"{version}-{release}" if release else version
    return f"{epoch}:{text}" if epoch and epoch != "0" else text


def plain_fixed(text: str) -> str:
    """Return a fixed version without an epoch of 0; empty where there is none."""
    return "" if text == NOT_AVAILABLE else text.removeprefix("0:")


def _findings(item: object, skip: _Skip) -> list[ReportedFinding]:
    """Return one finding for each of its instances. Raises ValueError for an invalid one."""
    document = _structure(item, "a finding")
    kind = _text(document, "type", needed=True)
    found = []
    for resource in _items(document, "resources")[:MOST_RESOURCES]:
        described = _structure(resource, "a resource")
        resource_type = _text(described, "type", needed=True)
        if resource_type != INSTANCE:
            skip(resource_type)
        elif kind not in (PACKAGE, NETWORK):
            skip(kind)
        else:
            found.append(_finding(document, described, kind))
    return found


def _finding(document: _Members, resource: _Members, kind: str) -> ReportedFinding:
    arn = _text(document, "findingArn", needed=True)
    region = _text(resource, "region") or _region_of(arn)
    place = InstanceRef(
        _text(document, "awsAccountId", needed=True), region, _text(resource, "id", needed=True)
    )
    details = _structure(document.get("packageVulnerabilityDetails") or {}, "details")
    score = _structure(document.get("inspectorScoreDetails") or {}, "inspectorScoreDetails")
    adjusted = _structure(score.get("adjustedCvss") or {}, "adjustedCvss")
    return ReportedFinding(
        place=place, arn=arn, type=kind, status=_text(document, "status", needed=True),
        severity=_text(document, "severity", needed=True), title=_text(document, "title"),
        vulnerability=_text(details, "vulnerabilityId", needed=kind == PACKAGE),
        related=tuple(
            name for name in _items(details, "relatedVulnerabilities")[:MOST_RELATED]
            if isinstance(name, str) and len(name) <= LONGEST
        ),
        source=_text(details, "source"),
        severity_source=_text(adjusted, "cvssSource") or _text(adjusted, "scoreSource"),
        vendor_severity=_text(details, "vendorSeverity"),
        packages=tuple(
            _package(_structure(one, "a package"))
            for one in _items(details, "vulnerablePackages")[:MOST_PACKAGES]
        ),
        port=_port(document) if kind == NETWORK else None,
        first_observed=_time(document, "firstObservedAt"),
        last_observed=_time(document, "lastObservedAt"),
        updated_at=_time(document, "updatedAt"),
    )  # fmt: skip


def _package(document: _Members) -> ReportedPackage:
    epoch = document.get("epoch") or 0
    if not isinstance(epoch, int):
        raise ValueError("epoch is not a number")  # noqa: TRY004 - it becomes a Problem
    version = _text(document, "version")
    return ReportedPackage(
        name=_text(document, "name"),
        version=version_text(epoch, version, _text(document, "release")),
        fixed=plain_fixed(_text(document, "fixedInVersion")),
        path=_text(document, "filePath"),
        manager=_text(document, "packageManager"),
    )


def _port(document: _Members) -> ReportedPort:
    details = _structure(document.get("networkReachabilityDetails"), "networkReachabilityDetails")
    ports = _structure(details.get("openPortRange"), "openPortRange")
    path = _structure(details.get("networkPath") or {}, "networkPath")
    steps = [_structure(step, "a step") for step in _items(path, "steps")[:MOST_STEPS]]
    begin, end = ports.get("begin"), ports.get("end")
    if not (isinstance(begin, int) and isinstance(end, int) and 0 <= begin <= end <= 65535):
        raise ValueError("openPortRange is not a range of ports")
    interfaces = [
        _text(step, "componentId")
        for step in steps
        if _text(step, "componentType").endswith("::NetworkInterface")
    ]
    edge = _text(steps[0], "componentId") if steps else ""
    protocol = _text(details, "protocol", needed=True)
    return ReportedPort(protocol, begin, end, interfaces[-1] if interfaces else "", edge)


def _coverage(item: object, skip: _Skip) -> ReportedCoverage | None:
    document = _structure(item, "a covered resource")
    kind = _text(document, "resourceType", needed=True)
    if kind != INSTANCE:
        skip(kind)
        return None
    status = _structure(document.get("scanStatus") or {}, "scanStatus")
    # Older answers have no Region: the caller's is unknown here, and the instance's id is enough.
    place = InstanceRef(
        _text(document, "accountId", needed=True),
        _text(document, "providerRegion"),
        _text(document, "resourceId", needed=True),
    )
    return ReportedCoverage(
        place,
        _text(document, "scanType") or "PACKAGE",
        _text(status, "statusCode") or "INACTIVE",
        _text(status, "reason"),
        _text(document, "scanMode"),
        _time(document, "lastScannedAt"),
    )


def _region_of(arn: str) -> str:
    """Return the Region that an ARN names. Raises ValueError."""
    parts = arn.split(":")
    if len(parts) < 6 or parts[0] != "arn" or not parts[3]:
        raise ValueError("neither its resource nor its ARN names a Region")
    return parts[3]


def _structure(value: object, what: str) -> _Members:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} is not an object")  # noqa: TRY004 - it becomes a Problem
    return value


def _items(document: _Members, name: str) -> Sequence[object]:
    value = document.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")  # noqa: TRY004 - it becomes a Problem
    return value


def _text(document: _Members, name: str, *, needed: bool = False) -> str:
    value = document.get(name)
    if value is None or value == "":
        if needed:
            raise ValueError(f"it has no {name}")
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")  # noqa: TRY004 - it becomes a Problem
    return value[:LONGEST]


def _time(document: _Members, name: str) -> datetime | None:
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST:
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str) and len(value) < 64:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{name} is not a time") from None
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    raise ValueError(f"{name} is not a time")


if TYPE_CHECKING:
    from collections.abc import Callable

    _Members = Mapping[str, object]
    _Skip = Callable[[str], None]
