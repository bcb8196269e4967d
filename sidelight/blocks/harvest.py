"""What a walk may still need of a snapshot's block, kept when the block itself must go.

A walk comes to the same block at several depths of the tree, and a machine may have more blocks
with directories in them than a cache holds. A block is 512 KiB, the directories' inodes and
entries in it a few KiB: so these are taken out of each block when it is first read, and a later
level finds them without a second call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sidelight.blocks.gather import gather
from sidelight.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sidelight.blocks.gather import Offsets
    from sidelight.blocks.source import BlockSource

    # Of the bytes at an offset: the places, and lengths, of what a walk may need.
    Scan = Callable[[int, bytes], Iterable[tuple[int, int]]]

# Bytes kept at most, with what Python's objects take.
MOST_KEPT = 64 << 20
OBJECTS = 300
# A run of zeros that is worth leaving out.
ZEROS = bytes(64)

# (before the zeros, after them)
_Piece = tuple[bytes, bytes]


class Harvest:
    """Gathers from a source, with whatever `scan` finds in the blocks that it touches."""

    def __init__(self, source: BlockSource, scan: Scan) -> None:
        self.source = source
        self._scan = scan
        # Of a file any bytes can be had again for little: then nothing is kept.
        self._unit: int = getattr(source, "unit", 0)
        self._kept: dict[int, _Piece] = {}
        self.kept_bytes = 0
        self._seen: set[int] = set()

    def gather(self, offsets: Offsets, size: int) -> tuple[bytes, dict[int, SourceError]]:
        """As gather.gather; what was kept is given once, and then let go."""
        if not self._unit:
            return gather(self.source, offsets, size)
        taken = [self._take(start, size) for start in offsets.tolist()] if self._kept else ()
        if not any(taken):
            data, errors = gather(self.source, offsets, size)
            self._harvest(offsets, size)
            return data, errors
        others = [row for row, piece in enumerate(taken) if piece is None]
        data, failed = gather(self.source, offsets[others], size)
        self._harvest(offsets[others], size)
        rest = (data[at : at + size] for at in range(0, len(data), size))
        parts = [next(rest) if piece is None else piece for piece in taken]
        return b"".join(parts), {others[at]: error for at, error in failed.items()}

    def _take(self, start: int, size: int) -> bytes | None:
        piece = self._kept.pop(start, None)
        if piece is None:
            return None
        head, tail = piece
        self.kept_bytes -= len(head) + len(tail) + OBJECTS
        data = head + bytes(max(0, size - len(head) - len(tail))) + tail
        # Of another length, it was taken for something that it is not.
        return data if len(data) == size else None

    def _harvest(self, offsets: Offsets, size: int) -> None:
        """Take what the blocks just read have for later; each block once."""
        unit = self._unit
        touched = np.unique(np.concatenate((offsets, offsets + (size - 1))) // unit).tolist()
        asked: set[int] | None = None
        for number in touched:
            if number in self._seen or self.kept_bytes > MOST_KEPT:
                continue
            self._seen.add(number)
            begin = number * unit
            try:
                data = self.source.read_at(begin, min(unit, self.source.size - begin))
            except SourceError:
                continue
            if asked is None:
                asked = set(offsets.tolist())
            for at, length in self._scan(begin, data):
                start = begin + at
                if start not in asked and at + length <= len(data):
                    self._keep(start, data[at : at + length])

    def _keep(self, start: int, data: bytes) -> None:
        cut = data.find(ZEROS)
        head, tail = (data, b"") if cut < 0 else (data[:cut], data[cut:].lstrip(b"\0"))
        self._kept[start] = head, tail
        self.kept_bytes += len(head) + len(tail) + OBJECTS
