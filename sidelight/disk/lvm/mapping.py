"""Logical volumes as BlockSources: segments of other sources, one after another."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sidelight.blocks.source import touch
from sidelight.errors import OutOfRangeError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.blocks import BlockSource

# (source, offset, length) in bytes; no source stands for zeros, a text for why there is none.
Piece = tuple["BlockSource | str | None", int, int]


class Segment(Protocol):
    """A run of a logical volume."""

    @property
    def start(self) -> int:
        """Its offset in the volume, in bytes."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def areas(self) -> tuple[BlockSource | str | None, ...]:
        """What it lies on."""

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """Where these bytes (relative to the segment) are."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A run that lies in one piece; `target` as in Piece."""

    start: int
    size: int
    target: BlockSource | str | None
    offset: int = 0

    @property
    def areas(self) -> tuple[BlockSource | str | None, ...]:
        """The one."""
        return (self.target,)

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """One piece."""
        yield self.target, self.offset + offset, length


@dataclass(frozen=True, slots=True)
class Striped:
    """A run dealt out over several targets, `stripe` bytes at a time (RAID 0)."""

    start: int
    size: int
    targets: tuple[tuple[BlockSource | str, int], ...]
    stripe: int

    @property
    def areas(self) -> tuple[BlockSource | str | None, ...]:
        """All of its targets."""
        return tuple(target for target, _ in self.targets)

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """A piece for each stripe touched."""
        count, end = len(self.targets), offset + length
        while offset < end:
            number, within = divmod(offset, self.stripe)
            row, column = divmod(number, count)
            take = min(self.stripe - within, end - offset)
            target, base = self.targets[column]
            yield target, base + row * self.stripe + within, take
            offset += take


class MappedSource:
    """A logical volume's bytes. Reads that meet a missing segment raise SourceError."""

    def __init__(self, name: str, segments: Iterable[Segment]) -> None:
        """`segments` in order; what none of them covers is missing."""
        self.name = name
        self.segments = sorted(segments, key=lambda segment: segment.start)
        self._starts = [segment.start for segment in self.segments]
        self.size = max((item.start + item.size for item in self.segments), default=0)
        self.unit = _unit(self.segments)
        # Known once: volumes lie on each other, and one may be met by very many ways.
        self.whole = all(map(_is_there, (area for part in self.segments for area in part.areas)))

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the members."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise OutOfRangeError(
                f"{length} bytes at {offset} do not lie within {self.size}", where=self.name
            )
        parts = []
        for target, at, size in self._pieces(offset, length):
            if target is None:
                parts.append(bytes(size))
            elif isinstance(target, str):
                raise SourceError(target, where=self.name)
            else:
                parts.append(target.read_at(at, size))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on to the members, each once, at the same time."""
        for source, places in self._by_member(ranges):
            source.prefetch(places)

    def touch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on to the members."""
        for source, places in self._by_member(ranges):
            touch(source, places)

    def _by_member(
        self, ranges: Iterable[tuple[int, int]]
    ) -> Iterable[tuple[BlockSource, list[tuple[int, int]]]]:
        wanted: dict[int, tuple[BlockSource, list[tuple[int, int]]]] = {}
        for offset, length in ranges:
            if not 0 <= offset < self.size or length <= 0:
                continue
            for target, at, size in self._pieces(offset, min(length, self.size - offset)):
                if target is not None and not isinstance(target, str):
                    wanted.setdefault(id(target), (target, []))[1].append((at, size))
        return wanted.values()

    def _pieces(self, offset: int, length: int) -> Iterator[Piece]:
        end = offset + length
        while offset < end:
            index = bisect_right(self._starts, offset) - 1
            segment = self.segments[index] if index >= 0 else None
            if segment is None or offset >= segment.start + segment.size:
                yield f"no segment covers offset {offset}", 0, end - offset
                return
            take = min(end, segment.start + segment.size) - offset
            yield from segment.pieces(offset - segment.start, take)
            offset += take


def _unit(segments: Iterable[Segment]) -> int:
    """The bytes that come at once, where all segments keep them together; else 0."""
    units = set()
    for segment in segments:
        if not isinstance(segment, Linear):
            return 0
        unit: int = getattr(segment.target, "unit", 0)
        if not unit or segment.start % unit or segment.offset % unit:
            return 0
        units.add(unit)
    return units.pop() if len(units) == 1 else 0


def _is_there(area: BlockSource | str | None) -> bool:
    """Whether no member of an area is missing, nor of the volume that it is."""
    if isinstance(area, MappedSource):
        return area.whole
    return not isinstance(area, str)
