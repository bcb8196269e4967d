"""The end of a scan, with what it means for its instance's coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.model import Status
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
    else:
        covered = replace(covered, detail=_shortfall(context, scan))
    if context.store.fleet.is_gone(scan.account, scan.instance):
        # Terminated while it was read: nothing of it is open, and `finish` says why.
        context.store.findings.close_instances(scan.account, [scan.instance])
    context.store.fleet.finish(scan, to, covered)
    if reason:
        context.store.scans.note(scan.id, str(to), reason)


def _shortfall(context: Context, scan: Scan) -> str:
    """What a scan that was done could not tell: silence must not look like health."""
    inventory = context.store.findings.inventory(scan.account, scan.instance)
    said = list(context.unmatched(inventory)) if context.settings.advisories else []
    if inventory.status is not Status.COMPLETE:
        first = inventory.problems[0] if inventory.problems else None
        told = f", the first: {first.where}: {first.what}" if first else ""
        said.insert(0, f"{inventory.status.value}: {len(inventory.problems)} problems{told}")
    return "; ".join(said)
