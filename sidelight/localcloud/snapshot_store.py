"""The volumes' images and the snapshots made of them.

Volumes live in moto; here is what moto lacks: bytes. A snapshot is moto's own object with a clock,
so that tags, filters and everything else of moto's that meets snapshots goes on working.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.utils import random_snapshot_id

from sidelight.localcloud.cloudwatch import VolumeWritesRecord
from sidelight.localcloud.freeze import FrozenImage, freeze
from sidelight.localcloud.kms import usable
from sidelight.localcloud.lags import Lags
from sidelight.localcloud.moto_clock import moto_time

if TYPE_CHECKING:
    from sidelight.localcloud.clock import Clock
    from sidelight.localcloud.conditions import Conditions


@dataclass(frozen=True, slots=True)
class VolumeImage:
    """Where a volume's bytes are. `immutable`: nobody writes there, so a link is a snapshot."""

    path: Path
    immutable: bool = False


class ShelfSnapshot(Snapshot):
    """A snapshot that is pending until its time has come, and remembers its volume as it was."""

    def __init__(
        self,
        backend: Any,
        volume: Any,
        description: str,
        image: FrozenImage | None,
        shelf: Shelf,
    ) -> None:
        """`image` is None for a volume without bytes."""
        self.clock = shelf.clock
        self.started = self.clock.now()
        self.completes = self.started + shelf.conditions.snapshot_seconds
        self.number = shelf.next_number()
        self.deleted = False  # while pending: EC2 deletes it when it completes
        self.shared: dict[str, float] = {}  # account -> when it was let in
        self.locked_until = 0.0  # LockSnapshot
        super().__init__(
            backend,
            random_snapshot_id(),
            volume,
            description,
            encrypted=volume.encrypted,
            kms_key_id=volume.kms_key_id if volume.encrypted else None,
        )
        self.start_time = moto_time(self.started)
        self.image = image
        self.fault = ""
        self.size_gib = int(volume.size)
        self.lineage = str(volume.id)
        self.is_copy = False
        self.region = str(backend.region_name)

    @property
    def status(self) -> str:
        """`pending`, then `completed`, or `error` for what `fault` says."""
        if self.clock.now() < self.completes:
            return "pending"
        return "error" if self.fault else "completed"

    @status.setter
    def status(self, value: str) -> None:
        """Moto's constructor says completed; the clock decides here."""

    @property
    def progress(self) -> str:
        """Per cent of the time that it takes."""
        left = self.completes - self.clock.now()
        if left <= 0:
            return "100%"
        return f"{int(100 * (1 - left / (self.completes - self.started)))}%"

    @property
    def volume_size(self) -> int:
        """GiB, at the moment of the snapshot."""
        return self.size_gib


@dataclass(frozen=True, slots=True)
class Recycled:
    """A deleted snapshot that a retention rule keeps. Times in seconds since the epoch."""

    id: str
    account: str
    region: str
    volume: str
    description: str
    entered: float
    exits: float


@dataclass(frozen=True, slots=True)
class _Making:
    """A snapshot under way, deleted or not."""

    volume: str
    account: str
    region: str
    started: float
    completes: float


