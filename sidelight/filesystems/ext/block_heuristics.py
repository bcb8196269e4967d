"""Which parts of a stretch of disk look like what a walk reads: a guess, which only saves calls.

What is found here is judged like all else when it is read: a wrong guess costs some memory, a
missed one a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from sidelight.filesystems.ext import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sidelight.filesystems.ext.superblock import ExtSuperblock

DIRECTORY_MODE = 0x4  # of the mode's upper four bits
FIRST_INODE = 11


class Geometry(Protocol):
    """What of a volume the guesses need."""

    superblock: ExtSuperblock
    block_size: int

    def in_tables(self, first: int, count: int) -> NDArray[np.bool_]:
        """Which of `count` blocks from `first` are of inode tables."""


def scan(volume: Geometry, offset: int, data: bytes) -> Iterator[tuple[int, int]]:
    """(place in `data`, length) of directories' inodes and of blocks that hold entries.

    `data` lies at byte `offset`. Inode tables are known where their group descriptors were read.
    """
    size = volume.block_size
    begin = -offset % size
    count = (len(data) - begin) // size
    if count <= 0:
        return
    first = (offset + begin) // size
    table = volume.in_tables(first, count)
    blocks = np.frombuffer(data, "<u4", count * size // 4, begin).reshape(count, -1)
    inode = volume.superblock.inode_size
    yield from ((place, inode) for place in _inode_places(volume, blocks, table, begin).tolist())
    likely = ~table & _looks_like_entries(volume, blocks)
    yield from ((begin + at * size, size) for at in np.flatnonzero(likely).tolist())


def directory_inodes(volume: Geometry, offset: int, data: bytes) -> NDArray[np.uint8]:
    """The directories' inodes in this stretch, as rows of inode_size bytes."""
    size, inode = volume.block_size, volume.superblock.inode_size
    begin = -offset % size
    count = (len(data) - begin) // size
    table = volume.in_tables((offset + begin) // size, count)
    blocks = np.frombuffer(data, "<u4", count * size // 4, begin).reshape(count, -1)
    places = _inode_places(volume, blocks, table, begin)
    whole = np.frombuffer(data, np.uint8)
    rows: NDArray[np.uint8] = whole[places[:, np.newaxis] + np.arange(inode)]
    return rows


def _inode_places(
    volume: Geometry, blocks: NDArray[np.uint32], table: NDArray[np.bool_], begin: int
) -> NDArray[np.int64]:
    """Where directories' inodes in use lie, of blocks of which some are of inode tables."""
    inode = volume.superblock.inode_size
    words = blocks[table].view("<u2").reshape(-1, inode // 2)
    used = (words[:, layout.INODE_MODE // 2] >> 12 == DIRECTORY_MODE) & (
        words[:, layout.INODE_LINKS // 2] > 0
    )
    rows = np.flatnonzero(used)
    block, row = np.divmod(rows, volume.block_size // inode)
    places: NDArray[np.int64] = np.flatnonzero(table)[block] * volume.block_size + row * inode
    return places + begin


def _looks_like_entries(volume: Geometry, blocks: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """By the first entry, which begins every block of directories but a hash tree's index."""
    head = blocks[:, 1]
    length, name = head & 0xFFFF, (head >> 16) & 0xFF
    likely: NDArray[np.bool_] = (length & 3 == 0) & (length >= name + 8) & (name > 0)
    likely &= (length <= volume.block_size) & (head >> 24 <= 7)
    likely &= blocks[:, 0] <= volume.superblock.inodes
    # One that was emptied, or never used (lost+found): a single entry without an inode and a name.
    tail = layout.DIRENT_TAIL if volume.superblock.metadata_csum else 0
    likely |= (blocks[:, 0] == 0) & (head == volume.block_size - tail)
    if volume.superblock.metadata_csum:
        likely &= (blocks[:, -3] == 0) & (blocks[:, -2] == layout.DIRENT_TAIL_WORD)
    return likely
