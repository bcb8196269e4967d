"""The entries that are compared, and what differs between those that both sides report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sidelight.inspector_comparison.causes import Cause, ReportedBy, StatedCause
from sidelight.inspector_comparison.pairing import Pass
from sidelight.inspector_comparison.reported import (
    UNNAMED,
    ReportedFinding,
    ReportedPackage,
    plain_fixed,
    version_text,
)
from sidelight.model import Finding, FindingStatus, FindingType, NetworkFinding
from sidelight.versions import evr

if TYPE_CHECKING:
    from sidelight.inspector_comparison.reported import ReportedPort
    from sidelight.model import FindingRow, InstanceRef

CLOSED = FindingStatus.CLOSED.value
SUPPRESSED = FindingStatus.SUPPRESSED.value


def _utf8(text: str) -> str:
    """Return a text as JSON over HTTP has it: what is not UTF-8 on a disk is a `?`."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class SidelightPackage:
    """A package finding of Sidelight's, in the terms by which it is paired."""

    row: FindingRow
    finding: Finding

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The vulnerability's id, then those of its advisories."""
        return tuple(dict.fromkeys((self.finding.vulnerability, *self.finding.advisories)))

    @cached_property
    def version(self) -> str:
        """The version in Inspector's terms: `[epoch:]version[-release]`."""
        package = self.finding.package
        return _utf8(version_text(*evr.split(package.type, package.version))) or UNNAMED

    @property
    def name(self) -> str:
        """The package's name, as the API has it."""
        return _utf8(self.finding.package.name) or UNNAMED

    @property
    def path(self) -> str:
        """The file that names the package."""
        return _utf8(self.finding.package.path)


@dataclass(frozen=True)
class InspectorPackage:
    """One vulnerable package of a finding of Inspector's."""

    finding: ReportedFinding
    package: ReportedPackage

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The vulnerability's id, then the related ones."""
        return tuple(dict.fromkeys((self.finding.vulnerability, *self.finding.related)))

    @property
    def name(self) -> str:
        """The package's name."""
        return _utf8(self.package.name) or UNNAMED

    @property
    def version(self) -> str:
        """The version."""
        return _utf8(self.package.version) or UNNAMED

    @property
    def path(self) -> str:
        """The file that names the package, empty for a package of the operating system."""
        return _utf8(self.package.path)


@dataclass(frozen=True, slots=True)
class ComparedFinding:
    """A vulnerability of a package, or open ports, of an instance, on one side or on both.

    The first of `causes` counts in the totals. `package` is the one of Inspector's finding that is
    compared, None for a network finding.
    """

    verdict: ReportedBy
    place: InstanceRef
    finding_type: FindingType
    causes: tuple[StatedCause, ...]
    row: FindingRow | None = None
    reported: ReportedFinding | None = None
    package: ReportedPackage | None = None

    @property
    def cause(self) -> Cause:
        """The cause that counts in the totals."""
        return self.causes[0].cause


PACKAGE_PASSES: tuple[Pass[SidelightPackage, InspectorPackage], ...] = (
    Pass(
        lambda own: [(own.ids[0], own.name, own.version, own.path)],
        lambda other: [(other.ids[0], other.name, other.version, other.path)],
    ),
    Pass(
        lambda own: [(own.ids[0], own.name, own.version)],
        lambda other: [(other.ids[0], other.name, other.version)],
    ),
    Pass(
        lambda own: [(own.ids[0], own.name.lower())],
        lambda other: [(other.ids[0], other.name.lower())],
    ),
    Pass(
        lambda own: [(name, own.name.lower(), own.version) for name in own.ids],
        lambda other: [(name, other.name.lower(), other.version) for name in other.ids],
    ),
    Pass(
        lambda own: [(name, own.name.lower()) for name in own.ids],
        lambda other: [(name, other.name.lower()) for name in other.ids],
    ),
    Pass(
        lambda own: [(name, own.finding.package.source_name) for name in own.ids],
        lambda other: [(name, other.name) for name in other.ids],
    ),
)


@dataclass(frozen=True)
class SidelightPort:
    """A network finding of Sidelight's."""

    row: FindingRow
    finding: NetworkFinding


PORT_PASSES: tuple[Pass[SidelightPort, ReportedFinding], ...] = (
    Pass(
        lambda own: [(*_ports(own), own.finding.interface, own.finding.edge_id)],
        lambda other: [
            (port.protocol, port.begin, port.end, port.interface, port.edge)
            for port in _reported_ports(other)
        ],
    ),
    Pass(
        lambda own: [(*_ports(own), own.finding.interface)],
        lambda other: [
            (port.protocol, port.begin, port.end, port.interface) for port in _reported_ports(other)
        ],
    ),
    Pass(
        lambda own: [(*_ports(own), own.finding.edge_id)],
        lambda other: [
            (port.protocol, port.begin, port.end, port.edge) for port in _reported_ports(other)
        ],
    ),
    Pass(
        lambda own: [_ports(own)],
        lambda other: [(port.protocol, port.begin, port.end) for port in _reported_ports(other)],
    ),
)


