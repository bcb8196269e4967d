"""Findings, their states, and the rules that suppress them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sidelight.model.advisories import FixAvailable, Severity
from sidelight.model.cloud import InstanceRef
from sidelight.model.finding_types import FindingType
from sidelight.model.software import Package  # noqa: TC001 - the store resolves hints to load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from sidelight.model.network import NetworkFinding


class _DeferredMembers:
    __slots__ = ("_members_of", "_number")  # as `lazy_findings` is given them


@dataclass(frozen=True, slots=True)
class Finding(_DeferredMembers):
    """One vulnerability of one package on one machine.

    `vulnerability` is the CVE if there is one, else the advisory's own id. `advisories` are the ids
    of all advisories on it, sorted. `fixed_version` is empty if no fix is known. `cvss_vectors` are
    (source, vector), the vector of `cvss_score` first; `severity_source` names the source of the
    severity. `epss` is a probability from 0 to 1; `exploited_since` the day it entered CISA's
    catalogue of exploited vulnerabilities, or on which Microsoft or Apple reported exploits.
    `state` is the distribution's state if it has one
    (`no-dsa`), or `module-stream-unknown` if no feed names the rpm module stream of the fix.
    `score` is Sidelight's own, `score_vector` its derivation (docs/score.md).

    Matching creates thousands of findings at once with `lazy_findings`: such a finding loads its
    members at the first access to one of them, and is an ordinary finding from then on.
    """

    vulnerability: str
    severity: Severity
    package: Package
    fixed_version: str
    advisories: tuple[str, ...]
    title: str = ""
    severity_source: str = ""
    cvss_vector: str = ""
    cvss_score: float | None = None
    references: tuple[str, ...] = field(default=())
    cvss_vectors: tuple[tuple[str, str], ...] = ()
    epss: float | None = None
    epss_percentile: float | None = None
    exploited_since: str = ""
    fix_available: FixAvailable = FixAvailable.NO
    remediation: str = ""
    ecosystem: str = ""
    stream: str = ""
    state: str = ""
    score: float | None = None
    score_vector: str = ""
    type: FindingType = FindingType.PACKAGE_VULNERABILITY

    @property
    def headline(self) -> str:
        """Inspector's title: the vulnerability and the package."""
        return f"{self.vulnerability} - {self.package.name}"

    @property
    def source(self) -> str:
        """The source of the advisories: the ecosystem without its release."""
        return self.ecosystem.partition(":")[0]

    @property
    def exploit_available(self) -> bool:
        """Whether there is evidence that the vulnerability is exploited."""
        return bool(self.exploited_since)

    if not TYPE_CHECKING:  # for the type checker every member exists

        def __getattr__(self, name: str) -> object:
            # Python calls this for a member that is not set: only a lazy finding has such members.
            if name not in _MEMBERS:
                raise AttributeError(name)
            for put, value in zip(_PUT, self._members_of(self.package, self._number), strict=True):
                put(self, value)
            return object.__getattribute__(self, name)


def lazy_findings(
    package: Package, members_of: Callable[[Package, int], Iterable[object]], numbers: Iterable[int]
) -> list[Finding]:
    """Create a package's findings lazily, one for each number.

    `members_of` returns all members but the package, in their order, for the package and a number.
    """
    findings: list[Finding] = []
    for number in numbers:
        finding: Finding = _new(Finding)
        _put_package(finding, package)
        _put_number(finding, number)
        _put_members_of(finding, members_of)
        findings.append(finding)
    return findings


def _setter(kind: type, member: str) -> Callable[[object, object], None]:
    put: Callable[[object, object], None] = vars(kind)[member].__set__  # bypasses the frozen check
    return put


_new = object.__new__
_put_members_of = _setter(_DeferredMembers, "_members_of")
_put_number = _setter(_DeferredMembers, "_number")
_put_package = _setter(Finding, "package")
_MEMBERS = [field.name for field in fields(Finding) if field.name != "package"]
_PUT = [_setter(Finding, name) for name in _MEMBERS]


class FindingStatus(StrEnum):
    """Inspector's states: users choose SUPPRESSED, and it persists over scans."""

    ACTIVE = "ACTIVE"
    SUPPRESSED = "SUPPRESSED"
    CLOSED = "CLOSED"


class Judged(NamedTuple):
    """An instance's finding before it is opened, for the suppression rules."""

    place: InstanceRef
    detail: int
    first_observed: datetime


def finding_arn(place: InstanceRef, number: int) -> str:
    """Return a finding's ARN, in the form of Inspector's."""
    return f"arn:aws:sidelight:{place.region}:{place.account}:finding/{number:032x}"


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding of one instance with its present state. A store never reuses an `id`.

    `finding` is a Finding of a package, or a NetworkFinding, by its `type`.
    """

    id: int
    account: str
    region: str
    instance: str
    status: FindingStatus
    first_observed: datetime
    last_observed: datetime
    finding: Finding | NetworkFinding
    updated_at: datetime
    closed_at: datetime | None = None

    @property
    def arn(self) -> str:
        """The finding's ARN."""
        return finding_arn(InstanceRef(self.account, self.region, self.instance), self.id)

    @property
    def package_finding(self) -> Finding:
        """The finding of a package. Raises TypeError for one of another type."""
        if not isinstance(self.finding, Finding):
            raise TypeError(f"{self.finding.type} is not a finding of a package")
        return self.finding


@dataclass(frozen=True, slots=True)
class FindingEvent:
    """A change of a finding (OPENED, REOPENED, UPDATED, CLOSED), and its state after it."""

    sequence: int
    at: datetime
    kind: str
    row: FindingRow


@dataclass(frozen=True, slots=True)
class FindingChanges:
    """The numbers of findings that an evaluation opened, kept and closed."""

    opened: int = 0
    kept: int = 0
    closed: int = 0

    def __add__(self, other: FindingChanges) -> FindingChanges:
        """Add the numbers of two evaluations."""
        return FindingChanges(
            self.opened + other.opened, self.kept + other.kept, self.closed + other.closed
        )


@dataclass(frozen=True, slots=True)
class Reevaluated:
    """The result of a part of a re-evaluation. `left`: whether more parts remain.

    Numbers: `packages` that were matched again, `instances` whose findings were reconciled, and
    instances that `passed` without a comparison, since none of their packages changed.
    """

    left: bool
    packages: int = 0
    instances: int = 0
    passed: int = 0
    findings: FindingChanges = field(default_factory=FindingChanges)

    def __add__(self, other: Reevaluated) -> Reevaluated:
        """Add two consecutive parts."""
        return Reevaluated(
            other.left,
            self.packages + other.packages,
            self.instances + other.instances,
            self.passed + other.passed,
            self.findings + other.findings,
        )


SUPPRESS, NO_ACTION = "SUPPRESS", "NONE"


@dataclass(frozen=True, slots=True)
class SuppressionRule:
    """A filter of the findings that match all `criteria` (FilterCriteria as JSON).

    The action SUPPRESS makes it a rule: it suppresses the findings of its `owner` and of the
    members that this account administers; an empty owner is the whole fleet's. NONE only keeps it.
    From `expires_at` on the action is NONE.
    """

    name: str
    criteria: str
    description: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    id: str = ""
    owner: str = ""
    region: str = ""
    action: str = SUPPRESS
    reason: str = ""
    expires_at: datetime | None = None
