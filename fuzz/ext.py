"""Mutated ext images: only our own errors, no hang.

An input chooses one of the committed tiny images and a list of changes to its blocks that are not
zeros. So that checksums don't hide everything behind them, on half of the inputs all are right.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from sidelight.blocks import OverlaySource
from sidelight.errors import OutOfRangeError, SidelightError
from sidelight.filesystems.ext import directories, fastcommit, inodes, mapping, recovery
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.protocol import InodeKind
from tests.images.ext import tiny

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.blocks import BlockSource

PIECE = 1024
UNIT = 64 << 10  # of a source whose blocks come by calls: half of the inputs
# The cheap ones more often.
CHOICES = tuple(
    name for name, times in zip(tiny.NAMES, (4, 2, 4, 3, 1, 2), strict=True) for _ in range(times)
)
CHANGE = struct.Struct("<HHBB")  # which piece, where in it, how, with what
MOST_PATHS = 20_000


class Memory:
    """A BlockSource over bytes, `size` of them at most. `unit` as a BlockCache's, or 0."""

    def __init__(self, name: str, data: bytes, size: int, unit: int = 0) -> None:
        self.name = name
        self.unit = unit
        self.size = size
        self._data = data

    def read_at(self, offset: int, length: int) -> bytes:
        """As any source."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise OutOfRangeError(f"{length} bytes at {offset}", where=self.name)
        return self._data[offset : offset + length]

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Nothing is far; but the ranges must be numbers."""
        for offset, length in ranges:
            if not isinstance(offset + length, int):
                raise TypeError(f"{offset!r}, {length!r}")


@lru_cache(maxsize=16)
def pieces(name: str) -> tuple[int, ...]:
    """The pieces of an image that hold anything, the superblock's the first."""
    data = tiny.load(name)
    blank = bytes(PIECE)
    places = range(len(data) // PIECE)
    return tuple(at for at in places if data[at * PIECE : (at + 1) * PIECE] != blank)


def mutate(data: bytes) -> BlockSource:
    """The image that these bytes stand for."""
    name = CHOICES[data[0] % len(CHOICES)] if data else CHOICES[0]
    whole = tiny.load(name)
    order = pieces(name)
    changed: dict[int, bytes] = {}
    for piece, where, how, what in CHANGE.iter_unpack(data[2 : 2 + (len(data) - 2) // 6 * 6]):
        index = order[piece % len(order)]
        content = bytearray(changed.get(index) or whole[index * PIECE : (index + 1) * PIECE])
        at = where % PIECE
        if how % 4 == 0:
            content[at] ^= 1 << what % 8
        elif how % 4 == 1:
            content[at] = what
        elif how % 4 == 2:
            content[at : at + 4] = bytes((what,)) * min(4, PIECE - at)
        else:
            other = order[what % len(order)] * PIECE
            content[at : at + 64] = whole[other + at : other + at + 64][: PIECE - at]
        changed[index] = bytes(content[:PIECE])
    size = len(whole)
    if len(data) > 1 and data[1] & 6 == 6:
        size = size * data[1] // 256 // 512 * 512
    unit = UNIT if len(data) > 1 and data[1] & 8 else 0
    return OverlaySource(Memory(name, whole, size, unit), PIECE, changed)


def use(source: BlockSource) -> None:
    """Read all there is. Raises what a reader must not raise."""
    try:
        fs = ExtFilesystem(source)
    except SidelightError:
        return
    fs.read_ahead()
    found = {fs.root: int(InodeKind.DIRECTORY)}
    level, paths = [fs.root], 0
    while level and paths < MOST_PATHS:
        below = []
        for _, entries in fs.directories(level):
            paths += len(entries)
            for name, number, kind in entries:
                if b"/" in name or not name or b"\0" in name:
                    raise AssertionError(f"a name no path can have: {name!r}")
                if number not in found and kind == InodeKind.DIRECTORY:
                    below.append(number)
                found.setdefault(number, kind)
        level = below
    fs.inodes(list(found))
    for _ in fs.contents(list(found), 1 << 20):
        pass
    for number, kind in list(found.items())[:8]:
        with suppress(SidelightError):
            fs.readlink(number) if kind == InodeKind.SYMLINK else fs.read(number, 1000, 5000)


# What verifies checksums, and what says instead that all are right.
CHECKS: tuple[tuple[Any, str, Any], ...] = (
    (inodes.Inodes, "_bad_checksums", lambda _, ids, *__: np.zeros(len(ids), dtype=np.bool_)),
    (directories.Directories, "_verify", lambda *_: None),
    (mapping.Mapper, "_tree_block_sound", lambda *_: True),
    (recovery, "_tail_sound", lambda *_: True),
    (recovery, "_commit_sound", lambda *_: True),
    (recovery, "_sound_blocks", lambda _, tags, __: [True] * len(tags)),
    (fastcommit, "_same", lambda *_: True),
)
ORIGINALS = tuple(getattr(owner, name) for owner, name, _ in CHECKS)


def one(data: bytes) -> int:
    """One input."""
    source = mutate(data)
    if data[1:2] and data[1] & 1:
        for owner, name, lenient in CHECKS:
            setattr(owner, name, lenient)
    try:
        use(source)
    finally:
        for (owner, name, _), original in zip(CHECKS, ORIGINALS, strict=True):
            setattr(owner, name, original)
    return 1
