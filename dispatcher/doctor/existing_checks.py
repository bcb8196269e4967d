"""Check whether existing snapshots can be read, by a real one: nothing else decides it.

A policy may allow the reads of snapshots by account or tags, and denies a snapshot that does not
exist.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.sources.existing_snapshots import SnapshotRules, choose, started_patterns
from sidelight.errors import SidelightError
from sidelight.model import ScanSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.aws.ec2 import Ec2
    from sidelight.aws.permission_checks import PermissionAnswer, PermissionChecks
    from sidelight.fleet.settings import Settings
    from sidelight.model import Instance

NAME: Final = "existing snapshots"
EXAMINED: Final = 200  # instances whose snapshots are listed: one or two calls


def existing_snapshot(
    ec2: Ec2, settings: Settings, instances: Sequence[Instance], exclusion_tag: str
) -> str:
    """Return the id of an existing snapshot that a scan would read; empty if there is none.

    Raises SidelightError where they cannot be listed.
    """
    now = datetime.now(UTC)
    sources = settings.sources
    rules = SnapshotRules(
        timedelta(hours=sources.existing_hours),
        timedelta(seconds=sources.existing_apart_seconds),
        exclusion_tag,
    )
    examined = [one for one in instances if exclusion_tag not in dict(one.tags)][:EXAMINED]
    volumes = sorted({volume.id for one in examined for volume in one.volumes})
    listed = ec2.completed_snapshots(volumes, started_patterns(now, rules.youngest))
    for one in examined:
        found = choose(one, listed, rules, None, now)
        if isinstance(found, ScanSource):
            return found.snapshots[0].id
    return ""


def tried(
    ec2: Ec2, settings: Settings, instances: Sequence[Instance], tag: str, checks: PermissionChecks
) -> PermissionAnswer | str:
    """Return whether an existing snapshot can be read, or why that is not known."""
    try:
        snapshot = existing_snapshot(ec2, settings, instances, tag)
    except SidelightError as error:
        return str(error)
    if not snapshot:
        return "no existing snapshots of an instance fit: scans create their own"
    return checks.existing(snapshot)
