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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.utils import random_snapshot_id

from sidelight.localcloud.freeze import FrozenImage, freeze
from sidelight.localcloud.keys import usable

if TYPE_CHECKING:
    from sidelight.localcloud.clock import Clock


@dataclass(frozen=True, slots=True)
class VolumeImage:
    """Where a volume's bytes are. `immutable`: nobody writes there, so a link is a snapshot."""

    path: Path
    immutable: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """How snapshots are made.

    `seconds` from pending to completed. `interval`: AWS wants 15 seconds between concurrent
    snapshots of a volume; 0 asks for none. `pending`: the most that an account and region may
    have pending at once; 0 is without limit.
    """

    seconds: float = 0.0
    interval: float = 0.0
    pending: int = 0


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
        self.completes = self.started + shelf.pace.seconds
        super().__init__(
            backend,
            random_snapshot_id(),
            volume,
            description,
            encrypted=volume.encrypted,
            kms_key_id=volume.kms_key_id if volume.encrypted else None,
        )
        self.start_time = datetime.fromtimestamp(self.started, UTC).replace(tzinfo=None)
        self.image = image
        self.fault = ""
        self.size_gib = int(volume.size)
        self.lineage = str(volume.id)
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


@dataclass(slots=True)
class _Making:
    started: float
    completes: float


@dataclass(slots=True)
class _VolumeHistory:
    making: list[_Making] = field(default_factory=list)


class Shelf:
    """All images and snapshots of one local cloud, over all accounts and regions."""

    def __init__(self, directory: Path, clock: Clock, pace: Pace) -> None:
        """`directory` is made; frozen images lie in a folder of this process within."""
        directory.mkdir(parents=True, exist_ok=True)
        _sweep(directory)
        self._home = Path(tempfile.mkdtemp(prefix="snapshots-", dir=directory))
        self._hold = os.open(self._home, os.O_RDONLY)
        fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.clock = clock
        self.pace = pace
        self.images: dict[str, VolumeImage] = {}
        self.broken: dict[str, str] = {}  # volume -> why its snapshots end in error
        self.snapshots: dict[str, ShelfSnapshot] = {}
        self._frozen: dict[str, FrozenImage] = {}
        self._immutable: dict[Path, FrozenImage] = {}
        self._history: dict[str, _VolumeHistory] = {}
        self._lock = threading.RLock()

    def close(self) -> None:
        """Remove the frozen images."""
        shutil.rmtree(self._home, ignore_errors=True)
        os.close(self._hold)

    def making(self, volume_id: str) -> list[float]:
        """When each snapshot of the volume that is still under way began, deleted ones too."""
        now = self.clock.now()
        with self._lock:
            history = self._history.setdefault(volume_id, _VolumeHistory())
            history.making = [item for item in history.making if item.completes > now]
            return [item.started for item in history.making]

    def pending(self, account: str, region: str) -> int:
        """How many snapshots of an account and region are pending."""
        with self._lock:
            return sum(
                s.owner_id == account and s.region == region and s.status == "pending"
                for s in self.snapshots.values()
            )

    def create(self, backend: Any, volume: Any, description: str) -> ShelfSnapshot:
        """Freeze the volume's image now. Raises OSError."""
        with self._lock:
            image = self._freeze(volume)
            snapshot = ShelfSnapshot(backend, volume, description, image, self)
            snapshot.fault = self.broken.get(volume.id, "")
            if not snapshot.fault and not usable(snapshot):
                snapshot.fault = "Given key ID is not accessible"
            if self.pace.seconds > 0:
                history = self._history.setdefault(volume.id, _VolumeHistory())
                history.making.append(_Making(snapshot.started, snapshot.completes))
            return self._put(backend, snapshot)

    def copy(self, backend: Any, source: ShelfSnapshot, description: str) -> ShelfSnapshot:
        """A snapshot of the same blocks in the backend's account and region. Raises OSError."""
        with self._lock:
            image = source.image
            if image is not None:
                path = self._home / f"{random_snapshot_id()}.img"
                freeze(image.path, path, immutable=True)
                image = FrozenImage(path)
            snapshot = ShelfSnapshot(backend, source.volume, description, image, self)
            snapshot.size_gib = source.size_gib
            return self._put(backend, snapshot)

    def delete(self, backend: Any, snapshot: ShelfSnapshot) -> None:
        """Forget it. Its bytes stay where a volume was made from it."""
        with self._lock:
            self.snapshots.pop(snapshot.id, None)
            backend.tags.pop(snapshot.id, None)
            children = [v for v in backend.volumes.values() if v.snapshot_id == snapshot.id]
            if snapshot.image is not None and not children:
                self._frozen.pop(snapshot.id, None)
                snapshot.image.discard()

    def visible(self, snapshot: ShelfSnapshot, account: str) -> bool:
        """Whether the account owns it or was allowed to make volumes of it."""
        return (
            snapshot.owner_id == account
            or account in snapshot.create_volume_permission_userids
            or "all" in snapshot.create_volume_permission_groups
        )

    def find(self, snapshot_id: str, account: str, region: str) -> ShelfSnapshot | None:
        """The snapshot, if the account may see it in this region."""
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is None or snapshot.region != region or not self.visible(snapshot, account):
            return None
        return snapshot

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
