"""End a scan, and write the coverage of its instance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.completeness import COMPLETE_SCAN, assess
from sidelight.fleet.disk_reading import reader_of
from sidelight.model import Coverage, DiskReading, FindingType, SourceKind, State, Status
from sidelight.model.coverage_reasons import CLOSING, TERMINATED

if TYPE_CHECKING:
    from sidelight.completeness import Assessment
    from sidelight.fleet.context import Context
    from sidelight.model import Inventory, Scan, ScanSource, Transition


def end(
    context: Context, scan: Scan, to: State, failure: str = "", code: str = "INTERNAL_ERROR"
) -> Transition:
    """Move the scan from DELETING to `to` and write its coverage. Raises LeaseLostError.

    `failure` is of the deletion, with its coverage reason in `code`: what remains is reported in
    addition to the scan's own failure.
    """
    instance = context.store.instances.instance(scan.account, scan.instance)
    covered = Coverage(
        account=scan.account,
        region=scan.region,
        instance=scan.instance,
        name=instance.name if instance else "",
        status_code="ACTIVE",
        reason=COMPLETE_SCAN,
        scanned_at=context.store.clock(),
    )
    reason = "; ".join(filter(None, (scan.failure, failure)))
    source = context.store.scan_sources.of([scan.id]).get(scan.id) if scan.source else None
    reading = None
    if to is State.FAILED:
        # The code of the first error: that of the deletion, if all else was done.
        covered = replace(
            covered,
            status_code="INACTIVE",
            reason=scan.failure_code or code,
            detail=reason,
            scanned_at=None,
        )
    else:
        inventory = context.store.findings.inventory(scan.account, scan.instance)
        assessment = _assessment(context, inventory)
        covered = replace(covered, reason=assessment.reason, detail=assessment.detail)
        reading = _reading(context, scan, source, is_whole=inventory.status is Status.COMPLETE)
        if source is not None:
            covered = replace(
                covered, scanned_at=source.data_at, data_at=source.data_at, data_source=source.kind
            )
    ended = context.store.instances.not_scanned(scan.account, scan.instance)
    if ended in CLOSING:
        # Terminated or excluded while it was read: `finish` leaves why in coverage.
        only = None if ended == TERMINATED else FindingType.PACKAGE_VULNERABILITY
        context.store.findings.close_instances(scan.account, [scan.instance], only)
    transition = context.store.instances.finish(scan, to, covered, reading)
    if reason:
        context.store.scans.note(scan.id, str(to), reason)
    return transition


def _reading(
    context: Context, scan: Scan, source: ScanSource | None, *, is_whole: bool
) -> DiskReading | None:
    """Return the record of what was read, for the choice of the next scan's source.

    None where nothing was, and nothing is known of the last read.
    """
    if source is not None and source.kind is SourceKind.UNCHANGED:
        known = context.store.instances.disk_readings(scan.account, [scan.instance])
        last = known.get(scan.instance)
        return None if last is None else replace(last, data_at=source.data_at)
    volumes = (
        {snapshot.volume for snapshot in source.snapshots}
        if source is not None
        else {snapshot.volume for snapshot in context.store.scans.snapshots(scan.id)}
    )
    return DiskReading(
        scan.account,
        scan.instance,
        frozenset(volumes),
        read_at=context.store.clock(),
        # Its own snapshots are younger than the scan: by EC2's clock, which may differ from ours.
        data_at=source.data_at if source is not None else scan.created_at,
        reader=reader_of(context.settings) if is_whole else "",
    )


def _assessment(context: Context, inventory: Inventory) -> Assessment:
    """Return the gaps of a completed scan: they must not look like a clean result."""
    return assess(
        inventory, context.unmatched(inventory) if context.settings.findings.has_advisories else ()
    )
