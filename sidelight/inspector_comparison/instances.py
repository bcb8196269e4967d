"""What both sides know of one instance: coverage, times, and Sidelight's inventory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sidelight.inspector_comparison.causes import Cause, ReportedBy, StatedCause
from sidelight.inspector_comparison.reported import NETWORK

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sidelight.inspector_comparison.reported import ReportedCoverage
    from sidelight.model import Coverage, InstanceRef, Inventory

ACTIVE: Final = "ACTIVE"
SSM, AGENTLESS = "EC2_SSM_AGENT_BASED", "EC2_AGENTLESS"
AGENT_MODES: Final = frozenset({SSM, "EC2_INSPECTOR_AGENT_BASED", "VM_INSPECTOR_AGENT_BASED"})
# Reasons of an ACTIVE instance without any result yet.
WAITING: Final = frozenset({"PENDING_INITIAL_SCAN", "PENDING_REVIVAL_SCAN"})
# Inspector's, where it can read no package of a disk.
UNREAD: Final = frozenset({"UNSUPPORTED_OS", "NO_INVENTORY"})
_SLICES: Final = ("snap-", "vol-")  # how the name of a disk with partitions begins


@dataclass(frozen=True, slots=True)
class ComparedCoverage:
    """Whether each side scans an instance; `causes` says why one or both do not."""

    verdict: ReportedBy
    place: InstanceRef
    scan_type: str
    sidelight: Coverage | None
    inspector: ReportedCoverage | None
    causes: tuple[StatedCause, ...]


@dataclass(frozen=True, slots=True)
class InstanceSides:
    """One instance. `coverage_read` is False if Inspector's coverage was not read at all.

    `inventory` is Sidelight's newest, None if there is none. `ssm_names` are the names of
    AWS:Application in its SSM inventory, None if that was not read. `inspector_seen` is the newest
    time in Inspector's findings of the instance, `custom_paths` are the account's own paths of
    deep inspection.
    """

    place: InstanceRef
    sidelight: Mapping[str, Coverage] = field(default_factory=dict)  # by scan type
    inspector: Mapping[str, ReportedCoverage] = field(default_factory=dict)
    coverage_read: bool = True
    inventory: Inventory | None = None
    ssm_names: Collection[str] | None = None
    inspector_seen: datetime | None = None
    advisories_newest: datetime | None = None
    custom_paths: tuple[str, ...] = ()

    def scan_mode(self) -> str:
        """Return Inspector's scan mode of packages; empty if unknown."""
        covered = self.inspector.get("PACKAGE")
        return covered.scan_mode if covered else ""

    def inspector_scanned(self, scan_type: str) -> datetime | None:
        """Return the time of Inspector's last scan, as far as its answers show it."""
        covered = self.inspector.get(scan_type)
        return (covered.scanned_at if covered else None) or self.inspector_seen

    def sidelight_scanned(self, scan_type: str) -> datetime | None:
        """Return the time of Sidelight's last scan; None if there was none."""
        covered = self.sidelight.get(scan_type)
        return covered.scanned_at if covered else None

    def not_covered_by_inspector(self, scan_type: str) -> StatedCause | None:
        """Return why Inspector does not scan the instance; None if it does, or is unknown."""
        covered = self.inspector.get(scan_type)
        cause = Cause.NOT_COVERED_BY_INSPECTOR
        if covered is None:
            if not self.coverage_read:
                return None
            return StatedCause(cause, f"Inspector's coverage has no {scan_type} entry of it")
        waits = covered.reason in WAITING and covered.scanned_at is None
        if covered.status_code == ACTIVE and not waits:
            return None
        mode = f", {covered.scan_mode}" if covered.scan_mode else ""
        return StatedCause(cause, f"{covered.status_code} {covered.reason}{mode}")

    def not_covered_by_sidelight(self, scan_type: str) -> StatedCause | None:
        """Return why Sidelight does not scan the instance; None if it does."""
        covered = self.sidelight.get(scan_type)
        cause = Cause.NOT_COVERED_BY_SIDELIGHT
        if covered is None:
            return StatedCause(cause, f"Sidelight's coverage has no {scan_type} entry of it")
        waits = covered.reason in WAITING and covered.scanned_at is None
        if covered.status_code == ACTIVE and not waits:
            return None
        detail = f": {covered.detail[:300]}" if covered.detail else ""
        return StatedCause(cause, f"{covered.status_code} {covered.reason}{detail}")

    def logical_volume_of(self, path: str) -> str:
        """Return the logical volume, `group/name`, that has a path; empty if none has."""
        if self.inventory is None:
            return ""
        holding = [
            (len(item.mount), item.source)
            for item in self.inventory.filesystems
            if item.mount and _is_below(path, item.mount)
        ]
        source = max(holding)[1] if holding else ""
        return source if "/" in source and not source.startswith(_SLICES) else ""


def scan_type_of(finding_type: str) -> str:
    """Return the coverage's scan type of a type of findings."""
    return "NETWORK" if finding_type == NETWORK else "PACKAGE"


def _is_below(path: str, folder: str) -> bool:
    return folder in ("/", path) or path.startswith(f"{folder.rstrip('/')}/")


def compared_coverage(instances: Iterable[InstanceSides]) -> list[ComparedCoverage]:
    """Compare the coverage of each instance, by scan type; nothing if Inspector's was not read."""
    found = []
    for sides in instances:
        if not sides.coverage_read:
            continue
        for scan_type in sorted({*sides.sidelight, *sides.inspector}):
            own = sides.not_covered_by_sidelight(scan_type)
            reported = sides.not_covered_by_inspector(scan_type)
            verdict = _verdict(own is None, reported is None)
            causes = tuple(item for item in (reported, own) if item is not None)
            found.append(
                ComparedCoverage(
                    verdict, sides.place, scan_type, sides.sidelight.get(scan_type),
                    sides.inspector.get(scan_type), causes or (StatedCause(Cause.SAME),),
                )
            )  # fmt: skip
    return found


def _verdict(sidelight: bool, inspector: bool) -> ReportedBy:
    if sidelight and inspector:
        return ReportedBy.BOTH
    if sidelight or inspector:
        return ReportedBy.ONLY_SIDELIGHT if sidelight else ReportedBy.ONLY_INSPECTOR
    return ReportedBy.NEITHER
