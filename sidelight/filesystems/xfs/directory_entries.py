"""Directory entries as they lie: in the inode (shortform) and in data blocks.

One block is parsed by a plain loop; many at once in numpy, from the ends of their entries, with the
loop for those that this does not settle. Both give the same; which is quicker depends on the number
of blocks alone.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.xfs import layout

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    import numpy.typing as npt

    from sidelight.filesystems.protocol import Entry

    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

# By the type byte of an entry; 8 is a whiteout of overlayfs, a character device.
KINDS = (*(int(kind) for kind in InodeKind), int(InodeKind.CHARACTER))
_KIND_TABLE = np.array([*KINDS, *[0] * (256 - len(KINDS))], np.uint8)

_FIRST_HOLE = np.uint64(layout.DIR_FREE_TAG)
_DOT = ord(".")


def _shortform_entries(number: str, kind: str) -> tuple[Struct, ...]:
    """An entry's layout by the length of its name: length, offset, name, type, inode number."""
    return tuple(Struct(f">3x{length}s{kind}{number}") for length in range(256))


# By whether inode numbers are large, then whether types are stored.
_SHORTFORM = {
    (large, ftype): _shortform_entries("Q" if large else "I", "B" if ftype else "")
    for large in (False, True)
    for ftype in (False, True)
}


def parse_shortform(area: bytes, size: int, ftype: bool) -> tuple[list[Entry], str]:
    """Entries of a directory in its inode's fork (Short Form Directories), and what is wrong."""
    entries: list[Entry] = []
    if size > len(area) or size < 6:
        return entries, f"impossible size {size} of a directory in its inode"
    count, large = area[0], bool(area[1])
    layouts = _SHORTFORM[large, ftype]
    around = layouts[0].size
    kinds = KINDS
    append = entries.append
    at = 10 if large else 6
    for _ in range(count):
        # The length of a name that the fork has no byte for counts as none.
        length = area[at] if at < size else 0
        end = at + around + length
        if end > size or not length:
            return entries, "a directory in its inode ends within an entry"
        if ftype:
            name, kind, number = layouts[length].unpack_from(area, at)
            append((name, number, kinds[kind] if kind < 9 else 0))
        else:
            name, number = layouts[length].unpack_from(area, at)
            append((name, number, 0))
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


class Parsed(NamedTuple):
    """The entries of some blocks, and what is wrong with each by its index.

    `plain`: every name is one that a path can have, and every type is known.
    """

    blocks: list[list[Entry]]
    faults: dict[int, str]
    plain: bool


def are_plain(names: Iterable[bytes], kinds: Container[int]) -> bool:
    """Whether no name has a slash or a NUL in it and no type is unknown."""
    joined = b"".join(names)
    return b"/" not in joined and b"\0" not in joined and 0 not in kinds


def parse_each(data: bytes, begins: Integers, ends: Integers, ftype: bool) -> Parsed:
    """As parse_many, one block after the other."""
    blocks: list[list[Entry]] = []
    faults: dict[int, str] = {}
    for index, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        entries: list[Entry] = []
        if fault := parse_block(data, begin, end, ftype, entries):
            faults[index] = fault
        blocks.append(entries)
    found = [entry for entries in blocks for entry in entries]
    plain = are_plain([entry[0] for entry in found], {entry[2] for entry in found})
    return Parsed(blocks, faults, plain)