class Shelf:
    """All images and snapshots of one local cloud, over all accounts and regions."""

    def __init__(
        self, directory: Path, clock: Clock, conditions: Conditions, seed: int = 0
    ) -> None:
        """`directory` is made; frozen images lie in a folder of this process within."""
        directory.mkdir(parents=True, exist_ok=True)
        _sweep(directory)
        self._home = Path(tempfile.mkdtemp(prefix="snapshots-", dir=directory))
        self._hold = os.open(self._home, os.O_RDONLY)
        fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.clock = clock
        self.conditions = conditions
        self.lags = Lags(conditions, clock, seed)
        self.writes = VolumeWritesRecord(clock)
        self.images: dict[str, VolumeImage] = {}
        self.broken: dict[str, str] = {}  # volume -> why its snapshots end in error
        self.snapshots: dict[str, ShelfSnapshot] = {}
        self.recycled: dict[str, Recycled] = {}
        self._deleting: list[ShelfSnapshot] = []
        self._numbers = count(1)
        self._frozen: dict[str, FrozenImage] = {}
        self._immutable: dict[Path, FrozenImage] = {}
        self._making: list[_Making] = []
        self._lock = threading.RLock()

    def close(self) -> None:
        """Remove the frozen images."""
        shutil.rmtree(self._home, ignore_errors=True)
        os.close(self._hold)

    def next_number(self) -> int:
        """The next snapshot's number, in the order of their creation."""
        return next(self._numbers)

    def making(self, volume_id: str) -> list[float]:
        """When each snapshot of the volume that is still under way began, deleted ones too."""
        return [item.started for item in self._under_way() if item.volume == volume_id]

    def pending(self, account: str, region: str) -> int:
        """How many snapshots of an account and region are under way, deleted ones too."""
        here = (account, region)
        return sum((item.account, item.region) == here for item in self._under_way())

    def _under_way(self) -> list[_Making]:
        now = self.clock.now()
        with self._lock:
            self._making = [item for item in self._making if item.completes > now]
            return self._making

    def delete_when_done(self, snapshot: ShelfSnapshot) -> None:
        """Delete a pending snapshot as EC2 does: when it completes, and not before."""
        with self._lock:
            if not snapshot.deleted:
                snapshot.deleted = True
                self._deleting.append(snapshot)

    def finish_deletions(self) -> None:
        """Delete what was deleted while it was pending, and is not any more."""
        with self._lock:
            done = [snapshot for snapshot in self._deleting if snapshot.status != "pending"]
            self._deleting = [snapshot for snapshot in self._deleting if snapshot not in done]
        for snapshot in done:
            snapshot.ec2_backend.delete_snapshot(snapshot.id)
            self.delete(snapshot.ec2_backend, snapshot)

    def create(self, backend: Any, volume: Any, description: str) -> ShelfSnapshot:
        """Freeze the volume's image now. Raises OSError."""
        with self._lock:
            image = self._freeze(volume)
            snapshot = ShelfSnapshot(backend, volume, description, image, self)
            snapshot.fault = self.broken.get(volume.id, "")
            if not snapshot.fault and not usable(snapshot):
                snapshot.fault = "Given key ID is not accessible"
            self._count_pending(snapshot, volume.id)
            return self._put(backend, snapshot)

    def copy(self, backend: object, source: ShelfSnapshot, description: str) -> ShelfSnapshot:
        """A snapshot of the same blocks in the backend's account and region. Raises OSError."""
        with self._lock:
            image = source.image
            if image is not None:
                path = self._home / f"{random_snapshot_id()}.img"
                freeze(image.path, path, immutable=True)
                image = FrozenImage(path)
            snapshot = ShelfSnapshot(backend, source.volume, description, image, self)
            snapshot.size_gib = source.size_gib
            snapshot.is_copy = True
            self._count_pending(snapshot, "")
            return self._put(backend, snapshot)

    def delete(self, backend: Any, snapshot: ShelfSnapshot) -> None:
        """Forget it. Its bytes stay where a volume was made from it.

        Under a rule of the Recycle Bin, EC2 keeps what DescribeSnapshots no longer shows.
        """
        with self._lock:
            self.snapshots.pop(snapshot.id, None)
            if self.conditions.recycle_days:
                entered = self.clock.now()
                exits = entered + self.conditions.recycle_days * 86400
                self.recycled[snapshot.id] = Recycled(
                    snapshot.id,
                    snapshot.owner_id,
                    snapshot.region,
                    str(snapshot.volume_id),
                    snapshot.description or "",
                    entered,
                    exits,
                )
            backend.tags.pop(snapshot.id, None)
            children = [v for v in backend.volumes.values() if v.snapshot_id == snapshot.id]
            if snapshot.image is not None and not children:
                self._frozen.pop(snapshot.id, None)
                snapshot.image.discard()

    def in_recycle_bin(self, account: str, region: str) -> list[Recycled]:
        """What the account has deleted here, and EC2 still keeps and bills."""
        now = self.clock.now()
        with self._lock:
            self.recycled = {key: item for key, item in self.recycled.items() if item.exits > now}
            return [
                item
                for item in self.recycled.values()
                if (item.account, item.region) == (account, region)
            ]

    def visible(self, snapshot: ShelfSnapshot, account: str, connection: int = 0) -> bool:
        """Whether the account owns it or was allowed to make volumes of it."""
        if snapshot.owner_id == account:
            return True
        return permitted(snapshot, account) and self.lags.shared(snapshot, account, connection)

    def find(
        self, snapshot_id: str, account: str, region: str, connection: int = 0
    ) -> ShelfSnapshot | None:
        """The snapshot, if the account may see it in this region by this connection."""
        self.finish_deletions()
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is None or snapshot.region != region:
            return None
        return snapshot if self.visible(snapshot, account, connection) else None

    def _count_pending(self, snapshot: ShelfSnapshot, volume: str) -> None:
        if self.conditions.snapshot_seconds > 0:
            self._making.append(
                _Making(
                    volume, snapshot.owner_id, snapshot.region, snapshot.started, snapshot.completes
                )
            )

    def _put(self, backend: Any, snapshot: ShelfSnapshot) -> ShelfSnapshot:
        self.snapshots[snapshot.id] = snapshot
        backend.snapshots[snapshot.id] = snapshot
        if snapshot.image is not None:
            self._frozen[snapshot.id] = snapshot.image
        return snapshot

    def _freeze(self, volume: Any) -> FrozenImage | None:
        image = self.images.get(volume.id)
        if image is None and volume.snapshot_id in self._frozen:
            image = VolumeImage(self._frozen[volume.snapshot_id].path, immutable=True)
        if image is None:
            return None
        path = self._home / f"{random_snapshot_id()}.img"
        freeze(image.path, path, immutable=image.immutable)
        if not image.immutable:
            return FrozenImage(path)
        # Nobody writes there, so that its blocks are looked for and hashed once for all snapshots.
        return FrozenImage(path, self._immutable.setdefault(image.path, FrozenImage(image.path)))


def permitted(snapshot: ShelfSnapshot, account: str) -> bool:
    """Whether the owner has let the account make volumes of it."""
    return (
        account in snapshot.create_volume_permission_userids
        or "all" in snapshot.create_volume_permission_groups
    )


def _sweep(directory: Path) -> None:
    """Remove the frozen images of processes that were killed: nobody holds their lock."""
    for home in directory.glob("snapshots-*"):
        with contextlib.suppress(OSError):
            hold = os.open(home, os.O_RDONLY)
            try:
                fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(home, ignore_errors=True)
            finally:
                os.close(hold)
