"""AWS's eventual consistency: distinguish refusals that end within a minute from lasting ones.

EBS direct learns of a snapshot, its tags, a share and a key's grant later than EC2 and KMS do, and
each of its hosts at its own time. Until then it answers 404 or 403. EC2 itself may not list a
snapshot that was created a moment ago. Such an answer does not count as an attempt: the scan
retries for minutes without holding a worker. EC2's own description decides, never the text of the
refusal. Sources: EC2's manual, "Eventual consistency in the EC2 API"; awslabs/coldsnap, issues 43
and 141; KMS's manual on grants.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sidelight.aws.ebs_faults import is_late, patience, retry_delay
from sidelight.aws.ec2 import GONE, INSTANCE_DOUBTS
from sidelight.errors import CloudError, SidelightError
from sidelight.fleet.stages.final_errors import NO_EBS_VOLUME, GiveUpError, check_states
from sidelight.model import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.fleet.context import Context
    from sidelight.model import Scan, Snapshot

log = logging.getLogger(__name__)

# Seconds after creation in which EC2's "not found" may mean "not yet"; less if the setting is less.
YOUNG = 300.0
INSTANCE_SECONDS = 120.0  # seconds for which an instance that EC2 does not list is asked for again
# EC2's error codes for a snapshot that mean "not yet" as well as "deleted".
SNAPSHOT_DOUBTS = frozenset({GONE, "IncorrectState"})


@dataclass(frozen=True, slots=True)
class Wait:
    """Retry in `delay` seconds: AWS may answer differently by then."""

    delay: float
    why: str


def judge(context: Context, scan: Scan, error: Exception) -> Wait | Exception:
    """Return Wait if a stage's error may pass, else the same error or a GiveUpError."""
    try:
        if _doubts_instance(scan, error):
            return _instance(context, scan, error)
        if _doubts_snapshots(scan, error):
            return _snapshots(context, scan, error)
    except GiveUpError as final:
        return final
    except SidelightError as unknown:
        # EC2 cannot be asked now: nothing is known, so nothing is final yet.
        log.warning("scan %s: %s", scan.id, unknown)
        if waited(context, scan) < context.settings.snapshots.late_seconds:
            return _wait(context, scan, error, context.settings.snapshots.late_seconds)
    return error


def waited(context: Context, scan: Scan) -> float:
    """Return seconds since the first late answer in the scan's current state; 0 without one."""
    if scan.late_since is None:
        return 0.0
    return (context.store.clock() - scan.late_since).total_seconds()


def is_young(context: Context, snapshot: Snapshot) -> bool:
    """Whether the snapshot is so new that EC2 may not list it yet."""
    return _age(context, snapshot) < _young_seconds(context)


def _young_seconds(context: Context) -> float:
    return min(YOUNG, context.settings.snapshots.late_seconds)


def _age(context: Context, snapshot: Snapshot) -> float:
    return (context.store.clock() - snapshot.created_at).total_seconds()


def _doubts_instance(scan: Scan, error: Exception) -> bool:
    if scan.state is not State.SNAPSHOTTING or not isinstance(error, CloudError):
        return False
    return error.code in INSTANCE_DOUBTS


def _doubts_snapshots(scan: Scan, error: Exception) -> bool:
    if scan.state is not State.READING:
        return False
    return is_late(error) or (isinstance(error, CloudError) and error.code in SNAPSHOT_DOUBTS)


def _instance(context: Context, scan: Scan, error: Exception) -> Wait | Exception:
    """Decide by EC2's description of an instance whose CreateSnapshots was refused."""
    status = context.ec2(scan.account, scan.region).instance_status(scan.instance)
    if status is not None and status.ended:
        return GiveUpError(f"is {status.state}: {error}", code="RESOURCE_TERMINATED")
    # An instance that is being launched has no volumes yet.
    if status is not None and not status.volumes and status.state != "pending":
        return GiveUpError(f"has no EBS volume: {error}", code=NO_EBS_VOLUME)
    limit = min(INSTANCE_SECONDS, context.settings.snapshots.late_seconds)
    if waited(context, scan) < limit:
        return _wait(context, scan, error, limit)
    if status is None:
        return GiveUpError(f"EC2 lists it no more: {error}", code="RESOURCE_TERMINATED")
    return error


def _snapshots(context: Context, scan: Scan, error: Exception) -> Wait | Exception:
    """Decide by EC2's listing of snapshots that cannot be read. Raises GiveUpError, CloudError."""
    known = context.store.scans.snapshots(scan.id)
    ec2 = context.ec2(scan.account, scan.region)
    infos = ec2.snapshots_by_id([snapshot.id for snapshot in known]) if known else []
    check_states(infos)
    missing = _missing(known, infos)
    if missing or not known:
        if missing and all(is_young(context, snapshot) for snapshot in missing):
            age = min(_age(context, snapshot) for snapshot in missing)
            return _wait(
                context, scan, error, waited(context, scan) + _young_seconds(context) - age
            )
        named = ", ".join(snapshot.id for snapshot in missing)
        return GiveUpError(f"EC2 lists it no more: {error}", where=named)
    limit = patience(error, context.settings.snapshots.late_seconds)
    if any(info.state == "pending" for info in infos):
        limit = context.settings.snapshots.pending_seconds
    return _wait(context, scan, error, limit) if waited(context, scan) < limit else error


def _missing(known: Sequence[Snapshot], infos: Sequence[SnapshotInfo]) -> list[Snapshot]:
    listed = {info.id for info in infos}
    return [snapshot for snapshot in known if snapshot.id not in listed]


def _wait(context: Context, scan: Scan, error: Exception, limit: float) -> Wait:
    """Return a delay of half the time waited so far, within bounds; `limit` seconds in all."""
    passed = waited(context, scan)
    until = context.store.clock() + timedelta(seconds=limit - passed)
    why = f"AWS may not know it everywhere yet, asking until {until:%H:%M:%S} UTC"
    return Wait(retry_delay(passed), f"{why}: {error}")
