"""What a walk of a whole ext filesystem needs, fetched in two rounds: see docs/decisions/0301.

All that is found here is a guess that saves time: the walk judges what it reads itself.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from sidelight.filesystems.ext import layout
from sidelight.filesystems.ext.mapping import MOST_IN_INODE
from sidelight.filesystems.ext.scan import directory_inodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sidelight.filesystems.ext.volume import Volume

# Of one run of a directory's blocks, bytes: longer ones are few, and read when their turn comes.
LONGEST = 4 << 20


def read_ahead(volume: Volume) -> None:
    """Fetch the inode tables in use, then all blocks of the directories found in them."""
    harvest = volume.harvest
    if not harvest.apart:
        return
    before, tables = harvest.read_before(), harvest.read_ahead(volume.tables_worth_reading())
    found = chain(before, tables)
    inodes = [directory_inodes(volume, offset, data) for offset, data in found]
    if inodes:
        rows = np.concatenate(inodes)
        size, trees = volume.block_size, _trees(volume, rows)
        runs = _runs(volume, rows) + [(place, size) for place in trees]
        for offset, data in harvest.read_ahead(runs):
            # What maps a directory's further blocks shows nothing by itself of what it is.
            while trees and trees[-1] < offset + len(data):
                place = trees.pop() - offset
                if 0 <= place <= len(data) - size:
                    harvest.keep(offset + place, data[place : place + size])


def _runs(volume: Volume, rows: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """(offset, length) in bytes of the runs that directories' inodes tell of by themselves."""
    words = rows.view("<u4")
    size = volume.block_size
    root = words[:, layout.INODE_BLOCK // 4 :][:, : layout.INODE_BLOCK_SIZE // 4].astype(np.int64)
    flags = words[:, layout.INODE_FLAGS // 4]
    extents = (flags & layout.FLAG_EXTENTS != 0) & (root[:, 0] & 0xFFFF == layout.EXTENT_MAGIC)
    leaf = extents & (root[:, 1] >> 16 == 0)
    entries = root[:, 0] >> 16
    found = []
    for at in range(MOST_IN_INODE):
        count = root[:, 4 + at * 3] & 0xFFFF
        start = root[:, 5 + at * 3] | (root[:, 4 + at * 3] >> 16) << 32
        found.append((leaf & (at < entries), start, count))
    mapped = flags & (layout.FLAG_EXTENTS | layout.FLAG_INLINE_DATA) == 0
    blocks = -(-words[:, layout.INODE_SIZE // 4] // size)
    for at in range(layout.DIRECT_BLOCKS):
        pointer = root[:, at]
        found.append((mapped & (at < blocks) & (pointer > 0), pointer, np.ones_like(pointer)))
    most = volume.superblock.blocks
    ranges: list[tuple[int, int]] = []
    for wanted, start, count in found:
        good = wanted & (count > 0) & (start + count <= most)
        lengths = np.minimum(count[good] * size, LONGEST)
        ranges += zip((start[good] * size).tolist(), lengths.tolist(), strict=True)
    return ranges


def _trees(volume: Volume, rows: NDArray[np.uint8]) -> list[int]:
    """Offsets of the blocks that directories' inodes point to for more of their map, descending."""
    words = rows.view("<u4")
    size = volume.block_size
    root = words[:, layout.INODE_BLOCK // 4 :][:, : layout.INODE_BLOCK_SIZE // 4]
    flags = words[:, layout.INODE_FLAGS // 4]
    mapped = flags & (layout.FLAG_EXTENTS | layout.FLAG_INLINE_DATA) == 0
    indirect = root[mapped, layout.DIRECT_BLOCKS]
    extents = (flags & layout.FLAG_EXTENTS != 0) & (root[:, 0] & 0xFFFF == layout.EXTENT_MAGIC)
    # The first index of a tree's root; its block number's upper half is zero but on huge volumes.
    index = root[extents & (root[:, 1] >> 16 > 0), 4]
    blocks = np.unique(np.concatenate((indirect, index)).astype(np.int64))
    inside = blocks[(blocks > 0) & (blocks < volume.superblock.blocks)]
    return (inside[::-1] * size).tolist()  # type: ignore[no-any-return] # numpy's stub
