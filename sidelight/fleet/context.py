"""The dependencies of the stages: narrow protocols, so that tests can replace AWS."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sidelight.fleet.advisory_file import Unregistered
from sidelight.fleet.dollar_budget import Spending
from sidelight.fleet.snapshot_ownership import tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sidelight.aws.ec2 import InstanceStatus, SnapshotInfo
    from sidelight.blocks import BlockSource
    from sidelight.disk import Attachment
    from sidelight.fleet.evaluation import AdvisoryMatcher
    from sidelight.fleet.settings import Settings
    from sidelight.matching import Unmatched
    from sidelight.model import Finding, Inventory, Keeper, Problem, ReadStats, Scan
    from sidelight.store import Store


class SnapshotCalls(Protocol):
    """The part of `sidelight.aws.ec2.Ec2` that the stages and the sweep use."""

    @property
    def calls(self) -> int:
        """How many calls were sent."""

    def create_snapshots(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        """Snapshot all volumes of the instance in one call; all or none are created."""

    def snapshots_by_id(self, ids: Sequence[str]) -> list[SnapshotInfo]:
        """Return those of these snapshots that exist."""

    def snapshots_by_tags(self, tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        """Return the account's own snapshots with all these tags."""

    def pending_snapshots(self) -> list[SnapshotInfo]:
        """Return all pending snapshots of the account-region, other tools' too."""

    def instance_status(self, instance_id: str) -> InstanceStatus | None:
        """Return EC2's present description of an instance; None where EC2 does not list it."""

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a snapshot; return False where it did not exist."""


class OpenSnapshot(Protocol):
    """A completed snapshot as a BlockSource that reports its cost and can be closed."""

    @property
    def name(self) -> str: ...  # noqa: D102 - as BlockSource
    @property
    def size(self) -> int: ...  # noqa: D102 - as BlockSource
    def read_at(self, offset: int, length: int) -> bytes: ...  # noqa: D102 - as BlockSource
    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None: ...  # noqa: D102 - as BlockSource
    def stats(self) -> ReadStats: ...  # noqa: D102 - calls, blocks, bytes, dollars
    def close(self) -> None: ...  # noqa: D102 - end its threads


class NetworkCollector(Protocol):
    """The part of `sidelight.aws.network.NetworkCalls` that an evaluation uses."""

    problems: list[Problem]
    refused: list[tuple[str, str]]

    def collect(self) -> Mapping[str, Sequence[object]]:
        """Return the answers by stem. Raises SidelightError if no call succeeds."""


@dataclass(frozen=True)
class Context:
    """All external dependencies of the stages.

    `ec2(account, region)`, `open_snapshot(scan, snapshot id)`, `inspect(sources, attachments)` and
    `match(inventory)`; `unmatched(inventory)` lists the packages that no advisory covers;
    `forget(snapshot id)` drops a snapshot's cached blocks.
    `opened()` returns the database that `match` uses, if it uses one.
    `networks(account, region)` collects what describes a network.
    `jitter()` is from 0 to 1. A `keeper` runs all stages of its scans; no worker claims them.
    """

    store: Store
    settings: Settings
    deployment: str
    ec2: Callable[[str, str], SnapshotCalls]
    open_snapshot: Callable[[Scan, str], OpenSnapshot]
    inspect: Callable[[Sequence[BlockSource], tuple[Attachment, ...]], Inventory]
    match: Callable[[Inventory], Sequence[Finding]]
    unmatched: Callable[[Inventory], Sequence[Unmatched]] = field(default=lambda _: ())
    forget: Callable[[str], None] = field(default=lambda _: None)
    opened: Callable[[], AdvisoryMatcher] | None = None
    jitter: Callable[[], float] = field(default=random.random)
    keeper: Keeper | None = None
    spending: Spending | None = None
    networks: Callable[[str, str], NetworkCollector] | None = None

    def money(self) -> Spending:
        """Return the accounts' dollar budgets: the process's cached ones, else fresh ones."""
        return self.spending or Spending(self.store, self.settings)

    def advisories(self) -> AdvisoryMatcher:
        """Return the current database. Raises UsageError, DatabaseError."""
        return Unregistered(self.match) if self.opened is None else self.opened()

    def tags(self, scan_id: str) -> dict[str, str]:
        """Return the tags that mark a scan's snapshots as ours and name the scan."""
        return tags(scan_id, self.deployment)
