"""Decide who owns a snapshot. PURE: EC2's description and the store's record in, a verdict out.

Tags prove nothing: anyone who may call CreateTags can put our tags on another's backup. So a
snapshot is a scan's own only if everything agrees: both tags, the description that CreateSnapshots
wrote (nobody can change it afterwards; a copy has its own), the owner, and the scan's row in the
store with its account, region, instance, volumes and time. All code that deletes, shares or reads a
snapshot checks it here first. IAM has no condition on a description: only this module checks it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.model import Origin

SCAN_TAG = "InspectorScan"
DEPLOYMENT_TAG = "SidelightDeployment"
COPIED_VOLUME = "vol-ffffffff"  # EC2's volume id for a copied snapshot
LONGEST_DESCRIPTION = 255  # characters that EC2 accepts
CLOCK_SKEW = timedelta(minutes=10)  # between the store's clock and EC2's
# A worker that froze before CreateSnapshots may call it after other workers ended its scan.
LATE = timedelta(days=1)
_SCAN_ID = re.compile(r"[0-9a-f]{32}")
_CALL = re.compile(r"[0-9a-f]{16}")
_DESCRIPTION = re.compile(
    r"Sidelight scan (?P<scan>[0-9a-f]{32}) of (?P<instance>\S{1,40}) "
    r"by deployment (?P<deployment>.+), call (?P<call>[0-9a-f]{16})"
)


@dataclass(frozen=True, slots=True)
class Territory:
    """The account and region that were listed, and the deployment whose snapshots are selected."""

    account: str
    region: str
    deployment: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """A snapshot that carries our tags and is not provably ours, and the reason.

    `made_by` is the scan that created it, if the store knows it: its tags were changed since.
    """

    id: str
    why: str
    made_by: str = ""


def tags(scan: str, deployment: str) -> dict[str, str]:
    """Return the tags of a scan's snapshots."""
    return {SCAN_TAG: scan, DEPLOYMENT_TAG: deployment}


def description(scan: str, instance: str, deployment: str, lease: str) -> str:
    """Return the description for the snapshots of one CreateSnapshots call.

    Its end is derived from the claim's `lease`, and distinguishes the snapshots of one call from
    those of another. Raises UsageError where EC2 would not accept it.
    """
    call = hashlib.sha256(lease.encode()).hexdigest()[:16]
    text = f"{_described(scan, instance, deployment)}{call}"
    if len(text) > LONGEST_DESCRIPTION or not deployment.isprintable():
        raise UsageError(
            "is too long or unprintable for the description of a snapshot",
            where=f"SIDELIGHT_DEPLOYMENT={deployment[:60]!a}",
        )
    return text


def check_deployment(deployment: str) -> None:
    """Raise UsageError for a deployment's name that no snapshot's description can hold."""
    description("0" * 32, "i-" + "0" * 17, deployment, "")


def why_foreign(info: SnapshotInfo, territory: Territory, origin: Origin | None) -> str:
    """Return why this is not a snapshot of the scan that its tag names; empty if it is.

    `origin` is the store's record of that scan, None if it has no record.
    """
    why = why_unmarked(info, territory)
    if why:
        return why
    if origin is None:
        return f"the store has no scan {scan_of(info)}"
    return _disagreement(info, territory, origin)


def why_unmarked(info: SnapshotInfo, territory: Territory) -> str:
    """Return why EC2's record does not show our snapshot; empty if tags, text and owner agree.

    This check needs no store: it is enough to offer a snapshot for adoption, not to delete it.
    """
    if info.owner != territory.account:
        return f"its owner is {info.owner or 'not known'}, not {territory.account}"
    if _values(info, DEPLOYMENT_TAG) != [territory.deployment]:
        return f"its tag {DEPLOYMENT_TAG} is not {territory.deployment}"
    if not may_be_scan(scan_of(info)):
        return f"its tag {SCAN_TAG} is not a scan's id"
    written = _DESCRIPTION.fullmatch(info.description)
    if (
        written is None
        or written["scan"] != scan_of(info)
        or written["deployment"] != territory.deployment
    ):
        return "its description is not the one that a scan writes"
    return ""


def is_of_deployment(info: SnapshotInfo, deployment: str) -> bool:
    """Whether its description is one that a scan of this deployment writes: enough for counting.

    EC2's listing may show the tags later than the snapshot, but not the description.
    """
    written = _DESCRIPTION.fullmatch(info.description)
    return written is not None and written["deployment"] == deployment


def scan_of(info: SnapshotInfo) -> str:
    """Return the scan id in its tag; empty where the tag is missing or occurs twice."""
    values = _values(info, SCAN_TAG)
    return values[0] if len(values) == 1 else ""


def may_be_scan(name: str) -> bool:
    """Whether this has the form of a scan id: anyone can write any text into a tag."""
    return _SCAN_ID.fullmatch(name) is not None


def parted(
    infos: Mapping[str, SnapshotInfo], territory: Territory, origins: Mapping[str, Origin]
) -> tuple[dict[str, SnapshotInfo], list[Foreign]]:
    """Return (our own snapshots, by id; the foreign ones, and why). `origins` by scan id."""
    own: dict[str, SnapshotInfo] = {}
    foreign: list[Foreign] = []
    for name, info in sorted(infos.items()):
        why = why_foreign(info, territory, origins.get(scan_of(info)))
        if why:
            foreign.append(Foreign(name, why))
        else:
            own[name] = info
    return own, foreign


def _disagreement(info: SnapshotInfo, territory: Territory, origin: Origin) -> str:
    """Return how the snapshot contradicts the scan's row; empty if it does not."""
    if (origin.account, origin.region) != (territory.account, territory.region):
        return f"its scan is of {origin.account}/{origin.region}"
    if origin.scan != scan_of(info) or origin.deployment != territory.deployment:
        return "its scan is another deployment's"
    expected = _described(origin.scan, origin.instance, origin.deployment)
    end = info.description.removeprefix(expected)
    if end == info.description or _CALL.fullmatch(end) is None:
        return f"its description does not name its scan's instance {origin.instance}"
    if info.id in origin.snapshots:
        # The id is from the answer of our own call, so times are not compared.
        same = info.volume == origin.snapshots[info.id]
        return "" if same else f"its volume is {info.volume}, not {origin.snapshots[info.id]}"
    known = origin.volumes is None or info.volume in origin.volumes
    if info.volume == COPIED_VOLUME or not known:
        return f"its volume {info.volume} is not one of its scan's"
    return _out_of_time(info.started_at, origin)


def _out_of_time(started: datetime | None, origin: Origin) -> str:
    if started is None:
        return "its start time is not known"
    if started < origin.created_at - CLOCK_SKEW:
        return f"it was started at {started.isoformat()}, before its scan"
    if origin.finished_at is not None and started > origin.finished_at + LATE:
        return f"it was started at {started.isoformat()}, long after its scan's end"
    return ""


def _described(scan: str, instance: str, deployment: str) -> str:
    return f"Sidelight scan {scan} of {instance} by deployment {deployment}, call "


def _values(info: SnapshotInfo, key: str) -> list[str]:
    return [value for name, value in info.tags if name == key]
