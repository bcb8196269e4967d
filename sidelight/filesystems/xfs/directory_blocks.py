"""Blocks of directories, verified and parsed many at once.

Leaves, nodes and free indices are never read: the data blocks alone hold every entry.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.filesystems.xfs import layout
from sidelight.filesystems.xfs.directory_entries import parse_each, parse_many
from sidelight.filesystems.xfs.volume import column, same_uuid

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from sidelight.filesystems.protocol import Entry
    from sidelight.filesystems.xfs.volume import XfsVolume

    Bytes = npt.NDArray[np.uint8]

# From this many blocks on, parsing them at once beats parsing one after the other.
MANY = 12


@dataclass(slots=True)
class Found:
    """What directories' blocks gave so far, by directory."""

    entries: dict[int, list[Entry]] = field(default_factory=dict)
    handed_on: Counter[int] = field(default_factory=Counter)  # entries, of those that come in parts
    strikes: Counter[int] = field(default_factory=Counter)  # their blocks that are none
    plain: bool = True  # whether all has sane names and known types


class DirectoryBlocks(NamedTuple):
    """Directory blocks: their bytes, where they lie (the first piece), whose they are."""

    data: bytes
    array: Bytes  # the same, shape (blocks, size)
    offsets: npt.NDArray[np.int64]
    owners: Sequence[int]
    replayed: npt.NDArray[np.bool_] | None = None  # where several pieces hide it


def parse_blocks(volume: XfsVolume, rows: DirectoryBlocks, into: Found) -> None:
    """Verify and parse blocks, all at once; entries go to `into` by directory.

    A block with a bad checksum is a Problem and is parsed all the same: what parses may be true,
    and a scan that lists less would see less.
    """
    sb = volume.superblock
    size = sb.dir_block_size
    foreign = _verify(volume, rows) if sb.v5 else set()
    header = layout.DIR_HEADER_V5 if sb.v5 else layout.DIR_HEADER_V4
    one, many = (
        (layout.DIR_BLOCK_MAGIC_V5, layout.DIR_DATA_MAGIC_V5)
        if sb.v5
        else (layout.DIR_BLOCK_MAGIC_V4, layout.DIR_DATA_MAGIC_V4)
    )
    data, array, owners = rows.data, rows.array, rows.owners
    magics = column(array, 0, ">u4")
    # The leaf entries of a block that is the whole directory are counted in its last 8 bytes.
    leaves = np.where(magics == one, column(array, size - 8, ">u4").astype(np.int64) * 8 + 8, 0)
    good = ((magics == one) | (magics == many)) & (leaves <= size - header)
    for row in np.flatnonzero(~good).tolist():
        if row not in foreign:
            volume.problem(f"inode {owners[row]}", f"no directory block at {rows.offsets[row]}")
            into.strikes[owners[row]] += 1
    good[list(foreign)] = False
    judged = np.flatnonzero(good)
    begins = judged * size + header
    ends = judged * size + size - leaves[judged]
    parsed = (
        parse_many(data, begins, ends, sb.ftype, size)
        if len(judged) >= MANY
        else parse_each(data, begins, ends, sb.ftype)
    )
    into.plain = into.plain and parsed.plain
    found = into.entries
    for row, entries in zip(judged.tolist(), parsed.blocks, strict=True):
        number = owners[row]
        if number in found:
            found[number] += entries
        else:
            found[number] = entries
    for index, fault in parsed.faults.items():
        row = int(judged[index])
        where = f"inode {owners[row]}"
        volume.problem(where, f"a directory block at {rows.offsets[row]}: {fault}")


def _verify(volume: XfsVolume, rows: DirectoryBlocks) -> set[int]:
    """Note bad checksums; returns the rows that are whole and another's: not to be parsed."""
    array, offsets = rows.array, rows.offsets
    if not len(array):
        return set()
    bad = volume.bad_checksums(rows.data, array, layout.DIR_CRC, offsets)
    if rows.replayed is not None:
        bad &= ~rows.replayed
    strange = ~same_uuid(array, layout.DIR_UUID, volume.superblock.meta_uuid)
    strange |= column(array, layout.DIR_BLKNO, ">u8") != offsets // layout.BASIC_BLOCK
    strange |= column(array, layout.DIR_OWNER, ">u8") != np.array(rows.owners, np.uint64)
    for row in np.flatnonzero(bad).tolist():
        volume.problem(
            f"inode {rows.owners[row]}", f"bad checksum of the block at {rows.offsets[row]}"
        )
    foreign = np.flatnonzero(strange & ~bad).tolist()
    for row in foreign:
        volume.problem(
            f"inode {rows.owners[row]}",
            f"the block at {offsets[row]} belongs elsewhere (UUID, place or owner differ)",
        )
    return set(foreign)
