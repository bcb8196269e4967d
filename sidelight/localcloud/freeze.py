"""A volume's image as it was at one moment, and the blocks of it that were ever written.

Freezing takes the cheapest of: a hard link (only where the caller says that the image is never
written again), a reflink (btrfs, XFS), a copy of the data extents alone. The copy is made while
the request runs: two volumes of one machine are frozen one after the other.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 524288
ZEROS = bytes(BLOCK)
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)


def extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """The `(start, end)` byte ranges of an open file that are not holes."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end
                return
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end


def freeze(image: Path, frozen: Path, *, immutable: bool = False) -> None:
    """Make `frozen` hold what `image` holds now. Raises OSError."""
    if immutable:
        with contextlib.suppress(OSError):  # another filesystem: copy after all
            os.link(image, frozen)
            return
    with image.open("rb") as source, frozen.open("xb") as target:
        try:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        except OSError:
            size = os.fstat(source.fileno()).st_size
            for start, end in extents(source.fileno(), size):
                _copy(source.fileno(), target.fileno(), start, end)
            os.ftruncate(target.fileno(), size)


def _copy(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        try:
            done = os.copy_file_range(source, target, end - start, start, start)
        except OSError:  # across filesystems on old kernels, or not there at all
            done = os.pwrite(target, os.pread(source, min(end - start, 1 << 20), start), start)
        if done == 0:  # the image shrank meanwhile
            return
        start += done


class FrozenImage:
    """A frozen image's blocks. Threads may read at once; nothing is held open between reads."""

    def __init__(self, path: Path, like: FrozenImage | None = None) -> None:
        """`path`: what `freeze` made. `like`: one of the very same bytes, and what it knows."""
        self.path = path
        self._lock = threading.Lock()
        self._written: array[int] | None = None if like is None else like.written()
        self._digests: dict[int, bytes] = {} if like is None else like.digests

    @property
    def digests(self) -> dict[int, bytes]:
        """The digests that are known, by block."""
        return self._digests

    def written(self) -> array[int]:
        """The indices, ascending, of blocks with any byte set. Reads all data once, then knows."""
        with self._lock:
            if self._written is None:
                self._written = array("I", self._scan())
            return self._written

    def read(self, index: int) -> bytes:
        """The block's 512 KiB; zeros past the image's end. Raises OSError."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            data = os.pread(fd, BLOCK, index * BLOCK)
        finally:
            os.close(fd)
        return data if len(data) == BLOCK else data + bytes(BLOCK - len(data))

    def digest(self, index: int, data: bytes) -> bytes:
        """SHA-256 of the block, worked out once: `data` is what `read(index)` gave."""
        known = self._digests.get(index)
        if known is None:
            known = self._digests[index] = hashlib.sha256(data).digest()
        return known

    def discard(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def _scan(self) -> Iterator[int]:
        with self.path.open("rb", buffering=0) as file:
            fd = file.fileno()
            done = -1
            for start, end in extents(fd, os.fstat(fd).st_size):
                for index in range(max(start // BLOCK, done + 1), -(-end // BLOCK)):
                    done = index
                    data = os.pread(fd, BLOCK, index * BLOCK)
                    if data != ZEROS[: len(data)]:
                        yield index
