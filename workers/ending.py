"""The end of a scan, with what it means for its instance's coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.store import Coverage, State

if TYPE_CHECKING:
    from sidelight.store import Scan
    from workers.context import Context


def end(context: Context, scan: Scan, to: State, failure: str = "") -> None:
    """DELETING to `to`, and the instance's coverage with it. Raises LeaseLostError."""
    instance = context.store.fleet.instance(scan.account, scan.instance)
    covered = Coverage(
        account=scan.account,
        region=scan.region,
        instance=scan.instance,
        name=instance.name if instance else "",
        status_code="ACTIVE",
        reason="SUCCESSFUL",
        scanned_at=context.store.clock(),
    )
    reason = scan.failure or failure
    if to is State.FAILED:
        # With the code of what went wrong first; a scan whose findings are in but whose snapshots
        # are not deleted is a failure of ours.
        covered = replace(
            covered,
            status_code="INACTIVE",
            reason=scan.failure_code or "INTERNAL_ERROR",
            detail=reason,
            scanned_at=None,
        )
    context.store.fleet.finish(scan, to, covered)
    if reason:
        context.store.scans.note(scan.id, str(to), reason)
