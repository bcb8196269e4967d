"""What a walk of a whole XFS needs, fetched in few rounds: see docs/decisions/0008.

All that is found here is a guess that saves time: the walk judges what it reads itself. So nothing
is verified, and what makes no sense is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.blocks.metadata_cache import runs_to_read
from sidelight.errors import SourceError
from sidelight.filesystems.xfs import bmap, layout
from sidelight.filesystems.xfs.inodes import extent_counts, fork_ends
from sidelight.filesystems.xfs.volume import column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from sidelight.filesystems.xfs.superblock import XfsSuperblock
    from sidelight.filesystems.xfs.volume import XfsVolume

# Allocation groups that are looked at, and blocks of their inode trees: of a huge volume, some.
MOST_GROUPS = 64
MOST_BLOCKS = 4096

Ranges = list[tuple[int, int]]


class _ChunkBlock(NamedTuple):
    """A block of a group's tree of inode chunks."""

    group: int
    block: int  # in its group
    level: int  # 0 for a leaf


def heads(superblock: XfsSuperblock) -> Ranges:
    """Where the headers of the allocation groups lie, as (offset, length) in bytes."""
    size = superblock.ag_blocks << superblock.block_log
    at = layout.AGI_SECTOR * superblock.sector_size
    count = min(superblock.ag_count, MOST_GROUPS)
    return [(group * size + at, superblock.sector_size) for group in range(count)]


def read_ahead(volume: XfsVolume) -> None:
    """Fetch all chunks of inodes in use, then all blocks of the directories found in them."""
    harvest = volume.harvest
    if not harvest.begin_read_ahead():
        return
    runs = [run for _, data in harvest.read_before() for run in _runs(volume, data)]

    def fetch(ranges: Ranges) -> None:
        for _, data in harvest.read_ahead(ranges):
            runs.extend(_runs(volume, data))

    fetch(list(_chunks(volume, fetch)))
    for _ in harvest.read_ahead(runs):
        pass


def read_inodes_ahead(volume: XfsVolume, most: int) -> bool:
    """Fetch the chunks of inodes in use, if they take `most` bytes or less; whether they do."""
    harvest = volume.harvest
    if not harvest.apart:
        return False

    def fetch(ranges: Ranges) -> None:
        for _ in harvest.read_ahead(ranges):
            pass

    chunks: Ranges = []
    for chunk in _chunks(volume, fetch):
        chunks.append(chunk)
        if len(chunks) * chunk[1] > most:
            return False
    fetch(chunks)
    return bool(chunks)


def _chunks(volume: XfsVolume, fetch: Callable[[Ranges], None]) -> Iterator[tuple[int, int]]:
    """Inode chunks that are in use, as (offset, length) in bytes."""
    sb = volume.superblock
    fetch(heads(sb))
    nodes: list[_ChunkBlock] = []
    for group, (offset, length) in enumerate(heads(sb)):
        head = _read(volume, offset, length)
        if head[:4] == layout.AGI_MAGIC:
            root, level = layout.AGI_ROOT.unpack_from(head, layout.AGI_ROOT_AT)
            nodes.append(_ChunkBlock(group, root, level - 1))
    left = MOST_BLOCKS
    while nodes := nodes[:left]:
        left -= len(nodes)
        places = [(node.group * sb.ag_blocks + node.block) << sb.block_log for node in nodes]
        fetch([(place, sb.block_size) for place in places])
        below: list[_ChunkBlock] = []
        for node, place in zip(nodes, places, strict=True):
            block = _read(volume, place, sb.block_size)
            if block[:4] not in layout.INOBT_MAGICS or not 0 <= node.level < layout.INOBT_LEVELS:
                continue
            if node.level:
                below += _children(sb, node, block)
            else:
                yield from _used(sb, node.group, block)
        nodes = below


def _children(sb: XfsSuperblock, node: _ChunkBlock, block: bytes) -> Iterator[_ChunkBlock]:
    header = layout.INOBT_HEADER_V5 if sb.v5 else layout.INOBT_HEADER_V4
    room = (len(block) - header) // 8
    count = min(int.from_bytes(block[6:8], "big"), room)
    pointers = np.frombuffer(block, ">u4", count, header + room * 4).tolist()
    return (_ChunkBlock(node.group, pointer, node.level - 1) for pointer in pointers)


def _used(sb: XfsSuperblock, group: int, block: bytes) -> Iterator[tuple[int, int]]:
    """The chunks of a leaf of which not all inodes are free. Of sparse ones, all of the place."""
    header = layout.INOBT_HEADER_V5 if sb.v5 else layout.INOBT_HEADER_V4
    count = min(int.from_bytes(block[6:8], "big"), (len(block) - header) // 16)
    records = np.frombuffer(block, ">u4", count * 4, header).reshape(-1, 4)
    free = np.frombuffer(block, ">u8", count * 2, header).reshape(-1, 2)[:, 1]
    for first in records[free != np.uint64((1 << 64) - 1), 0].tolist():
        inside = (first >> sb.inodes_per_block_log) << sb.block_log
        yield (group * sb.ag_blocks << sb.block_log) + inside, 64 << sb.inode_log


def _runs(volume: XfsVolume, data: bytes) -> Ranges:
    """(offset, length) in bytes of the runs that directories' inodes in `data` map."""
    sb = volume.superblock
    size = sb.inode_size
    rows = np.frombuffer(data, np.uint8, len(data) // size * size).reshape(-1, size)
    found = column(rows, 0, ">u2") == layout.INODE_MAGIC
    found &= column(rows, layout.DI_MODE, ">u2") & 0xF000 == 0x4000
    found &= rows[:, layout.DI_FORMAT] == layout.FORMAT_EXTENTS
    rows = rows[found]
    counts = np.minimum(extent_counts(volume, rows), size // layout.EXTENT_SIZE).astype(np.int64)
    area: npt.NDArray[np.int64] = fork_ends(volume, rows) - sb.inode_core
    ranges: Ranges = []
    for at in range(int(counts.max(initial=0))):
        begin = at * layout.EXTENT_SIZE
        inside = (at < counts) & (begin + layout.EXTENT_SIZE <= area)
        extents = rows[inside, sb.inode_core + begin : sb.inode_core + begin + layout.EXTENT_SIZE]
        offsets, lengths = bmap.entries_at(volume, extents)
        ranges += runs_to_read(offsets, lengths)
    return ranges


def _read(volume: XfsVolume, offset: int, length: int) -> bytes:
    try:
        return volume.source.read_at(offset, length)
    except SourceError:
        return b""
