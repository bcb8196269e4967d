"""Reading many files' contents in the order in which they lie on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sidelight.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.blocks.source import BlockSource

K = TypeVar("K")

# (offset in the file, offset in the source, length), all in bytes. What no extent covers is a hole.
Extent = tuple[int, int, int]

DEFAULT_WINDOW = 32 << 20


def read_in_physical_order(
    source: BlockSource,
    files: Iterable[tuple[K, int, Sequence[Extent]]],
    window: int = DEFAULT_WINDOW,
) -> Iterator[tuple[K, bytes | SourceError]]:
    """Read whole files `(key, size in bytes, extents)`, sorted by physical position.

    The extents of about `window` bytes of files are prefetched at once, so that every block is
    fetched once and many are in flight. A file that cannot be read yields its SourceError.
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


def _batches(
    files: Sequence[tuple[K, int, Sequence[Extent]]], window: int
) -> Iterator[list[tuple[K, int, Sequence[Extent]]]]:
    batch: list[tuple[K, int, Sequence[Extent]]] = []
    total = 0
    for file in files:
        # A small file still costs its whole block, so count at least a page.
        total += max(file[1], 4096)
        batch.append(file)
        if total >= window:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
