"""Publishers' records: the affected packages, and the severity."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """Inspector's severities, least first (see `rank`)."""

    UNTRIAGED = "UNTRIAGED"
    INFORMATIONAL = "INFORMATIONAL"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """0 for UNTRIAGED up to 5 for CRITICAL."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
MOST_SEVERE_FIRST: Final = tuple(reversed(Severity))


@dataclass(frozen=True, slots=True)
class Interval:
    """Versions from `introduced` to `end`, as the ecosystem orders them.

    An empty `introduced` is the beginning, an empty `end` is unlimited. The end itself is affected
    only if `end_included`, the beginning unless `introduced_excluded`.
    """

    introduced: str = ""
    end: str = ""
    end_included: bool = False
    introduced_excluded: bool = False


@dataclass(frozen=True, slots=True)
class Affected:
    """A package that an advisory covers, and its affected versions.

    `versions` are single affected versions in addition to the intervals. `stream` is the part of a
    distribution that the row is about (`pro`, `eus:9.2`, `extras/docker`), empty for the main one.
    `module` is an rpm module `name:stream`; `state` the vendor's state (`no-dsa`, `end-of-life`).
    `advisory` is the id of the advisory, in the results of a database.
    """

    ecosystem: str
    name: str
    intervals: tuple[Interval, ...] = ()
    versions: tuple[str, ...] = ()
    stream: str = ""
    module: str = ""
    severity: Severity | None = None
    state: str = ""
    advisory: str = ""


@dataclass(frozen=True, slots=True)
class Advisory:
    """One feed's record under one id. `source` is its publisher.

    `aliases` are its names elsewhere; `vulnerabilities` are the CVEs that it is about. `vectors`
    are CVSS vectors. An advisory that its author has withdrawn has no `affected`.
    """

    id: str
    source: str
    aliases: tuple[str, ...] = ()
    vulnerabilities: tuple[str, ...] = ()
    title: str = ""
    severity: Severity | None = None
    vectors: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    published: str = ""
    modified: str = ""
    affected: tuple[Affected, ...] = ()
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class VulnerabilityFact:
    """One source's facts of one CVE, for all packages. `exploited_since` is CISA's date."""

    id: str
    source: str
    vectors: tuple[str, ...] = ()
    severity: Severity | None = None
    title: str = ""
    epss: float | None = None
    epss_percentile: float | None = None
    exploited_since: str = ""


class FixAvailable(StrEnum):
    """Whether an update closes a finding. `PARTIAL`: for some sources or subscribers only."""

    YES = "YES"
    NO = "NO"
    PARTIAL = "PARTIAL"


class Exposure(StrEnum):
    """Whether the machine can be reached from outside its network. UNKNOWN: not determined."""

    UNKNOWN = "UNKNOWN"
    NONE = "NONE"
    OPEN = "OPEN"
