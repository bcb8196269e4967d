"""Walks and inventories over a snapshot's blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight import scan
from sidelight.blocks import BlockCache
from sidelight.blocks.cache import DEFAULT_BUDGET
from sidelight.filesystems.open import open_filesystem
from sidelight.filesystems.protocol import ReadsAhead

if TYPE_CHECKING:
    from benchmarks.walks.counted import Counted
    from sidelight.filesystems.protocol import Filesystem

DIRECTORY = 2


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
    cache = BlockCache(fetcher, budget or DEFAULT_BUDGET, in_flight)
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
