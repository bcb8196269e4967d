"""Frozen values that pass between the layers. No behaviour beyond their own shape."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime


class Status(StrEnum):
    """How much of a machine was read. `PARTIAL` and `FAILED` always come with Problems."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


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


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something in a scanned volume that could not be read, with its coordinates.

    `where` goes from the outside in: `snap-1/p2/ext4: inode 12, block 33` or a path.
    """

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """A machine's identity from os-release. Empty strings where the file does not say."""

    id: str = ""
    version_id: str = ""
    pretty_name: str = ""
    codename: str = ""
    id_like: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package.

    `version` is what the ecosystem itself writes: dpkg `1:2.3-4`, rpm `[epoch:]version-release`,
    apk `1.2.3-r0`. `path` is the file that names it, absolute in the machine's tree.
    `direct` and `dev` are None where the format does not tell. `layer` names the container storage
    that it was found in (`docker`, `containerd`, …), empty for the machine itself.
    `running_kernel` is None for what is no kernel, else whether the machine boots this one.
    """

    type: str
    name: str
    version: str
    path: str
    purl: str
    arch: str = ""
    source_name: str = ""
    source_version: str = ""
    vendor: str = ""
    modularity: str = ""
    licence: str = ""
    direct: bool | None = None
    dev: bool | None = None
    layer: str = ""
    running_kernel: bool | None = None


@dataclass(frozen=True, slots=True)
class FilesystemSummary:
    """One filesystem of a machine. `mount` is empty where nothing mounts it.

    `journal` is one of `none`, `clean`, `replayed`, `unreplayed`.
    """

    source: str
    type: str
    mount: str
    journal: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The software on one machine, as far as it could be read."""

    status: Status
    os: OperatingSystem
    packages: tuple[Package, ...] = ()
    problems: tuple[Problem, ...] = ()
    filesystems: tuple[FilesystemSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class Interval:
    """Versions from `introduced` to `end`, as the ecosystem orders them.

    An empty `introduced` is the beginning, an empty `end` is without end. The end itself is
    affected only if `end_included`, the beginning unless `introduced_excluded`.
    """

    introduced: str = ""
    end: str = ""
    end_included: bool = False
    introduced_excluded: bool = False


@dataclass(frozen=True, slots=True)
class Affected:
    """A package that an advisory speaks of, and its affected versions.

    `versions` are single affected versions besides the intervals. `stream` is the part of a
    distribution that the row is about (`pro`, `eus:9.2`, `extras/docker`), empty for the main one;
    `module` is an rpm module `name:stream`; `state` the vendor's word (`no-dsa`, `end-of-life`).
    `advisory` is the id of the advisory, in what a database answers.
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
    """What one feed says under one id. `source` is who says so.

    `aliases` name the same thing elsewhere; `vulnerabilities` are the CVEs that it is about.
    `vectors` are CVSS vectors. One that its author has withdrawn has no `affected`.
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
    """What is known of one CVE, whatever the package. `exploited_since` is CISA's date."""

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


class FindingType(StrEnum):
    """Inspector's. Network paths are not looked for yet."""

    PACKAGE_VULNERABILITY = "PACKAGE_VULNERABILITY"
    NETWORK_REACHABILITY = "NETWORK_REACHABILITY"


class Exposure(StrEnum):
    """Whether the machine can be reached from outside its network. UNKNOWN: nobody looked."""

    UNKNOWN = "UNKNOWN"
    NONE = "NONE"
    OPEN = "OPEN"


class _Untold:
    __slots__ = ("_number", "_tell")  # what gives all members but the package, in their order


@dataclass(frozen=True, slots=True)
class Finding(_Untold):
    """One vulnerability of one package on one machine.

    `vulnerability` is the CVE where there is one, else the advisory's own id. `advisories` are all
    the ids that say so, sorted. `fixed_version` is empty where no fix is known. `cvss_vectors` are
    (source, vector), the one that gave `cvss_score` first; `severity_source` names who rated it.
    `epss` is a probability from 0 to 1; `exploited_since` the day it entered CISA's catalogue of
    exploited vulnerabilities. `state` is the distribution's word where it has one (`no-dsa`), or
    `module-stream-unknown` where no feed tells which stream of an rpm module the fix is for.
    `score` is Sidelight's own, `score_vector` how it comes about (docs/score.md).

    Matching makes thousands of them at once with `untold`: such a finding looks its members up when
    the first of them is asked for, and is as any other from then on.
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
        """What Inspector calls the title: the vulnerability and the package."""
        return f"{self.vulnerability} - {self.package.name}"

    @property
    def source(self) -> str:
        """Whose advisories say so: the ecosystem without its release."""
        return self.ecosystem.partition(":")[0]

    @property
    def exploit_available(self) -> bool:
        """Whether there is evidence that the vulnerability is exploited."""
        return bool(self.exploited_since)

    if not TYPE_CHECKING:  # to the type checker every member is there

        def __getattr__(self, name: str) -> Any:
            # Python comes here for a member that was not set: only an untold finding has such.
            if name not in _MEMBERS:
                raise AttributeError(name)
            for put, value in zip(_PUT, self._tell(self.package, self._number), strict=True):
                put(self, value)
            return object.__getattribute__(self, name)


def untold(
    package: Package, tell: Callable[[Package, int], Iterable[Any]], numbers: Iterable[int]
) -> list[Finding]:
    """A package's findings by number.

    `tell` gives all members but the package, in their order, for the package and a number.
    """
    found: list[Finding] = []
    for number in numbers:
        finding: Finding = _new(Finding)
        _put_package(finding, package)
        _put_number(finding, number)
        _put_tell(finding, tell)
        found.append(finding)
    return found


def _setter(kind: type, member: str) -> Callable[[Any, Any], None]:
    put: Callable[[Any, Any], None] = vars(kind)[member].__set__  # past what makes it frozen
    return put


_new = object.__new__
_put_tell, _put_number = (_setter(_Untold, name) for name in ("_tell", "_number"))
_put_package = _setter(Finding, "package")
_MEMBERS = [field.name for field in fields(Finding) if field.name != "package"]
_PUT = [_setter(Finding, name) for name in _MEMBERS]


@dataclass(frozen=True, slots=True)
class ReadStats:
    """What reading cost. `usd` by the published prices of the EBS direct APIs."""

    get_calls: int = 0
    list_calls: int = 0
    distinct_blocks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Volume:
    """An EBS volume as attached. `size_gib` in GiB; `device` is the attachment's name."""

    id: str
    device: str
    size_gib: int
    type: str = "gp3"
    encrypted: bool = False
    kms_key_id: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance as discovered."""

    id: str
    account: str
    region: str
    state: str
    volumes: tuple[Volume, ...]
    tags: tuple[tuple[str, str], ...] = ()
    name: str = ""
    root_device_type: str = "ebs"
    platform: str = ""
    launched_at: datetime | None = None
    type: str = ""
    image_id: str = ""
    vpc_id: str = ""
    subnet_id: str = ""
