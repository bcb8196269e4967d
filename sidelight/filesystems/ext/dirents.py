"""Directory blocks to entries: one block in a plain loop, thousands of them in lockstep.

Source: the kernel's Documentation/filesystems/ext4/directory.rst; the checks are those of its
__ext4_check_dir_entry. Both ways give the same entries and the same faults (a law in the tests).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.filesystems.ext import layout

if TYPE_CHECKING:
    from collections.abc import Container

    from numpy.typing import NDArray

    from sidelight.filesystems.protocol import Entry

LARGEST_BLOCK = 65536
MOST_KIND = 7
# So many blocks at once make the lockstep cheaper than the loop, and so few it dearer.
LOCKSTEP = 48
FEW = 24


class DirentArea(NamedTuple):
    """What limits the entries of one block or inline area."""

    begin: int
    end: int
    most_inode: int


def decode_area(data: bytes, area: DirentArea) -> tuple[list[Entry], str]:
    """Entries of one area, and what stopped the decoding (empty where nothing did).

    "." and ".." and unused entries are left out. An entry that cannot be ends its area, as in
    the kernel's readdir.
    """
    at, end, most = area
    size = end - at
    entries: list[Entry] = []
    unpack = layout.DIRENT.unpack_from
    while at < end:
        if at + 8 > end:
            return entries, f"an entry at {at - area.begin} passes the end"
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
            return entries, f"the entry at {at - area.begin} is damaged"
        if inode:
            name = data[at + 8 : at + 8 + name_length]
            if name != b"." and name != b"..":  # noqa: PLR1714 - twice as fast as `not in`
                entries.append((name, inode, kind if kind <= MOST_KIND else 0))
        at += length
    return entries, ""


class Decoded(NamedTuple):
    """The entries of some blocks, in their order.

    `bounds` are where each block's entries begin, one more than there are blocks; `faults` go by
    block. `plain`: every name is one that a path can have, and every type is known.
    """

    entries: list[Entry]
    bounds: list[int]
    faults: dict[int, str]
    plain: bool


def decode_each(data: bytes, size: int, most_inode: int) -> Decoded:
    """Blocks of `size` bytes each, one after the other."""
    entries: list[Entry] = []
    bounds, faults = [0], {}
    for at in range(len(data) // size):
        more, fault = decode_area(data, DirentArea(at * size, (at + 1) * size, most_inode))
        entries += more
        bounds.append(len(entries))
        if fault:
            faults[at] = fault
    names = [entry[0] for entry in entries]
    plain = all(names) and are_plain(names, {entry[2] for entry in entries})
    return Decoded(entries, bounds, faults, plain)


def are_plain(names: list[bytes], kinds: Container[int]) -> bool:
    """Whether no name has a slash or a NUL in it and no type is unknown."""
    joined = b"".join(names)
    return b"/" not in joined and b"\0" not in joined and 0 not in kinds


def decode_blocks(data: bytes, size: int, most_inode: int) -> Decoded:
    """As decode_each, many at once."""
    count = len(data) // size
    words = np.frombuffer(data, dtype="<u4")
    places, faults = _sound(words, _chains(data, size), size, most_inode)
    heads = words[places + 1]
    lengths = (heads >> 16) & 0xFF
    short = lengths <= 2
    # A name of one or two bytes that is all dots.
    first = words[np.minimum(places + 2, len(words) - 1)]
    dots = short & ((first ^ 0x2E2E) & np.where(lengths == 1, 0xFF, 0xFFFF) == 0) & (lengths > 0)
    if dots.any():
        places, heads, lengths = places[~dots], heads[~dots], lengths[~dots]
    kinds = (heads >> 24).astype(np.uint8)
    kinds[kinds > MOST_KIND] = 0
    starts = places * 4 + 8
    ends = starts + lengths
    names = [data[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    known = kinds.tobytes()
    entries = list(zip(names, words[places].tolist(), known, strict=True))
    bounds = np.searchsorted(places, np.arange(count + 1) * (size // 4)).tolist()
    plain = bool((lengths > 0).all()) and are_plain(names, known)
    return Decoded(entries, bounds, faults, plain)


def _chains(data: bytes, size: int) -> NDArray[np.int64]:
    """Where entries begin, as index of a word: all that the record lengths lead to.

    The n-th entry of every block at once, and the longest blocks' last ones by themselves. A length
    that cannot be ends its block; whether it can is judged afterwards.
    """
    halves = np.frombuffer(data, dtype="<u2")
    at = np.arange(0, len(data) // 4, size // 4, dtype=np.int64)
    # The last word at which a header still lies within its block.
    last = at + size // 4 - 2
    found = [at]
    largest = size == LARGEST_BLOCK
    while len(at) > FEW:
        lengths = halves[at * 2 + 2].astype(np.int64)
        if largest:
            lengths[(lengths == 0) | (lengths == LARGEST_BLOCK - 1)] = LARGEST_BLOCK
        at = at + (lengths >> 2)
        on = (at <= last) & (lengths >= layout.DIRENT_LEAST)
        if not on.all():
            at, last = at[on], last[on]
        found.append(at)
    more: list[int] = []
    length_at = halves.item
    for place, end in zip(at.tolist(), last.tolist(), strict=True):
        while True:
            length = length_at(place * 2 + 2)
            if largest and length in {0, LARGEST_BLOCK - 1}:
                break
            place += length >> 2  # noqa: PLW2901 - it moves on
            if place > end or length < layout.DIRENT_LEAST:
                break
            more.append(place)
    found.append(np.array(more, dtype=np.int64))
    places = np.concatenate(found)
    places.sort()
    return places


def _sound(
    words: NDArray[np.uint32], places: NDArray[np.int64], size: int, most_inode: int
) -> tuple[NDArray[np.int64], dict[int, str]]:
    """The used entries before each block's first fault, and the faults by block."""
    inodes, heads = words[places], words[places + 1]
    blocks = places // (size // 4)
    at = (places - blocks * (size // 4)) * 4
    lengths = (heads & 0xFFFF).astype(np.int64)
    if size == LARGEST_BLOCK:
        lengths[(lengths == 0) | (lengths == LARGEST_BLOCK - 1)] = LARGEST_BLOCK
    left = size - at - lengths
    bad = (
        (lengths < layout.DIRENT_LEAST)
        | (lengths & 3 != 0)
        | (lengths < ((heads >> 16) & 0xFF) + 8)
        | (left < 0)
        | (inodes > most_inode)
    )
    faults: dict[int, str] = {}
    used = inodes != 0
    wrong = np.flatnonzero(bad)
    if len(wrong):
        for block, offset in zip(blocks[wrong].tolist(), at[wrong].tolist(), strict=True):
            faults.setdefault(block, f"the entry at {offset} is damaged")
        broken, first = np.unique(blocks[wrong], return_index=True)
        ends = np.full(len(words) // (size // 4), len(words), dtype=np.int64)
        ends[broken] = places[wrong[first]]
        used &= places < ends[blocks]
    # A header that would reach over the block's end.
    for index in np.flatnonzero((left > 0) & (left < 8)).tolist():
        end = at[index] + lengths[index]
        faults.setdefault(int(blocks[index]), f"an entry at {end} passes the end")
    return places[used], faults
