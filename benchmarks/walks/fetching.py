"""An image as a snapshot's blocks: counted, with holes, and with a delay for each call."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from sidelight import scan
from sidelight.blocks import BlockCache, ImageFile
from sidelight.filesystems.open import open_filesystem
from sidelight.filesystems.protocol import ReadsAhead

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.filesystems.protocol import Filesystem

BLOCK = 512 << 10
DIRECTORY = 2


class Counted:
    """A BlockFetcher over an image. Every call takes `delay` seconds, as one over a network."""

    def __init__(self, image: Path, delay: float = 0) -> None:
        self._image = ImageFile(str(image))
        self._delay = delay
        self._fd = os.open(image, os.O_RDONLY)
        self.name = image.name
        self.size = self._image.size
        self.block_size = BLOCK
        self.calls: Counter[int] = Counter()

    def present(self, index: int) -> bool:
        """Whether the file has data there."""
        try:
            return os.lseek(self._fd, index * BLOCK, os.SEEK_DATA) < (index + 1) * BLOCK
        except OSError:
            return False

    def fetch(self, index: int) -> bytes:
        """One block, padded at the end of the image."""
        self.calls[index] += 1
        if self._delay:
            time.sleep(self._delay)
        offset = index * BLOCK
        return self._image.read_at(offset, min(BLOCK, self.size - offset)).ljust(BLOCK, b"\0")


def walk(filesystem: Filesystem) -> int:
    """Every path, a level at a time, with what it will need read ahead as a scan does."""
    if isinstance(filesystem, ReadsAhead):
        filesystem.read_ahead()
    level, paths = [filesystem.root], 0
    while level:
        below: list[int] = []
        for _, entries in filesystem.directories(level):
            paths += len(entries)
            below += [number for _, number, kind in entries if kind == DIRECTORY]
        level = below
    assert not filesystem.problems, filesystem.problems[:3]
    return paths


def walk_blocks(fetcher: Counted, budget: int | None = None, in_flight: int = 64) -> int:
    """The same over a cache of so many bytes (the default without)."""
    cache = BlockCache(fetcher, in_flight=in_flight, **({"budget": budget} if budget else {}))
    try:
        return walk(open_filesystem(cache))
    finally:
        cache.close()


def inventory_blocks(fetcher: Counted) -> int:
    """A whole inventory over the default cache; the number of its packages."""
    cache = BlockCache(fetcher)
    try:
        return len(scan.inspect([cache]).packages)
    finally:
        cache.close()
