"""Directory blocks to entries: one block in a plain loop, thousands of them in lockstep.

Source: the kernel's Documentation/filesystems/ext4/directory.rst; the checks are those of its
__ext4_check_dir_entry. Both ways give the same entries and the same faults (a law in the tests).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.filesystems.ext import layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sidelight.filesystems.protocol import Entry

LARGEST_BLOCK = 65536
MOST_KIND = 7
# So many blocks at once make the lockstep cheaper than the loop.
LOCKSTEP = 48


class Region(NamedTuple):
    """What limits the entries of one block or inline area."""

    begin: int
    end: int
    most_inode: int


def decode_region(data: bytes, region: Region) -> tuple[list[Entry], str]:
    """Entries of one region, and what stopped the decoding (empty where nothing did).

    "." and ".." and unused entries are left out. An entry that cannot be ends its region, as in
    the kernel's readdir.
    """
    at, end, most = region
    size = end - at
    entries: list[Entry] = []
    unpack = layout.DIRENT.unpack_from
    while at < end:
        if at + 8 > end:
            return entries, f"an entry at {at - region.begin} passes the end"
        inode, length, name_length, kind = unpack(data, at)
        if size == LARGEST_BLOCK and length in {0, LARGEST_BLOCK - 1}:
            length = LARGEST_BLOCK
        if (
            length < layout.DIRENT_LEAST
            or length & 3
            or length < name_length + 8
            or at + length > end
            or inode > most
        ):
            return entries, f"the entry at {at - region.begin} is damaged"
        if inode:
            name = data[at + 8 : at + 8 + name_length]
            if name != b"." and name != b"..":  # noqa: PLR1714 - twice as fast as `not in`
                entries.append((name, inode, kind if kind <= MOST_KIND else 0))
        at += length
    return entries, ""


def decode_blocks(
    data: bytes, size: int, most_inode: int
) -> tuple[list[Entry], list[int], dict[int, str]]:
    """Entries of many blocks of `size` bytes each, in the blocks' order.

    Returns all entries in one list, where each block's entries begin in it (one more than there
    are blocks), and the faults by block.
    """
    count = len(data) // size
    words = np.frombuffer(data, dtype="<u4")
    bases = np.arange(count, dtype=np.int64) * (size // 4)
    blocks, places, faults = _lockstep(words, bases, size, most_inode)
    order = np.argsort(blocks, kind="stable")
    blocks, places = blocks[order], places[order]
    heads = words[places + 1]
    lengths = (heads >> 16) & 0xFF
    first = words[np.minimum(places + 2, len(words) - 1)]
    dots = ((lengths == 1) & (first & 0xFF == 0x2E)) | ((lengths == 2) & (first & 0xFFFF == 0x2E2E))
    keep = ~dots
    blocks, places, heads, lengths = blocks[keep], places[keep], heads[keep], lengths[keep]
    kinds = heads >> 24
    kinds[kinds > MOST_KIND] = 0
    starts = places * 4 + 8
    ends = starts + lengths
    names = [data[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    entries = list(zip(names, words[places].tolist(), kinds.tolist(), strict=True))
    bounds = np.searchsorted(blocks, np.arange(count + 1)).tolist()
    return entries, bounds, faults


def _lockstep(
    words: NDArray[np.uint32], bases: NDArray[np.int64], size: int, most_inode: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[int, str]]:
    """The n-th entry of every block at once: (block, word index) of each used entry."""
    found_blocks: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    found_places: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    faults: dict[int, str] = {}
    blocks = np.arange(len(bases), dtype=np.int64)
    at = np.zeros(len(bases), dtype=np.int64)  # bytes
    while len(blocks):
        places = bases[blocks] + (at >> 2)
        inodes, heads = words[places], words[places + 1]
        lengths = (heads & 0xFFFF).astype(np.int64)
        if size == LARGEST_BLOCK:
            lengths[(lengths == 0) | (lengths == LARGEST_BLOCK - 1)] = LARGEST_BLOCK
        names = (heads >> 16) & 0xFF
        bad = (
            (lengths < layout.DIRENT_LEAST)
            | (lengths & 3 != 0)
            | (lengths < names + 8)
            | (at + lengths > size)
            | (inodes > most_inode)
        )
        if bad.any():
            for block, offset in zip(blocks[bad].tolist(), at[bad].tolist(), strict=True):
                faults[block] = f"the entry at {offset} is damaged"
        used = (inodes != 0) & ~bad
        found_blocks.append(blocks[used])
        found_places.append(places[used])
        at += lengths
        left = ~bad & (at < size)
        # A header that starts in a block's last bytes would be read from the next block.
        short = left & (at + 8 > size)
        if short.any():
            for block, offset in zip(blocks[short].tolist(), at[short].tolist(), strict=True):
                faults[block] = f"an entry at {offset} passes the end"
            left &= ~short
        blocks, at = blocks[left], at[left]
    return np.concatenate(found_blocks), np.concatenate(found_places), faults
