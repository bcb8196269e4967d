"""What a walk of a whole ext filesystem needs, fetched in two rounds: see docs/decisions/0008.

All that is found here is a guess that saves time: the walk judges what it reads itself.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.blocks.metadata_cache import runs_to_read
from sidelight.filesystems.ext import layout
from sidelight.filesystems.ext.block_heuristics import directory_inodes
from sidelight.filesystems.ext.mapping import MOST_IN_INODE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sidelight.filesystems.ext.volume import ExtVolume


def read_ahead(volume: ExtVolume) -> None:
    """Fetch the inode tables in use, then all blocks of the directories found in them."""
    harvest = volume.harvest
    if not harvest.begin_read_ahead():
        return
    before, tables = harvest.read_before(), harvest.read_ahead(volume.tables_worth_reading())
    inodes, needed = [], []
    for offset, data in chain(before, tables):
        inodes.append(directory_inodes(volume, offset, data))
        needed.append((offset, len(data)))
    if inodes:
        roots = _roots(np.concatenate(inodes))
        size, trees = volume.block_size, _trees(volume, roots)
        runs = _runs(volume, roots) + [(place, size) for place in trees]
        for offset, data in harvest.read_ahead(runs, needed):
            # What maps a directory's further blocks shows nothing by itself of what it is.
            while trees and trees[-1] < offset + len(data):
                place = trees.pop() - offset
                if 0 <= place <= len(data) - size:
                    harvest.keep(offset + place, data[place : place + size])


def read_inodes_ahead(volume: ExtVolume, most: int) -> bool:
    """Fetch the inode tables in use, if they take `most` bytes or less; whether they do."""
    if not volume.harvest.apart:
        return False
    tables = volume.tables_worth_reading()
    if not tables or sum(length for _, length in tables) > most:
        return False
    for _ in volume.harvest.read_ahead(tables):
        pass
    return True


class _Roots(NamedTuple):
    """What directories' inodes hold of their maps: a row for each."""

    words: NDArray[np.int64]  # the 15 of a block map, or an extent tree's root
    sizes: NDArray[np.uint32]  # bytes of the directory, but for what is above 4 GiB
    mapped: NDArray[np.bool_]  # by a block map
    leaf: NDArray[np.bool_]  # by extents that are all in the inode
    deeper: NDArray[np.bool_]  # by extents in further blocks


def _roots(rows: NDArray[np.uint8]) -> _Roots:
    words = rows.view("<u4")
    root = words[:, layout.INODE_BLOCK // 4 :][:, : layout.INODE_BLOCK_SIZE // 4].astype(np.int64)
    flags = words[:, layout.INODE_FLAGS // 4]
    extents = (flags & layout.FLAG_EXTENTS != 0) & (root[:, 0] & 0xFFFF == layout.EXTENT_MAGIC)
    mapped = flags & (layout.FLAG_EXTENTS | layout.FLAG_INLINE_DATA) == 0
    deeper = root[:, 1] >> 16 > 0
    sizes = words[:, layout.INODE_SIZE // 4]
    return _Roots(root, sizes, mapped, extents & ~deeper, extents & deeper)


def _runs(volume: ExtVolume, roots: _Roots) -> list[tuple[int, int]]:
    """(offset, length) in bytes of the runs that directories' inodes themselves map."""
    size, words = volume.block_size, roots.words
    entries = words[:, 0] >> 16
    found = []
    for at in range(MOST_IN_INODE):
        count = words[:, 4 + at * 3] & 0xFFFF
        start = words[:, 5 + at * 3] | (words[:, 4 + at * 3] >> 16) << 32
        found.append((roots.leaf & (at < entries), start, count))
    blocks = -(-roots.sizes // size)
    for at in range(layout.DIRECT_BLOCKS):
        pointer = words[:, at]
        wanted = roots.mapped & (at < blocks) & (pointer > 0)
        found.append((wanted, pointer, np.ones_like(pointer)))
    most = volume.superblock.blocks
    ranges: list[tuple[int, int]] = []
    for wanted, start, count in found:
        good = wanted & (count > 0) & (start + count <= most)
        ranges += runs_to_read(start[good] * size, count[good] * size)
    return ranges


def _trees(volume: ExtVolume, roots: _Roots) -> list[int]:
    """Offsets of the blocks that directories' inodes point to for more of their map, descending."""
    indirect = roots.words[roots.mapped, layout.DIRECT_BLOCKS]
    # The first index of a tree's root; its block number's upper half is zero but on huge volumes.
    index = roots.words[roots.deeper, 4]
    blocks = np.unique(np.concatenate((indirect, index)))
    inside = blocks[(blocks > 0) & (blocks < volume.superblock.blocks)]
    return (inside[::-1] * volume.block_size).tolist()  # type: ignore[no-any-return] # numpy's stub
