"""Reading many files' contents in the order in which they lie on the disk."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from sidelight.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.blocks.source import BlockSource

K = TypeVar("K")

# (offset in the file, offset in the source, length), all in bytes. What no extent covers is a hole.
Extent = tuple[int, int, int]

DEFAULT_WINDOW = 32 << 20
# What a window is counted in: the block of an EBS snapshot, in bytes.
_STRETCH = 512 << 10
_MOST_FILES = 8192  # of one window


def read_in_physical_order(
    source: BlockSource,
    files: Iterable[tuple[K, int, Sequence[Extent]]],
    window: int = DEFAULT_WINDOW,
) -> Iterator[tuple[K, bytes | SourceError]]:
    """Read whole files `(key, size in bytes, extents)`, sorted by physical position.

    The blocks of about `window` bytes are prefetched at once, so that every block is fetched once
    and many are in flight. A file that cannot be read yields its SourceError.
    """
    ordered = sorted(files, key=lambda file: file[2][0][1] if file[2] else -1)
    for batch in _batches(ordered, window):
        source.prefetch(
            sorted((physical, length) for _, _, extents in batch for _, physical, length in extents)
        )
        for key, size, extents in batch:
            try:
                yield key, assemble(source, size, extents)
            except SourceError as error:
                yield key, error


def prefetch_in_physical_order(
    source: BlockSource, files: Iterable[tuple[K, int, Sequence[Extent]]]
) -> None:
    """Begin to fetch the blocks of the files that the first window would read."""
    ordered = sorted(files, key=lambda file: file[2][0][1] if file[2] else -1)
    for batch in islice(_batches(ordered, DEFAULT_WINDOW), 1):
        source.prefetch(
            sorted((physical, length) for _, _, extents in batch for _, physical, length in extents)
        )


def assemble(source: BlockSource, size: int, extents: Sequence[Extent]) -> bytes:
    """One file's bytes: extents in their places, zeros between, cut to `size`."""
    if len(extents) == 1 and extents[0][0] == 0 and extents[0][2] >= size:
        return source.read_at(extents[0][1], size)
    data = bytearray(size)
    for logical, physical, length in extents:
        take = min(length, size - logical)
        if take > 0:
            data[logical : logical + take] = source.read_at(physical, take)
    return bytes(data)


def within(extents: Sequence[Extent], offset: int, length: int) -> list[Extent]:
    """The part of a file's extents that lies in `length` bytes from `offset`, counted from there.

    Extents are in the order of their places in the file.
    """
    end = offset + length
    found: list[Extent] = []
    for logical, physical, run in extents:
        begin, stop = max(logical, offset), min(logical + run, end)
        if begin < stop:
            found.append((begin - offset, physical + begin - logical, stop - begin))
        elif logical >= end:
            break
    return found


def _batches(
    files: Sequence[tuple[K, int, Sequence[Extent]]], window: int
) -> Iterator[list[tuple[K, int, Sequence[Extent]]]]:
    batch: list[tuple[K, int, Sequence[Extent]]] = []
    stretches: set[int] = set()  # a small file costs its whole block, but neighbours share one
    for file in files:
        own = {
            stretch
            for _, physical, length in file[2]
            for stretch in range(physical // _STRETCH, (physical + length - 1) // _STRETCH + 1)
        }
        full = len(stretches | own) * _STRETCH > window or len(batch) >= _MOST_FILES
        if batch and full:
            yield batch
            batch, stretches = [], set()
        batch.append(file)
        stretches |= own
    if batch:
        yield batch
