"""What the steps work with: narrow protocols, so that tests stand where AWS stands."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from workers.advisories import Unregistered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.blocks import BlockSource
    from sidelight.disk import Attachment
    from sidelight.model import Finding, Inventory, ReadStats
    from sidelight.store import Advisories, Keeper, Scan, Store
    from workers.settings import Settings

SCAN_TAG = "InspectorScan"
DEPLOYMENT_TAG = "SidelightDeployment"


class SnapshotCalls(Protocol):
    """What of `sidelight.aws.ec2.Ec2` the steps and the sweep use."""

    calls: int

    def create_snapshots(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        """All volumes of the instance, or none."""

    def snapshots_by_id(self, ids: Sequence[str]) -> list[SnapshotInfo]:
        """Those that exist."""

    def snapshots_by_tags(self, tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        """Our own with all these tags."""

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """False where there was none."""


class OpenSnapshot(Protocol):
    """A completed snapshot as a BlockSource that tells what it cost and can be closed."""

    @property
    def name(self) -> str: ...  # noqa: D102 - as BlockSource
    @property
    def size(self) -> int: ...  # noqa: D102 - as BlockSource
    def read_at(self, offset: int, length: int) -> bytes: ...  # noqa: D102 - as BlockSource
    def prefetch(self, ranges: Any) -> None: ...  # noqa: D102 - as BlockSource
    def stats(self) -> ReadStats: ...  # noqa: D102 - calls, blocks, bytes, dollars
    def close(self) -> None: ...  # noqa: D102 - end its threads


@dataclass(frozen=True)
class Context:
    """Everything from outside, for the steps.

    `ec2(account, region)`, `open_snapshot(scan, snapshot id)`, `inspect(sources, attachments)` and
    `match(inventory)`; `unmatched(inventory)` says of which packages no advisory could tell;
    `forget(snapshot id)` drops what was kept of a snapshot's blocks.
    `opened()` is the database that `match` asks, where it is one.
    `jitter()` is from 0 to 1. A `keeper` does all stages of its scans, and no worker has any.
    """

    store: Store
    settings: Settings
    deployment: str
    ec2: Callable[[str, str], SnapshotCalls]
    open_snapshot: Callable[[Scan, str], OpenSnapshot]
    inspect: Callable[[Sequence[BlockSource], tuple[Attachment, ...]], Inventory]
    match: Callable[[Inventory], Sequence[Finding]]
    unmatched: Callable[[Inventory], Sequence[str]] = field(default=lambda _: ())
    forget: Callable[[str], None] = field(default=lambda _: None)
    opened: Callable[[], Advisories] | None = None
    jitter: Callable[[], float] = field(default=random.random)
    keeper: Keeper | None = None

    def advisories(self) -> Advisories:
        """The present database. Raises UsageError, DatabaseError."""
        return Unregistered(self.match) if self.opened is None else self.opened()

    def tags(self, scan_id: str) -> dict[str, str]:
        """What marks a scan's snapshots as ours, and as whose."""
        return {SCAN_TAG: scan_id, DEPLOYMENT_TAG: self.deployment}
