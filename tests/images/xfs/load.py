"""A load as package managers make it, for images copied in the middle of it.

    python tests/images/xfs/load.py DIRECTORY SEED

Runs until it is killed: files written aside, synced and renamed, trees removed, files truncated,
appended to, cloned, punched and linked, a directory that grows and shrinks.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import shutil
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FICLONE = 0x40049409
# struct xfs_exchange_range: the first file, two offsets, a length, flags (here: to the ends).
XFS_IOC_EXCHANGE_RANGE = 0x40285881
EXCHANGE = struct.Struct("i4xQQQQ")


class Load:
    """One worker on a directory of its own."""

    def __init__(self, top: Path, seed: int) -> None:
        self.top = top
        self.chance = random.Random(seed)
        top.mkdir(exist_ok=True)
        self.big = top / "big"
        self.big.mkdir(exist_ok=True)

    def name(self) -> Path:
        """A path that may or may not be there."""
        folder = self.top / f"d{self.chance.randrange(12)}"
        folder.mkdir(exist_ok=True)
        return folder / f"{'f' * self.chance.randrange(1, 90)}{self.chance.randrange(40)}"

    def write(self) -> None:
        """As dpkg: aside, sync, rename."""
        path = self.name()
        aside = path.with_name(path.name + ".new")
        with aside.open("wb") as file:
            file.write(self.chance.randbytes(self.chance.choice([10, 700, 5000, 70000])))
            if self.chance.random() < 0.3:
                file.flush()
                os.fsync(file.fileno())
        aside.rename(path)

    def append(self) -> None:
        """More bytes, some beyond a hole."""
        with self.name().open("ab") as file:
            if self.chance.random() < 0.3:
                file.truncate(self.chance.randrange(200000))
            file.write(self.chance.randbytes(self.chance.randrange(9000)))

    def clone(self) -> None:
        """Shared extents, then a write that unshares some."""
        with self.name().open("ab+") as source, self.name().open("wb+") as target:
            with contextlib.suppress(OSError):
                fcntl.ioctl(target, FICLONE, source.fileno())
            target.seek(self.chance.randrange(20000))
            target.write(self.chance.randbytes(5000))
            if self.chance.random() < 0.5:
                target.flush()
                os.fsync(target.fileno())

    def scatter(self) -> None:
        """A file in many pieces: an extent tree."""
        path = self.top / f"pieces{self.chance.randrange(3)}"
        with path.open("ab+") as file:
            for _ in range(self.chance.randrange(1, 60)):
                os.pwrite(file.fileno(), b"p" * 4096, self.chance.randrange(2000) * 8192)
            os.fsync(file.fileno())
        if self.chance.random() < 0.1:
            path.unlink()

    def crowd(self) -> None:
        """Grow or shrink a large directory."""
        for _ in range(self.chance.randrange(1, 150)):
            path = self.big / f"{'n' * self.chance.randrange(40)}{self.chance.randrange(1500)}"
            if self.chance.random() < 0.45:
                path.unlink(missing_ok=True)
            else:
                path.touch()

    def move(self) -> None:
        """Rename over something else, or elsewhere."""
        with contextlib.suppress(OSError):
            self.name().rename(self.name())

    def exchange(self) -> None:
        """All blocks of two files, each for the other's, where the filesystem can."""
        with (
            contextlib.suppress(OSError),
            self.name().open("rb+") as one,
            self.name().open("rb+") as other,
        ):
            fcntl.ioctl(other, XFS_IOC_EXCHANGE_RANGE, EXCHANGE.pack(one.fileno(), 0, 0, 0, 1))

    def link(self) -> None:
        """Hard and symbolic links."""
        with contextlib.suppress(OSError):
            if self.chance.random() < 0.5:
                self.name().hardlink_to(self.name())
            else:
                self.name().symlink_to("t" * self.chance.randrange(1, 900))

    def remove(self) -> None:
        """A file, or a whole tree: its inodes' chunks are given up."""
        if self.chance.random() < 0.2:
            shutil.rmtree(self.top / f"d{self.chance.randrange(12)}", ignore_errors=True)
        elif self.chance.random() < 0.05:
            shutil.rmtree(self.big)
            self.big.mkdir()
        else:
            self.name().unlink(missing_ok=True)

    def sync(self) -> None:
        """Everything to the log, now and then to its place."""
        if self.chance.random() < 0.05:
            # This filesystem alone: sync(2) would wait for all that the machine has mounted.
            LIBC.syncfs(self._directory())
        else:
            os.fsync(self._directory())

    def _directory(self) -> int:
        return DESCRIPTORS.setdefault(self.top, os.open(self.top, os.O_RDONLY))

    def step(self) -> None:
        """One operation. A full filesystem makes room."""
        steps: list[Callable[[], None]] = [
            self.write, self.write, self.write, self.append, self.clone, self.scatter,
            self.crowd, self.move, self.exchange, self.link, self.remove, self.remove, self.sync,
        ]  # fmt: skip
        try:
            self.chance.choice(steps)()
        except OSError:
            shutil.rmtree(self.top / f"d{self.chance.randrange(12)}", ignore_errors=True)


LIBC = ctypes.CDLL(None, use_errno=True)
DESCRIPTORS: dict[Path, int] = {}


def main() -> None:
    """Until killed."""
    load = Load(Path(sys.argv[1]), int(sys.argv[2]))
    while True:
        load.step()


if __name__ == "__main__":
    main()
