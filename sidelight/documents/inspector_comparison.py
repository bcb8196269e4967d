"""The document of `sidelight inspector compare`."""

from typing import Annotated, TypedDict

from sidelight.documents.machine import ProblemDocument
from sidelight.documents.markers import OneOf, Timestamp
from sidelight.model import FindingStatus, FindingType, Severity

# As sidelight.inspector_comparison's Verdict and Cause, which are above this folder.
VerdictOfSides = Annotated[str, OneOf(("BOTH", "ONLY_SIDELIGHT", "ONLY_INSPECTOR", "NEITHER"))]
CauseName = Annotated[
    str,
    OneOf(
        (
            "SAME", "SUPPRESSED_BY_INSPECTOR", "SUPPRESSED_BY_SIDELIGHT", "VERSION_DIFFERS",
            "OTHER_ID", "OTHER_NAME", "SEVERITY_DIFFERS", "FIXED_VERSION_DIFFERS",
            "PORT_RANGE_DIFFERS", "INTERFACE_DIFFERS", "EDGE_DIFFERS", "NOT_COVERED_BY_INSPECTOR",
            "NOT_COVERED_BY_SIDELIGHT", "CLOSED_BY_INSPECTOR", "CLOSED_BY_SIDELIGHT", "LVM",
            "OTHER_ROOT", "NO_FIX", "TYPE_NOT_COLLECTED", "OUTSIDE_DEEP_INSPECTION",
            "DEEP_INSPECTION_INCOMPLETE", "NOT_IN_SSM_INVENTORY", "OTHER_COPY", "NO_CVE",
            "EDGE_NOT_EVALUATED", "PACKAGE_NOT_INSTALLED", "PARTIAL_INVENTORY", "NOT_BELOW_FIXED",
            "NEWER_IN_SIDELIGHT", "NEWER_IN_INSPECTOR", "UNEXPLAINED",
        )
    ),
]  # fmt: skip


class CauseTotalDocument(TypedDict):
    """The number of findings with a verdict, by their first cause."""

    verdict: VerdictOfSides
    cause: CauseName
    count: int


class StatedCauseDocument(TypedDict):
    """A cause, and the evidence for it as a text."""

    cause: CauseName
    evidence: str


class SidelightEvidenceDocument(TypedDict):
    """Sidelight's finding. Of a network finding `package`, `version` and the like are empty."""

    arn: str
    status: FindingStatus
    severity: Severity
    severity_source: str
    vulnerability: str
    advisories: list[str]
    package: str
    version: str
    fixed_version: str
    path: str
    ports: str
    interface: str
    edge: str
    first_observed: Timestamp
    last_observed: Timestamp


class InspectorEvidenceDocument(TypedDict):
    """Inspector's finding, and its package that is compared."""

    arn: str
    status: str
    severity: str
    severity_source: str
    vendor_severity: str
    source: str
    vulnerability: str
    related: list[str]
    package: str
    version: str
    fixed_version: str
    path: str
    ports: str
    interface: str
    edge: str
    first_observed: Timestamp | None
    last_observed: Timestamp | None


class ComparedFindingDocument(TypedDict):
    """An open finding of one side or of both. The first cause counts in the totals."""

    verdict: VerdictOfSides
    account: str
    region: str
    instance: str
    type: FindingType
    causes: list[StatedCauseDocument]
    sidelight: SidelightEvidenceDocument | None
    inspector: InspectorEvidenceDocument | None


class CoverageOfSideDocument(TypedDict):
    """One side's coverage of an instance."""

    status_code: str
    reason: str
    scan_mode: str
    scanned_at: Timestamp | None


class ComparedCoverageDocument(TypedDict):
    """Whether each side scans an instance; null where its coverage has no entry."""

    verdict: VerdictOfSides
    account: str
    region: str
    instance: str
    scan_type: str
    causes: list[StatedCauseDocument]
    sidelight: CoverageOfSideDocument | None
    inspector: CoverageOfSideDocument | None


class ComparedRegionDocument(TypedDict):
    """An account and Region that is compared; whether Inspector's coverage was read there."""

    account: str
    region: str
    coverage_read: bool


class InspectorComparisonDocument(TypedDict):
    """Inspector's findings and coverage compared with Sidelight's (docs/inspector.md).

    `skipped` counts Inspector's items of other resources and types, `unreadable` those that could
    not be read.
    """

    compared: list[ComparedRegionDocument]
    totals: list[CauseTotalDocument]
    findings: list[ComparedFindingDocument]
    coverage: list[ComparedCoverageDocument]
    skipped: dict[str, int]
    unreadable: int
    problems: list[ProblemDocument]