def _reported_ports(other: ReportedFinding) -> list[ReportedPort]:
    return [other.port] if other.port else []


def _ports(own: SidelightPort) -> tuple[str, int, int]:
    return own.finding.protocol, own.finding.port_begin, own.finding.port_end


def status_causes(row: FindingRow, reported: ReportedFinding) -> list[StatedCause]:
    """Return that one side alone suppresses an open finding."""
    own = row.status is FindingStatus.SUPPRESSED
    other = reported.status == SUPPRESSED
    if own == other:
        return []
    cause = Cause.SUPPRESSED_BY_SIDELIGHT if own else Cause.SUPPRESSED_BY_INSPECTOR
    return [StatedCause(cause, f"Sidelight {row.status.value}, Inspector {reported.status}")]


def package_differences(
    own: SidelightPackage, other: InspectorPackage, scans: str
) -> tuple[StatedCause, ...]:
    """Return what differs between two package findings; SAME alone if nothing does.

    `scans` says when each side scanned the instance.
    """
    finding, package = own.finding, other.package
    causes = status_causes(own.row, other.finding)
    if own.version != other.version:
        evidence = f"Sidelight {own.version}, Inspector {other.version}; {scans}"
        causes.append(StatedCause(Cause.VERSION_DIFFERS, evidence))
    if own.ids[0] != other.ids[0]:
        evidence = f"Sidelight {own.ids[0]}, Inspector {other.ids[0]}"
        causes.append(StatedCause(Cause.OTHER_ID, evidence))
    if own.name.lower() != other.name.lower():
        evidence = f"Sidelight {own.name}, Inspector its source package {other.name}"
        causes.append(StatedCause(Cause.OTHER_NAME, evidence))
    causes += _severity_causes(finding, other.finding)
    fixed = version_text(*evr.split(finding.package.type, finding.fixed_version))
    reported = _utf8(plain_fixed(package.fixed))
    if reported not in (_utf8(fixed), _utf8(plain_fixed(finding.fixed_version))):
        evidence = f"Sidelight {fixed or 'no fix'}, Inspector {reported or 'no fix'}"
        causes.append(StatedCause(Cause.FIXED_VERSION_DIFFERS, evidence))
    return tuple(causes) or (StatedCause(Cause.SAME),)


def _severity_causes(finding: Finding, reported: ReportedFinding) -> list[StatedCause]:
    if finding.severity.value == reported.severity:
        return []
    own = _by(finding.severity.value, finding.severity_source, finding.cvss_score)
    vendor = f", vendor: {reported.vendor_severity}" if reported.vendor_severity else ""
    other = _by(reported.severity, reported.severity_source or reported.source, None) + vendor
    return [StatedCause(Cause.SEVERITY_DIFFERS, f"Sidelight {own}; Inspector {other}")]


def _by(severity: str, source: str, score: float | None) -> str:
    """`HIGH by NVD (7.5)`."""
    by = f" by {source}" if source else ""
    return f"{severity}{by}" + (f" ({score})" if score is not None else "")


def port_differences(own: SidelightPort, reported: ReportedFinding) -> tuple[StatedCause, ...]:
    """Return what differs between two network findings; SAME alone if nothing does."""
    finding, port = own.finding, reported.port
    causes = status_causes(own.row, reported)
    if port is not None:
        if (finding.port_begin, finding.port_end) != (port.begin, port.end):
            evidence = f"Sidelight {finding.protocol} {finding.ports}, Inspector {port.text}"
            causes.append(StatedCause(Cause.PORT_RANGE_DIFFERS, evidence))
        # A path that names no interface or edge proves no difference.
        if port.interface and finding.interface != port.interface:
            evidence = f"Sidelight {finding.interface}, Inspector {port.interface}"
            causes.append(StatedCause(Cause.INTERFACE_DIFFERS, evidence))
        if port.edge and finding.edge_id != port.edge:
            evidence = f"Sidelight {finding.edge_id}, Inspector {port.edge}"
            causes.append(StatedCause(Cause.EDGE_DIFFERS, evidence))
    if finding.severity.value != reported.severity:
        evidence = f"Sidelight {finding.severity.value}, Inspector {reported.severity}"
        causes.append(StatedCause(Cause.SEVERITY_DIFFERS, evidence))
    return tuple(causes) or (StatedCause(Cause.SAME),)
