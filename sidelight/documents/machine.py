"""Documents about one machine: `sidelight inventory`, `sidelight scan` and `--stats`."""

from typing import NotRequired, TypedDict

from sidelight.documents.markers import YesNo
from sidelight.model import FindingType, FixAvailable, Severity, Status, VexStatus


class PackageDocument(TypedDict):
    """One package. The optional members are left out where the format does not give them.

    `path` is the file that names the package. `layer` names the container storage that has it.
    """

    purl: str
    name: str
    version: str
    type: str
    path: str
    arch: NotRequired[str]
    source_name: NotRequired[str]
    source_version: NotRequired[str]
    vendor: NotRequired[str]
    modularity: NotRequired[str]
    licence: NotRequired[str]
    direct: NotRequired[bool]
    dev: NotRequired[bool]
    layer: NotRequired[str]
    running_kernel: NotRequired[bool]


class InstalledPackageDocument(PackageDocument):
    """One package of an inventory. `requires` are indexes in `packages` of what it depends on.

    It is empty where the package requires no other one, and left out where that is not known.
    """

    requires: NotRequired[list[int]]


class ProblemDocument(TypedDict):
    """Something that could not be read, with its coordinates from the outside in."""

    where: str
    what: str


class FilesystemDocument(TypedDict):
    """One filesystem. `mount` is empty if it is not mounted.

    `journal` is one of none, clean, replayed, unreplayed.
    """

    source: str
    type: str
    mount: str
    journal: str


class OsDocument(TypedDict):
    """The identity of a machine, from os-release; a missing field is empty."""

    id: str
    version_id: str
    pretty_name: str


class ListenerDocument(TypedDict):
    """A port that a configuration says a service listens on.

    `address` is empty for every address, `line` null for a service's default.
    """

    service: str
    protocol: str
    port: int
    address: str
    file: str
    line: int | None


class MachineDocument(TypedDict):
    """What inventories and scans have in common.

    `left_out` lists the parts of the disks that are not the machine's own running software;
    `skipped` the globs of --skip-dirs, each with the number of directories that it left out.
    """

    status: Status
    os: OsDocument
    problems: list[ProblemDocument]
    filesystems: list[FilesystemDocument]
    left_out: NotRequired[list[str]]
    skipped: NotRequired[list[str]]
    listeners: NotRequired[list[ListenerDocument]]


class InventoryDocument(MachineDocument):
    """The software of one machine (`sidelight inventory --format json`).

    `left_out` lists the parts of the disks that are not the machine's own running software.
    """

    packages: list[InstalledPackageDocument]


class CvssDocument(TypedDict):
    """A CVSS vector and its source; `base_score` is null for a vector without one."""

    source: str
    version: str
    vector: str
    base_score: float | None


class AffectedPackageDocument(TypedDict):
    """A package in Inspector's terms. An unknown field is empty, `epoch` then is 0."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    path: str
    package_manager: str
    source_layer: str
    fixed_version: str
    remediation: str


class FindingDocument(TypedDict):
    """One vulnerability of one package.

    `score` is Sidelight's own (docs/score.md). `epss` is a probability from 0 to 1.
    `exploited_since` is a date, empty if no exploitation is known.
    """

    type: FindingType
    vulnerability: str
    severity: Severity
    severity_source: str
    headline: str
    title: str
    cvss_score: float | None
    cvss_vector: str
    cvss_vectors: list[CvssDocument]
    score: float | None
    score_vector: str
    epss: float | None
    epss_percentile: float | None
    exploited_since: str
    exploit_available: YesNo
    fix_available: FixAvailable
    fixed_version: str
    remediation: str
    state: str
    stream: str
    advisories: list[str]
    references: list[str]
    package: PackageDocument
    affected_packages: list[AffectedPackageDocument]


class NotCoveredDocument(TypedDict):
    """Packages that no feed of the advisory database covers, by purl type."""

    type: str
    packages: int
    why: str


class SuppressionDocument(TypedDict):
    """Why a finding is suppressed: `justification` is one of OpenVEX's, or empty."""

    status: VexStatus
    justification: str
    statement: str
    source: str


class SuppressedFindingDocument(FindingDocument):
    """A finding that a VEX statement or the ignore file suppresses."""

    suppression: SuppressionDocument


class ScanDocument(MachineDocument):
    """The findings of one machine (`sidelight scan --format json`); `packages` is their number.

    `suppressed` are findings that VEX documents or the ignore file suppress.
    """

    packages: int
    findings: list[FindingDocument]
    suppressed: list[SuppressedFindingDocument]
    not_covered: list[NotCoveredDocument]


class ReadStatsDocument(TypedDict):
    """The cost of reading a machine (`--stats FILE`). `usd`: of the EBS direct APIs."""

    get_calls: int
    list_calls: int
    distinct_blocks: int
    bytes: int
    seconds: float
    cpu_seconds: float
    usd: float
