"""Choose existing snapshots of an instance's volumes. PURE: listings and the time in, a choice out.

The owner's snapshots are used only as one set: a completed snapshot of each volume, all of one
moment. One call of CreateSnapshots or CreateImage gives its snapshots the same start time. A torn
set, of two moments, would show a machine that never was: a package's files from before an upgrade
and its database from after it. So it is refused, and the reason is stated.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sidelight.fleet.snapshot_ownership import DEPLOYMENT_TAG, SCAN_TAG
from sidelight.model import ExistingSnapshot, ScanSource, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.model import DiskReading, Instance, Volume

SIDELIGHTS: Final = "Sidelight scan "  # how the description of any deployment's snapshot begins
SAMPLES: Final = 3  # snapshots that a reason names
HOURS_IN_A_CALL: Final = 150  # of 200 values of a filter; longer times are filtered by days


@dataclass(frozen=True, slots=True)
class SnapshotRules:
    """Which snapshots may be used. `exclusion_tag` on a snapshot forbids its use."""

    youngest: timedelta
    apart: timedelta
    exclusion_tag: str


def started_patterns(now: datetime, youngest: timedelta) -> list[str]:
    """Return EC2's filter values of start times from `now - youngest` to an hour after `now`.

    EC2's clock may be ahead of ours. The values are of whole hours, or of whole days.
    """
    hours = int(youngest / timedelta(hours=1)) + 2
    if hours <= HOURS_IN_A_CALL:
        times = (now + timedelta(hours=1 - back) for back in range(hours + 1))
        return [f"{time:%Y-%m-%dT%H}*" for time in times]
    days = min(hours // 24 + 2, 199)
    return [f"{now + timedelta(days=1 - back):%Y-%m-%d}*" for back in range(days + 1)]


def choose(
    instance: Instance,
    listed: Iterable[SnapshotInfo],
    rules: SnapshotRules,
    last: DiskReading | None,
    now: datetime,
) -> ScanSource | str:
    """Return the newest set of the instance's snapshots that fits, or why none does.

    `listed` may hold any snapshots. `last`: what was read last; older data would undo it.
    """
    volumes = {volume.id: volume for volume in instance.volumes}
    if not volumes:
        return "the instance has no EBS volume"
    of_volume: dict[str, list[SnapshotInfo]] = defaultdict(list)
    faults: Counter[str] = Counter()
    samples: dict[str, list[str]] = defaultdict(list)
    for info in sorted(listed, key=lambda info: info.id):
        if info.volume not in volumes:
            continue
        why = _why_not(info, volumes[info.volume], instance.account, rules, last, now)
        if why:
            faults[why] += 1
            samples[why].append(info.id)
        else:
            of_volume[info.volume].append(info)
    chosen = _newest_set(list(volumes), of_volume, rules.apart)
    if isinstance(chosen, str):
        return "; ".join([chosen, *_explained(faults, samples)])
    return ScanSource(
        SourceKind.EXISTING,
        min(one.started_at for one in chosen),
        tuple(chosen),
    )


def _why_not(  # noqa: PLR0913, PLR0917 - values in
    info: SnapshotInfo,
    volume: Volume,
    account: str,
    rules: SnapshotRules,
    last: DiskReading | None,
    now: datetime,
) -> str:
    """Return why a snapshot is not used; empty if it may be."""
    tags = {key for key, _ in info.tags}
    reasons = {
        "another account's": info.owner != account,
        f"in state {info.state}": info.state != "completed",
        # A scan of any deployment, or Amazon Inspector, may delete it at any moment. What only
        # carries these tags is not used either.
        "a scanner's own": bool(tags & {SCAN_TAG, DEPLOYMENT_TAG})
        or info.description.startswith(SIDELIGHTS),
        f"with the tag {rules.exclusion_tag}": rules.exclusion_tag in tags,
        f"in the {info.storage_tier} tier": info.storage_tier not in ("", "standard"),
        "on an Outpost": bool(info.outpost),
        "under another key than its volume": info.kms_key_id
        != (volume.kms_key_id if volume.encrypted else ""),
    }
    why = next((text for text, applies in reasons.items() if applies), "")
    return why or _why_not_then(info.started_at, rules.youngest, last, now)


def _why_not_then(
    started: datetime | None, youngest: timedelta, last: DiskReading | None, now: datetime
) -> str:
    """Return why a snapshot of this time is not used; empty if it may be."""
    if started is None or started > now + timedelta(hours=1):
        return "without a plausible start time"
    if started < now - youngest:
        return "too old"
    if last is not None and started <= last.data_at:
        return "not newer than the data of the last scan"
    return ""


def _newest_set(
    volumes: Sequence[str], of_volume: Mapping[str, Sequence[SnapshotInfo]], apart: timedelta
) -> list[ExistingSnapshot] | str:
    """Return a snapshot of each volume, all within `apart`, the newest such set; or why none."""
    missing = [volume for volume in volumes if not of_volume.get(volume)]
    if missing:
        names = ", ".join(missing[:SAMPLES])
        return f"no snapshot of {names} fits"
    newest_first = {
        volume: sorted(
            (
                ExistingSnapshot(info.id, volume, position, info.started_at)
                for info in of_volume[volume]
                if info.started_at is not None
            ),
            key=lambda one: (one.started_at, one.id),
            reverse=True,
        )
        for position, volume in enumerate(volumes)
    }
    ends = {one.started_at for found in newest_first.values() for one in found}
    for end in sorted(ends, reverse=True):
        chosen = [
            next((one for one in found if end - apart <= one.started_at <= end), None)
            for found in newest_first.values()
        ]
        complete = [one for one in chosen if one is not None]
        if len(complete) == len(volumes):
            return complete
    return (
        f"the snapshots of its {len(volumes)} volumes are not of one moment"
        f" (within {apart.total_seconds():g} s)"
    )


def _explained(faults: Mapping[str, int], samples: Mapping[str, Sequence[str]]) -> list[str]:
    texts = []
    for why, count in sorted(faults.items()):
        more = f" and {count - SAMPLES} more" if count > SAMPLES else ""
        texts.append(f"{', '.join(samples[why][:SAMPLES])}{more}: {why}")
    return texts
