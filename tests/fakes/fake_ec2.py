"""A fake of the narrow EC2 protocol that the stages use, and the snapshots that it makes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.aws.ec2 import InstanceStatus, SnapshotInfo
from sidelight.errors import CloudError, SidelightError
from sidelight.model import ReadStats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.fakes.clocks import Clock
    from tests.fakes.tripwire import Tripwire


ACCOUNT, REGION = "123456789012", "eu-west-1"
PENDING_SECONDS = 25.0
UNLISTED_SECONDS = 1.0


class FakeEc2:
    """One account and region."""

    def __init__(self, clock: Clock, trip: Tripwire, owner: str = ACCOUNT, first: int = 1) -> None:
        """`first` is the number of the first snapshot: ids are unique over all account-regions."""
        self.calls = 0
        self.owner = owner
        self.snapshots: dict[str, SnapshotInfo] = {}
        self.volumes: dict[str, tuple[str, ...]] = {}
        self.broken: set[str] = set()  # volumes whose snapshots end in error
        self.refuse: dict[str, str] = {}  # instance -> error code of its creation
        self.instance_states: dict[str, str] = {}  # running where not named; "": not listed
        self.pending_limit = 0  # of the account and region, for all tools; 0 is none
        self.others: list[SnapshotInfo] = []  # what another tool has pending
        self.refused = 0  # creations beyond the limit
        self.undeletable = False
        self.pending_seconds = PENDING_SECONDS
        self.created = 0
        self._clock, self._trip = clock, trip
        self._numbers = itertools.count(first)

    def create_snapshots(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        return list(
            self._trip("ec2.create_snapshots", lambda: self._create(instance_id, tags, description))
        )

    def snapshots_by_id(self, ids: Sequence[str]) -> list[SnapshotInfo]:
        def matching() -> list[SnapshotInfo]:
            return [s for s in self._listed() if s.id in ids]

        found: list[SnapshotInfo] = self._trip("ec2.describe_by_id", matching)
        return found

    def snapshots_by_tags(self, tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        def matching() -> list[SnapshotInfo]:
            return [
                s
                for s in self._listed()
                if all(
                    (s.tag(key) == value if value is not None else s.tag(key))
                    for key, value in tags.items()
                )
            ]

        found: list[SnapshotInfo] = self._trip("ec2.describe_by_tag", matching)
        return found

    def pending_snapshots(self) -> list[SnapshotInfo]:
        def pending() -> list[SnapshotInfo]:
            return [s for s in [*self._listed(), *self.others] if s.state == "pending"]

        found: list[SnapshotInfo] = self._trip("ec2.describe_pending", pending)
        return found

    def instance_status(self, instance_id: str) -> InstanceStatus | None:
        def status() -> InstanceStatus | None:
            state = self.instance_states.get(instance_id, "running")
            return InstanceStatus(state, frozenset(self.volumes[instance_id])) if state else None

        found: InstanceStatus | None = self._trip("ec2.describe_instance", status)
        return found

    def delete_snapshot(self, snapshot_id: str) -> bool:
        def delete() -> bool:
            if self.undeletable:
                raise CloudError("in use", where=snapshot_id, code="InvalidSnapshot.InUse")
            return self.snapshots.pop(snapshot_id, None) is not None

        return bool(self._trip("ec2.delete_snapshot", delete))

    def pending(self) -> int:
        """How many of ours are pending, whether they are listed yet or not."""
        return sum(
            (self._clock() - info.started_at).total_seconds() < self.pending_seconds
            for info in self.snapshots.values()
            if info.started_at
        )

    def _create(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        if instance_id in self.refuse:
            code = self.refuse[instance_id]
            raise CloudError(f"{code}: refused", where=instance_id, code=code)
        wanted = self.pending() + len(self.others) + len(self.volumes[instance_id])
        if 0 < self.pending_limit < wanted:
            self.refused += 1
            text = "Maximum allowed active snapshot limit exceeded."
            raise CloudError(text, where=instance_id, code="PendingSnapshotLimitExceeded")
        snapshots = [
            SnapshotInfo(
                id=f"snap-{next(self._numbers):017x}",
                volume=volume,
                state="pending",
                description=description,
                started_at=self._clock(),
                tags=tuple(sorted(tags.items())),
                owner=self.owner,
            )
            for volume in self.volumes[instance_id]
        ]
        self.created += len(snapshots)
        self.snapshots |= {info.id: info for info in snapshots}
        return snapshots

    def _listed(self) -> Iterator[SnapshotInfo]:
        for info in list(self.snapshots.values()):
            age = (self._clock() - info.started_at).total_seconds() if info.started_at else 0.0
            if age < UNLISTED_SECONDS:
                continue
            done = "error" if info.volume in self.broken else "completed"
            yield replace(info, state=done if age >= self.pending_seconds else "pending")


class FakeSource:
    """A completed snapshot; what it holds is its volume's."""

    def __init__(self, name: str, volume: str, trip: Tripwire, error: type[SidelightError]) -> None:
        # The volume's name is in the bytes: readers see nothing else of a source.
        self.name, self.size = name, 1 << 20
        self._content = volume.encode().ljust(512, b" ")
        self._trip, self._error = trip, error
        self.closed = False

    def read_at(self, _offset: int, length: int) -> bytes:
        return bytes(self._trip("ebs.get_block", lambda: self._content[:length], self._error))

    def prefetch(self, ranges: object) -> None:
        """Nothing."""

    def stats(self) -> ReadStats:
        return ReadStats(get_calls=1, list_calls=1, blocks=1, bytes=512, usd=0.000004)

    def close(self) -> None:
        self.closed = True
