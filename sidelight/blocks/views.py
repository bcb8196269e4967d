"""BlockSources made of others: a slice (a partition), an overlay (a replayed journal)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.blocks.source import touch
from sidelight.errors import OutOfRangeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sidelight.blocks.source import BlockSource


class SliceSource:
    """`size` bytes of another source from `offset` on."""

    def __init__(self, base: BlockSource, offset: int, size: int, name: str) -> None:
        """A slice that reaches past the base is allowed (a truncated disk): reads there raise."""
        self._base = base
        self._offset = offset
        self.size = size
        self.name = name
        unit: int = getattr(base, "unit", 0)
        self.unit = unit if unit and offset % unit == 0 else 0

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the base. Raises OutOfRangeError past this slice's end."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise OutOfRangeError(
                f"{length} bytes at {offset} do not lie within {self.size}", where=self.name
            )
        return self._base.read_at(self._offset + offset, length)

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on, shifted and cut to the slice."""
        self._base.prefetch(
            (self._offset + offset, min(length, self.size - offset))
            for offset, length in ranges
            if 0 <= offset < self.size
        )

    def touch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on, shifted."""
        touch(self._base, ((self._offset + offset, length) for offset, length in ranges))


class OverlaySource:
    """Another source with some blocks replaced in memory: what a journal's replay would write."""

    def __init__(self, base: BlockSource, block_size: int, blocks: Mapping[int, bytes]) -> None:
        """`blocks`: number of the block -> its `block_size` bytes."""
        self._base = base
        self._block_size = block_size
        self._blocks = blocks
        self.size = base.size
        self.name = base.name
        self.unit: int = getattr(base, "unit", 0)

    def read_at(self, offset: int, length: int) -> bytes:
        """The base's bytes, with the replaced blocks in their places."""
        size = self._block_size
        first, last = offset // size, (offset + length - 1) // size
        touched = [n for n in range(first, last + 1) if n in self._blocks] if length > 0 else []
        if not touched:
            return self._base.read_at(offset, length)
        if touched[0] == first == last:
            # One block, wholly ours: the base need not have it (it is not paid for).
            start = offset - first * size
            return self._blocks[first][start : start + length]
        data = bytearray(self._base.read_at(offset, length))
        for number in touched:
            begin = max(number * size, offset)
            end = min((number + 1) * size, offset + length)
            block = self._blocks[number]
            data[begin - offset : end - offset] = block[begin - number * size : end - number * size]
        return bytes(data)

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on what is not wholly in the overlay."""
        size = self._block_size
        self._base.prefetch(
            (offset, length)
            for offset, length in ranges
            if not (
                length <= size
                and offset // size == (offset + length - 1) // size
                and offset // size in self._blocks
            )
        )

    def touch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on."""
        touch(self._base, ranges)
