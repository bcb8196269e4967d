"""The quota of our pending snapshots in an account-region.

AWS allows 100 pending snapshots (Service Quotas, L-94D7AB7D) for all tools together: the account's
backups share them. So by default we use half of what others leave free, as DescribeSnapshots
counts it every few seconds. A number in the settings is the operator's own decision, and is obeyed.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.fleet.snapshot_ownership import is_of_deployment

if TYPE_CHECKING:
    from sidelight.fleet.context import Context
    from sidelight.model import Scan

log = logging.getLogger(__name__)

AWS_LIMIT = 100  # used where the account's own quota is not known
SHARE = 2  # we use 1/SHARE of what others leave free
COUNT_EVERY = 15.0  # seconds between two counts of pending snapshots


def pending_cap(context: Context, scan: Scan) -> int | None:
    """Return the most snapshots of ours that may be pending at once; None means no limit.

    Raises StoreError. While AWS does not answer, the last count is used.
    """
    configured = context.settings.snapshots.pending
    if configured is not None:
        return configured or None
    limits, where = context.store.account_limits, (scan.account, scan.region)
    known = limits.of(*where)
    old = context.store.clock() - timedelta(seconds=COUNT_EVERY)
    # Each waiting scan calls this: for most of them it costs only this one read of the store.
    if (known.others_at is None or known.others_at <= old) and limits.claim_count(
        *where, COUNT_EVERY
    ):
        _count_others(context, scan)
        known = limits.of(*where)
    quota = AWS_LIMIT if known.pending_quota is None else int(known.pending_quota)
    return share(quota, known.others or 0)


def share(quota: int, others: int) -> int:
    """Return our part of the quota that others leave free.

    A single free snapshot may be used: a fleet must progress even if a tool uses all the others.
    """
    free = max(0, quota - others)
    return max(1, free // SHARE) if free else 0


def _count_others(context: Context, scan: Scan) -> None:
    """Count the snapshots that are pending and not ours. Raises StoreError."""
    ec2 = context.ec2(scan.account, scan.region)
    try:
        pending = ec2.pending_snapshots()
    except SidelightError as error:
        # This stops no scan: CreateSnapshots is refused where too many are pending.
        log.info("pending snapshots of %s/%s: %s", scan.account, scan.region, error)
        return
    others = sum(not is_of_deployment(info, context.deployment) for info in pending)
    context.store.account_limits.note_others(scan.account, scan.region, others)
