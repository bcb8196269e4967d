"""What a walk may still need of a snapshot's block, kept when the block itself must go.

A walk comes to the same block at several depths of the tree, and a machine may have more blocks
with directories in them than a cache holds. A block is 512 KiB, the directories' inodes and
entries in it a few KiB: so these are taken out of each block when it is first read, and a later
level finds them without a second call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sidelight.blocks.scatter_read import gather
from sidelight.blocks.source import touch
from sidelight.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    import numpy.typing as npt

    from sidelight.blocks.scatter_read import Offsets
    from sidelight.blocks.source import BlockSource

    # Of the bytes at an offset: the places, and lengths, of what a walk may need.
    Scan = Callable[[int, bytes], Iterable[tuple[int, int]]]
    # Of a whole block: what is kept of it for good.
    Sample = Callable[[bytes], bytes]

# Bytes kept at most, with what Python's objects take.
MOST_KEPT = 64 << 20
OBJECTS = 300
# Blocks that are read ahead at once: as these are looked through, as many more are under way.
AHEAD = 48
# Of one run of a directory's blocks, bytes: longer ones are few, and read when their turn comes.
LONGEST_RUN = 4 << 20
# A run of zeros that is worth leaving out.
ZEROS = bytes(64)

# What is so small is kept as it is.
SMALL = 512
# The bytes, or (before the zeros, after them).
_Piece = bytes | tuple[bytes, bytes]


class MetadataCache:
    """Gathers from a source, with whatever `scan` finds in the blocks that it touches."""

    def __init__(self, source: BlockSource, scan: Scan, sample: Sample | None = None) -> None:
        """`sample` makes the bytes of each block that are kept for good, in `samples`."""
        self.source = source
        self._scan = scan
        self._sample = sample
        # By block: its sample, a byte for each inode that could lie in it.
        self.samples: dict[int, bytes] = {}
        # Of a file any bytes can be had again for little: then nothing is kept.
        self._unit: int = getattr(source, "unit", 0)
        self._kept: dict[int, _Piece] = {}
        self.kept_bytes = 0
        self._seen: set[int] = set()
        self._is_read_ahead = False

    @property
    def apart(self) -> bool:
        """Whether the source's bytes come in blocks, each of which costs a call."""
        return self._unit > 0

    def begin_read_ahead(self) -> bool:
        """Whether to fetch ahead what a walk needs: the source has blocks, and nobody did yet."""
        begins = self.apart and not self._is_read_ahead
        self._is_read_ahead = True
        return begins

    def gather(self, offsets: Offsets, size: int) -> tuple[bytes, dict[int, SourceError]]:
        """As gather.gather; what was kept is given once, and then let go."""
        if not self._unit:
            return gather(self.source, offsets, size)
        taken = [self.take(start, size) for start in offsets.tolist()] if self._kept else ()
        kept = [piece for piece in taken if piece is not None]
        if not kept:
            data, errors = gather(self.source, offsets, size)
            self._harvest(offsets, size)
            return data, errors
        if len(kept) == len(taken):
            return b"".join(kept), {}
        others = [row for row, piece in enumerate(taken) if piece is None]
        data, failed = gather(self.source, offsets[others], size)
        self._harvest(offsets[others], size)
        rest = (data[at : at + size] for at in range(0, len(data), size))
        parts = [next(rest) if piece is None else piece for piece in taken]
        return b"".join(parts), {others[at]: error for at, error in failed.items()}

    def has(self, start: int) -> bool:
        """Whether something of this place is kept."""
        return start in self._kept

    def take(self, start: int, size: int) -> bytes | None:
        """What was kept of just this place, which is let go; None where nothing was."""
        piece = self._kept.pop(start, None)
        if piece is None:
            return None
        if isinstance(piece, tuple):
            head, tail = piece
            kept = len(head) + len(tail)
            data = head + bytes(max(0, size - kept)) + tail
        else:
            data, kept = piece, len(piece)
        self.kept_bytes -= kept + OBJECTS
        # Of another length, it was taken for something that it is not.
        return data if len(data) == size else None

    def _harvest(self, offsets: Offsets, size: int) -> None:
        """Take what the blocks just read have for later; each block once."""
        unit = self._unit
        touched = np.unique(np.concatenate((offsets, offsets + (size - 1))) // unit).tolist()
        fresh = [number for number in touched if number not in self._seen]
        if fresh and self.kept_bytes <= MOST_KEPT:
            requested = set(offsets.tolist())
            for number in fresh:
                self._take_out(number, self._whole(number), requested)

    def read_blocks(self, numbers: Sequence[int]) -> None:
        """Read whole blocks, many at once, for their samples; what a walk may need is kept."""
        wanted = [number for number in numbers if number not in self.samples]
        for at in range(0, len(wanted), AHEAD):
            window = wanted[at : at + AHEAD]
            self._prefetch(window)
            for number in window:
                data = self._whole(number)
                self._take_out(number, data, frozenset())
                self._pick(number, data)

    def _pick(self, number: int, data: bytes) -> None:
        if self._sample is not None and data and number not in self.samples:
            self.samples[number] = self._sample(data)

    def read_ahead(
        self, ranges: Iterable[tuple[int, int]], needed: Sequence[tuple[int, int]] = ()
    ) -> Iterator[tuple[int, bytes]]:
        """Fetch the blocks of these (offset, length), many at once, and keep what a walk may need.

        Gives the offset and bytes of each that was not read before. It asks for no more where much
        is kept already, or where half of the blocks had nothing: the walk reads what it needs.
        `needed` was read before, and is read again after the walk: these push it out last.
        """
        unit = self._unit
        numbers: set[int] = set()
        for offset, length in ranges:
            numbers.update(range(offset // unit, (offset + length - 1) // unit + 1))
        ordered = sorted(numbers - self._seen)
        self._prefetch(ordered[:AHEAD])
        going_on = True
        for at in range(0, len(ordered), AHEAD):
            window = ordered[at : at + AHEAD]
            following = ordered[at + AHEAD : at + 2 * AHEAD] if going_on else []
            touch(self.source, needed)
            self._prefetch(following)
            useful = 0
            for number in window:
                data = self._whole(number)
                useful += self._take_out(number, data, frozenset())
                if data:
                    yield number * unit, data
            going_on = self.kept_bytes <= MOST_KEPT // 2 and useful * 2 >= len(window)
            if not following:
                return

    def read_before(self) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of each block that was read so far; mostly they are still at hand."""
        for number in sorted(self._seen):
            if data := self._whole(number):
                yield number * self._unit, data

    def _prefetch(self, numbers: Sequence[int]) -> None:
        self.source.prefetch([(number * self._unit, self._unit) for number in numbers])

    def _whole(self, number: int) -> bytes:
        """A block of the source's; empty where it cannot be had."""
        begin = number * self._unit
        try:
            return self.source.read_at(begin, min(self._unit, self.source.size - begin))
        except SourceError:
            return b""

    def _take_out(self, number: int, data: bytes, requested: AbstractSet[int]) -> bool:
        """Keep what the scan finds in a block, without what is `asked` for now.

        Whether there is, or was, anything.
        """
        if number in self._seen or self.kept_bytes > MOST_KEPT:
            return True
        if not data:
            return False
        self._seen.add(number)
        self._pick(number, data)
        begin = number * self._unit
        before = len(self._kept)
        for at, length in self._scan(begin, data):
            if begin + at not in requested and at + length <= len(data):
                self.keep(begin + at, data[at : at + length])
        return len(self._kept) > before

    def keep(self, start: int, data: bytes) -> None:
        """Keep the bytes at this offset until they are asked for."""
        if start in self._kept:
            return
        if len(data) <= SMALL or (cut := data.find(ZEROS)) < 0:
            self._kept[start] = data
            self.kept_bytes += len(data) + OBJECTS
            return
        end = data.rfind(ZEROS) + len(ZEROS)
        # Mostly all between is zeros; to look at each byte would take ten times as long.
        zeros = data.startswith(bytes(end - cut), cut)
        head, tail = data[:cut], data[end:] if zeros else data[cut:].lstrip(b"\0")
        self._kept[start] = head, tail
        self.kept_bytes += len(head) + len(tail) + OBJECTS


def runs_to_read(
    offsets: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> list[tuple[int, int]]:
    """Runs of directories' blocks as `read_ahead` takes them, in bytes; of long ones less."""
    cut = np.minimum(lengths, LONGEST_RUN)
    return list(zip(offsets.tolist(), cut.tolist(), strict=True))
