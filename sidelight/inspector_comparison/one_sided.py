"""Why a finding is reported by one side alone: all causes that the records show, likeliest first.

Sources: Inspector's user guide (deep inspection's types and default paths, what agentless scans
skip, systems whose unfixed vulnerabilities are reported, edges of network reachability).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError
from sidelight.inspector_comparison.causes import Cause, StatedCause
from sidelight.inspector_comparison.differences import CLOSED
from sidelight.inspector_comparison.instances import (
    AGENT_MODES,
    AGENTLESS,
    SSM,
    UNREAD,
)
from sidelight.inspector_comparison.reported import version_text
from sidelight.model import FindingStatus, FixAvailable, Status
from sidelight.versions import evr, sort_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sidelight.inspector_comparison.differences import (
        InspectorPackage,
        SidelightPackage,
        SidelightPort,
    )
    from sidelight.inspector_comparison.instances import InstanceSides
    from sidelight.inspector_comparison.reported import ReportedFinding
    from sidelight.model import FindingRow, Package

OS_TYPES: Final = frozenset({"deb", "rpm", "apk", "alpm", "os"})
SSM_OS_TYPES: Final = frozenset({"deb", "rpm", "windows", "macos"})  # what the agent lists
PLUGIN_TYPES: Final = frozenset({"maven", "npm", "pypi"})  # what deep inspection over SSM collects
DEEP_PATHS: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")
# Systems whose unfixed vulnerabilities Inspector reports too; Ubuntu's in these states.
REPORTED_UNFIXED: Final = frozenset({"Debian", "Ubuntu"})
UBUNTU_STATES: Final = frozenset({"", "active", "pending", "needed", "released"})
EVALUATED_EDGES: Final = frozenset(
    {"INTERNET_GATEWAY", "VPC_PEERING", "VIRTUAL_GATEWAY", "DIRECT_CONNECT"}
)
CVE: Final = "CVE-"
MOST_NAMED: Final = 5  # other packages in one cause's evidence


def only_sidelight(
    sides: InstanceSides, own: SidelightPackage, closed: ReportedFinding | None, copies: list[str]
) -> tuple[StatedCause, ...]:
    """Return why Inspector does not report a package finding.

    `closed` is Inspector's closed finding of it, `copies` the packages and paths for which
    Inspector reports the same vulnerability on this instance.
    """
    package = own.finding.package
    uncovered = sides.not_covered_by_inspector("PACKAGE")
    causes = [
        _logical_volume(sides, package, uncovered),
        uncovered,
        None if uncovered else _closed_by_inspector(own.row, closed),
        _other_root(package),
        _no_fix(own),
        *_deep_inspection(sides, package),
        _ssm_inventory(sides, package),
        _copies("Inspector", copies),
        _no_cve(own.ids),
        _newer_in_sidelight(sides, "PACKAGE", own.row),
    ]
    return _stated(causes, f"{sides_text(sides, 'PACKAGE')}; advisories {', '.join(own.ids[:5])}")


def only_inspector(
    sides: InstanceSides, other: InspectorPackage, closed: FindingRow | None, copies: list[str]
) -> tuple[StatedCause, ...]:
    """Return why Sidelight does not report a package finding; the arguments as above."""
    reported = other.finding
    uncovered = sides.not_covered_by_sidelight("PACKAGE")
    causes = [
        uncovered,
        _closed_by_sidelight(closed),
        None if uncovered else _installed(sides, other),
        _copies("Sidelight", copies),
        _no_cve(other.ids),
        _newer_in_inspector(sides, "PACKAGE", reported),
    ]
    source = f"source {reported.source or 'not named'}, fixed in {other.package.fixed or 'none'}"
    return _stated(causes, f"{sides_text(sides, 'PACKAGE')}; {source}")


def port_only_sidelight(
    sides: InstanceSides, own: SidelightPort, closed: ReportedFinding | None
) -> tuple[StatedCause, ...]:
    """Return why Inspector does not report open ports."""
    kind = own.finding.edge_kind
    edge = None
    if kind not in EVALUATED_EDGES:
        edge = StatedCause(Cause.EDGE_NOT_EVALUATED, f"{kind} {own.finding.edge_id}")
    uncovered = sides.not_covered_by_inspector("NETWORK")
    causes = [
        uncovered,
        None if uncovered else _closed_by_inspector(own.row, closed),
        edge,
        _newer_in_sidelight(sides, "NETWORK", own.row),
    ]
    return _stated(causes, f"{sides_text(sides, 'NETWORK')}; edge {own.finding.edge_id}")


def port_only_inspector(
    sides: InstanceSides, reported: ReportedFinding, closed: FindingRow | None
) -> tuple[StatedCause, ...]:
    """Return why Sidelight does not report open ports."""
    causes = [
        sides.not_covered_by_sidelight("NETWORK"),
        _closed_by_sidelight(closed),
        _newer_in_inspector(sides, "NETWORK", reported),
    ]
    edge = reported.port.edge if reported.port else ""
    return _stated(causes, f"{sides_text(sides, 'NETWORK')}; edge {edge or 'not named'}")


def _stated(causes: Sequence[StatedCause | None], evidence: str) -> tuple[StatedCause, ...]:
    found = tuple(cause for cause in causes if cause is not None)
    return found or (StatedCause(Cause.UNEXPLAINED, evidence),)


def sides_text(sides: InstanceSides, scan_type: str) -> str:
    """Return when each side scanned the instance, as evidence."""
    own = _time(sides.sidelight_scanned(scan_type))
    other = _time(sides.inspector_scanned(scan_type))
    mode = f" ({sides.scan_mode()})" if scan_type == "PACKAGE" and sides.scan_mode() else ""
    return f"scanned by Sidelight {own}, by Inspector {other}{mode}"


def _time(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else "at an unknown time"


def _closed_by_inspector(row: FindingRow, closed: ReportedFinding | None) -> StatedCause | None:
    if closed is None:
        return None
    at = _time(closed.updated_at)
    evidence = f"closed {at}; Sidelight observed it {_time(row.last_observed)}"
    return StatedCause(Cause.CLOSED_BY_INSPECTOR, evidence)


def _closed_by_sidelight(closed: FindingRow | None) -> StatedCause | None:
    if closed is None or closed.status is not FindingStatus.CLOSED:
        return None
    return StatedCause(Cause.CLOSED_BY_SIDELIGHT, f"closed {_time(closed.closed_at)}")


def _logical_volume(
    sides: InstanceSides, package: Package, uncovered: StatedCause | None
) -> StatedCause | None:
    volume = sides.logical_volume_of(package.path)
    covered = sides.inspector.get("PACKAGE")
    agentless = covered is not None and covered.scan_mode in ("", AGENTLESS)
    if not volume or covered is None or not agentless:
        return None
    if uncovered is not None and covered.reason not in UNREAD:
        return None
    return StatedCause(Cause.LVM, f"{volume}; {covered.status_code} {covered.reason}")


def _other_root(package: Package) -> StatedCause | None:
    if not package.layer:
        return None
    return StatedCause(Cause.OTHER_ROOT, f"{package.layer}: {package.path}")


def _no_fix(own: SidelightPackage) -> StatedCause | None:
    finding = own.finding
    if finding.fix_available is not FixAvailable.NO or finding.package.type not in OS_TYPES:
        return None
    if finding.source in REPORTED_UNFIXED:
        if finding.source != "Ubuntu" or finding.state in UBUNTU_STATES:
            return None
        evidence = f"Ubuntu's state {finding.state} is not among Fixed, Active and Pending"
        return StatedCause(Cause.NO_FIX, evidence)
    return StatedCause(Cause.NO_FIX, f"{finding.ecosystem or finding.package.type}")


def _deep_inspection(sides: InstanceSides, package: Package) -> list[StatedCause]:
    if sides.scan_mode() not in AGENT_MODES or package.type in OS_TYPES or package.layer:
        return []
    causes = []
    covered = sides.inspector.get("PACKAGE")
    if sides.scan_mode() == SSM and package.type not in PLUGIN_TYPES:
        evidence = f"{package.type}; deep inspection over SSM collects {', '.join(_PLUGIN_NAMES)}"
        causes.append(StatedCause(Cause.TYPE_NOT_COLLECTED, evidence))
    elif sides.scan_mode() == SSM and not _is_inspected(package.path, sides.custom_paths):
        causes.append(StatedCause(Cause.OUTSIDE_DEEP_INSPECTION, package.path))
    if covered is not None and covered.reason.startswith("DEEP_INSPECTION_"):
        causes.append(StatedCause(Cause.DEEP_INSPECTION_INCOMPLETE, covered.reason))
    return causes


_PLUGIN_NAMES: Final = tuple(sorted(PLUGIN_TYPES))


def _is_inspected(path: str, custom: Sequence[str]) -> bool:
    return any(path.startswith(f"{folder.rstrip('/')}/") for folder in (*DEEP_PATHS, *custom))


def _ssm_inventory(sides: InstanceSides, package: Package) -> StatedCause | None:
    if sides.scan_mode() != SSM or package.type not in OS_TYPES or package.layer:
        return None
    if package.type not in SSM_OS_TYPES:
        evidence = f"Systems Manager's agent lists no {package.type} packages"
        return StatedCause(Cause.NOT_IN_SSM_INVENTORY, evidence)
    if sides.ssm_names is None or package.name in sides.ssm_names:
        return None
    evidence = f"AWS:Application has {len(sides.ssm_names)} names, not {package.name}"
    return StatedCause(Cause.NOT_IN_SSM_INVENTORY, evidence)


def _copies(side: str, copies: list[str]) -> StatedCause | None:
    if not copies:
        return None
    more = f" and {len(copies) - MOST_NAMED} more" if len(copies) > MOST_NAMED else ""
    return StatedCause(Cause.OTHER_COPY, f"{side}: {', '.join(copies[:MOST_NAMED])}{more}")


def _no_cve(ids: Sequence[str]) -> StatedCause | None:
    if any(name.startswith(CVE) for name in ids):
        return None
    return StatedCause(Cause.NO_CVE, ", ".join(ids[:MOST_NAMED]))


def _newer_in_sidelight(
    sides: InstanceSides, scan_type: str, row: FindingRow
) -> StatedCause | None:
    scanned = sides.inspector_scanned(scan_type)
    if scanned is None or row.first_observed <= scanned:
        return None
    evidence = f"first observed {_time(row.first_observed)}, Inspector's last scan {_time(scanned)}"
    return StatedCause(Cause.NEWER_IN_SIDELIGHT, evidence)


def _newer_in_inspector(
    sides: InstanceSides, scan_type: str, reported: ReportedFinding
) -> StatedCause | None:
    observed = reported.first_observed
    if observed is None:
        return None
    scanned, newest = sides.sidelight_scanned(scan_type), sides.advisories_newest
    if scanned is not None and observed > scanned:
        evidence = f"first observed {_time(observed)}, Sidelight's last scan {_time(scanned)}"
    elif scan_type == "PACKAGE" and newest is not None and observed > newest:
        evidence = f"first observed {_time(observed)}, Sidelight's newest advisory {_time(newest)}"
    else:
        return None
    return StatedCause(Cause.NEWER_IN_INSPECTOR, evidence)


def _installed(sides: InstanceSides, other: InspectorPackage) -> StatedCause | None:
    """Return what Sidelight's inventory says of a package that Inspector reports."""
    machine = sides.inventory
    if machine is None:
        return None
    name, wanted = other.name.lower(), other.package
    installed = [item for item in machine.packages if name in _names(item)]
    if not installed:
        if machine.status is not Status.COMPLETE:
            evidence = f"{machine.status.value}, {len(machine.problems)} problems"
            return StatedCause(Cause.PARTIAL_INVENTORY, evidence)
        evidence = f"{other.name} {wanted.version}; {sides_text(sides, 'PACKAGE')}"
        return StatedCause(Cause.PACKAGE_NOT_INSTALLED, evidence)
    versions = list(dict.fromkeys(_version(item) for item in installed))
    if wanted.version not in versions:
        evidence = (
            f"Sidelight {', '.join(versions[:MOST_NAMED])}, Inspector {wanted.version}; "
            f"{sides_text(sides, 'PACKAGE')}"
        )
        return StatedCause(Cause.VERSION_DIFFERS, evidence)
    if wanted.fixed and _not_below(installed[0].type, wanted.version, wanted.fixed):
        return StatedCause(
            Cause.NOT_BELOW_FIXED, f"installed {wanted.version}, fixed in {wanted.fixed}"
        )
    return None


def _names(package: Package) -> tuple[str, ...]:
    return package.name.lower(), package.source_name.lower()


def _version(package: Package) -> str:
    return version_text(*evr.split(package.type, package.version))


def _not_below(package_type: str, version: str, fixed: str) -> bool:
    try:
        return sort_key(package_type, version) >= sort_key(package_type, fixed)
    except FormatError:
        return False  # a version without an order proves nothing


def is_open(status: str) -> bool:
    """Return whether a finding of this status is open: ACTIVE or SUPPRESSED."""
    return status != CLOSED
