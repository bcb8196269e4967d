"""Directory entries as they lie: in the inode (shortform) and in data blocks.

One block is parsed by a plain loop; many at once in step, an entry of every block at a time, in
numpy. Both give the same; which is quicker depends on the number of blocks alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sidelight.filesystems.protocol import Kind
from sidelight.filesystems.xfs import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from sidelight.filesystems.protocol import Entry

    Integers = npt.NDArray[np.int64]

# By the type byte of an entry; 8 is a whiteout of overlayfs, a character device.
KINDS = (*(int(kind) for kind in Kind), int(Kind.CHARACTER))
_KIND_TABLE = np.array([*KINDS, *[0] * (256 - len(KINDS))], np.uint8)

_FIRST_HOLE = np.uint64(layout.DIR_FREE_TAG)
_DOT = ord(".")


def parse_shortform(area: bytes, size: int, ftype: bool) -> tuple[list[Entry], str]:
    """Entries of a directory in its inode's fork (Short Form Directories), and what is wrong."""
    entries: list[Entry] = []
    if size > len(area) or size < 6:
        return entries, f"impossible size {size} of a directory in its inode"
    count, large = area[0], area[1]
    width = 8 if large else 4
    kinds = KINDS
    at = 2 + width
    tail = width + (1 if ftype else 0)
    for _ in range(count):
        if at + 3 > size:
            return entries, "a directory in its inode ends within an entry"
        length = area[at]
        name_end = at + 3 + length
        end = name_end + tail
        if end > size or not length:
            return entries, "a directory in its inode ends within an entry"
        kind = area[name_end] if ftype else 0
        number = int.from_bytes(area[end - width : end], "big")
        entries.append((area[at + 3 : name_end], number, kinds[kind] if kind < 9 else 0))
        at = end
    return entries, "" if at == size else "bytes left over in a directory in its inode"


def parse_block(data: bytes, start: int, end: int, ftype: bool, entries: list[Entry]) -> str:
    """Append a data block's entries between two offsets; returns what is wrong, empty if nothing.

    (Block and Leaf Directories: u64 inode, u8 length, name, u8 type where the filesystem stores
    it, padding to 8, u16 own offset. A hole has 0xffff and its length in the inode's place.)
    """
    unpack = layout.DIR_ENTRY.unpack_from
    hole = layout.DIR_FREE_TAG
    kinds = KINDS
    append = entries.append
    extra = 19 if ftype else 18  # 11 or 12 bytes around the name, rounded up to 8
    at = start
    last = end - 16
    while at <= last:
        number, length = unpack(data, at)
        if number >= hole:
            skip = (number >> 32) & 0xFFFF
            if skip < 8 or skip & 7:
                return f"impossible entry at {at}"
            at += skip
            continue
        begin = at + 9
        at += (length + extra) & ~7
        if at > end or not length:
            return f"impossible entry at {begin - 9}"
        stop = begin + length
        name = data[begin:stop]
        if length <= 2 and name in (b".", b".."):
            continue
        kind = data[stop] if ftype else 0
        append((name, number, kinds[kind] if kind < 9 else 0))
    return "" if at == end or (at > last and _is_hole(data, at, end)) else f"stray bytes at {at}"


def _is_hole(data: bytes, at: int, end: int) -> bool:
    """Whether a last hole of 8 bytes ends exactly here."""
    return at + 8 == end and data[at : at + 4] == b"\xff\xff\x00\x08"


def parse_each(
    data: bytes, bounds: Sequence[tuple[int, int]], ftype: bool
) -> tuple[list[list[Entry]], dict[int, str]]:
    """As parse_many, one block after the other."""
    blocks: list[list[Entry]] = []
    faults: dict[int, str] = {}
    for index, (start, end) in enumerate(bounds):
        entries: list[Entry] = []
        if fault := parse_block(data, start, end, ftype, entries):
            faults[index] = fault
        blocks.append(entries)
    return blocks, faults


def parse_many(
    data: bytes, bounds: Sequence[tuple[int, int]], ftype: bool
) -> tuple[list[list[Entry]], dict[int, str]]:
    """As parse_block for every (start, end) of `bounds`, which ascend and are multiples of 8.

    Returns each block's entries, and what is wrong by index.
    """
    words = np.frombuffer(data, ">u8", len(data) // 8)
    octets = np.frombuffer(data, np.uint8)
    at = np.array([start for start, _ in bounds], np.int64)
    ends = np.array([end for _, end in bounds], np.int64)
    rows = np.arange(len(bounds))
    faults: dict[int, str] = {}
    found: list[tuple[Integers, Integers]] = []  # rows, where their entries are
    extra = 19 if ftype else 18
    while len(rows):
        going = at <= ends - 16
        for row, stop in zip(rows[~going].tolist(), at[~going].tolist(), strict=True):
            if stop != bounds[row][1] and not _is_hole(data, stop, bounds[row][1]):
                faults[row] = f"stray bytes at {stop}"
        at, ends, rows = at[going], ends[going], rows[going]
        head = words[at >> 3].astype(np.uint64)
        length = octets[at + 8].astype(np.int64)
        hole = head >= _FIRST_HOLE
        skip = ((head >> np.uint64(32)) & np.uint64(0xFFFF)).astype(np.int64)
        following = at + np.where(hole, skip, (length + extra) & ~7)
        good = np.where(hole, (skip >= 8) & (skip & 7 == 0), (length > 0) & (following <= ends))
        if not good.all():
            for row, stop in zip(rows[~good].tolist(), at[~good].tolist(), strict=True):
                faults[row] = f"impossible entry at {stop}"
            at, ends, rows = at[good], ends[good], rows[good]
            hole, following = hole[good], following[good]
        found.append((rows[~hole], at[~hole]))
        at = following
    return _entries(data, found, len(bounds), ftype), faults


def _entries(
    data: bytes, found: Sequence[tuple[Integers, Integers]], count: int, ftype: bool
) -> list[list[Entry]]:
    """The entries of `count` blocks, from where each entry begins; without the dots."""
    octets = np.frombuffer(data, np.uint8)
    at = np.concatenate([places for _, places in found]) if found else np.zeros(0, np.int64)
    rows = np.concatenate([rows for rows, _ in found]) if found else np.zeros(0, np.int64)
    length = octets[at + 8].astype(np.int64)
    dots = (octets[at + 9] == _DOT) & (length <= 2) & (octets[at + 8 + length] == _DOT)
    order = np.argsort(at[~dots], kind="stable")
    at, rows, length = at[~dots][order], rows[~dots][order], length[~dots][order]
    begin = at + 9
    end = begin + length
    kinds = _KIND_TABLE[octets[end]].tolist() if ftype else [0] * len(at)
    numbers = np.frombuffer(data, ">u8", len(data) // 8)[at >> 3].tolist()
    names = [data[a:b] for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
    entries = list(zip(names, numbers, kinds, strict=True))
    cuts = np.searchsorted(rows, np.arange(count + 1)).tolist()
    return [entries[a:b] for a, b in pairwise(cuts)]