def parse_many(data: bytes, begins: Integers, ends: Integers, ftype: bool, size: int) -> Parsed:
    """As parse_block between each of `begins` and its end: multiples of 8, ascending.

    `data` is whole blocks of `size` bytes; each is asked for at most once, without its header.
    Entries and holes end with the place where they begin in the block, so all of these ends are
    looked for at once, and what the first entry does not lead to is dropped again: bytes of names
    that look like an end, and what was left over in holes. The rest is what a loop would have met.
    Blocks in which it does not lead to the end, as in damaged ones, are left to the loop.
    """
    at, after = _measured(data, *_candidates(data, begins, ends, size), ftype)
    reached = _reached(at, after, begins)
    last = np.zeros(len(data) // 8 + 1, np.bool_)
    last[begins >> 3] = True
    last[after[reached] >> 3] = True
    settled = last[ends >> 3]
    at = at[reached]
    if settled.all():
        return _entries(data, at, begins, ftype)
    whole = np.zeros(len(data) // size, np.bool_)
    whole[begins[settled] // size] = True
    parsed = _entries(data, at[whole[at // size]], begins, ftype)
    rest = np.flatnonzero(~settled).tolist()
    looped = parse_each(data, begins[rest], ends[rest], ftype)
    for index, entries in zip(rest, looped.blocks, strict=True):
        parsed.blocks[index] = entries
    faults = {rest[index]: fault for index, fault in looped.faults.items()}
    return Parsed(parsed.blocks, faults, parsed.plain and looped.plain)


def _candidates(
    data: bytes, begins: Integers, ends: Integers, size: int
) -> tuple[Integers, Integers]:
    """Where entries and holes may begin and end, by the last two bytes of every eight."""
    # Native words of tags that are big-endian: the masks have their bytes in memory's order.
    tags = np.ascontiguousarray(np.frombuffer(data, np.uint16)[3::4])
    impossible = np.frombuffer((~(size - 8) & 0xFFFF).to_bytes(2, "big"), np.uint16)[0]
    likely = (tags & impossible) == 0
    likely &= tags != 0
    found = np.flatnonzero(likely)
    tags = tags[found].view(">u2").astype(np.int64)
    block = found * 8 // size
    at = block * size + tags
    after = found * 8 + 8
    # By block: none but those asked for.
    lowest = np.full(len(data) // size, len(data), np.int64)
    highest = np.zeros(len(data) // size, np.int64)
    lowest[begins // size] = begins
    highest[begins // size] = ends
    inside = (at >= lowest[block]) & (after <= highest[block]) & (at < after)
    return at[inside], after[inside]


def _measured(data: bytes, at: Integers, after: Integers, ftype: bool) -> tuple[Integers, Integers]:
    """Those whose own length leads from their beginning to their end."""
    words, octets = np.frombuffer(data, ">u8"), np.frombuffer(data, np.uint8)
    head = words[at >> 3].astype(np.uint64)
    # A hole of 8 bytes may be the last word of all.
    length = octets[np.minimum(at + 8, len(octets) - 1)].astype(np.int64)
    hole = head >= _FIRST_HOLE
    skip = ((head >> np.uint64(32)) & np.uint64(0xFFFF)).astype(np.int64)
    extra = 19 if ftype else 18
    right = np.where(hole, skip, (length + extra) & ~7) == after - at
    right &= hole | (length > 0)
    return at[right], after[right]


def _reached(at: Integers, after: Integers, begins: Integers) -> Flags:
    """Which pieces the blocks' first bytes lead to, one piece after the other.

    No two have the same beginning or the same end. So each has one before it, and is lost if that
    is lost or was never there.
    """
    alive = np.ones(len(at), np.bool_)
    joint = np.zeros(int(max(after.max(initial=0), begins.max(initial=0))) // 8 + 1, np.bool_)
    joint[after >> 3] = True
    joint[begins >> 3] = True
    lost = np.flatnonzero(~joint[at >> 3])
    if len(lost):
        order = np.argsort(at)
        ordered = at[order]
        while len(lost):
            alive[lost] = False
            goes_to = after[lost]
            places = np.minimum(np.searchsorted(ordered, goes_to), len(at) - 1)
            lost = order[places[ordered[places] == goes_to]]
    return alive


def _entries(data: bytes, at: Integers, begins: Integers, ftype: bool) -> Parsed:
    """The blocks' entries, without the dots and holes, from where each begins."""
    octets, words = np.frombuffer(data, np.uint8), np.frombuffer(data, ">u8")
    head = words[at >> 3].astype(np.uint64)
    kept = head < _FIRST_HOLE
    at, head = at[kept], head[kept]
    length = octets[at + 8].astype(np.int64)
    end = at + 9 + length
    if (dots := (length <= 2) & (octets[at + 9] == _DOT) & (octets[end - 1] == _DOT)).any():
        at, head, end = at[~dots], head[~dots], end[~dots]
    kinds = _KIND_TABLE[octets[end]].tobytes() if ftype else bytes(len(at))
    names = [data[a:b] for a, b in zip((at + 9).tolist(), end.tolist(), strict=True)]
    entries = list(zip(names, head.tolist(), kinds, strict=True))
    cuts = [*np.searchsorted(at, begins).tolist(), len(entries)]
    return Parsed([entries[a:b] for a, b in pairwise(cuts)], {}, are_plain(names, kinds))
