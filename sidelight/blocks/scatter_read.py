"""Reading many blocks of equal length at once, in physical order, into one run of bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sidelight.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from sidelight.blocks.source import BlockSource

    Bytes = npt.NDArray[np.uint8]
    Offsets = npt.NDArray[np.int64]

# A gap of at most this many bytes is read over: cheaper than another call. Far less than a
# snapshot's block, so that none is touched for a gap alone.
GAP = 8 << 10
# Bytes of one read.
RUN = 1 << 20
# A snapshot's block, and how many of them one window may touch: well within a cache's budget.
FAR = 19
WINDOW_BLOCKS = 96
WINDOW_BYTES = 32 << 20


def windows(offsets: Offsets, size: int, most_bytes: int = WINDOW_BYTES) -> Iterator[slice]:
    """Cut sorted offsets into windows that touch a bounded number of blocks and bytes."""
    rows = max(1, most_bytes // size)
    far = offsets >> FAR
    begin = 0
    while begin < len(offsets):
        end = min(begin + rows, len(offsets))
        distinct = np.cumsum(np.diff(far[begin:end], prepend=far[begin]) != 0)
        if distinct[-1] >= WINDOW_BLOCKS:
            end = begin + int(np.searchsorted(distinct, WINDOW_BLOCKS))
        yield slice(begin, end)
        begin = end


def gather(
    source: BlockSource, offsets: Offsets, size: int
) -> tuple[bytes, dict[int, SourceError]]:
    """Read `size` bytes at each of `offsets`, which should ascend: a step back is another read.

    Returns them all, one after the other, and the errors by row; such rows are zeros.
    """
    errors: dict[int, SourceError] = {}
    if not len(offsets):
        return b"", errors
    starts = offsets.tolist()
    steps = np.diff(offsets)
    far = np.diff(offsets // RUN) != 0
    # Pieces lie without gaps; a run of pieces is one read.
    pieces = _cuts(far | (steps != size), len(starts))
    ends = _cuts(far | (steps < 0) | (steps > size + GAP), len(starts))
    runs = list(pairwise(ends))
    if len(runs) > 1:
        # A read fetches all of its own blocks together.
        source.prefetch(
            [(starts[first], starts[last - 1] + size - starts[first]) for first, last in runs]
        )
    where = np.searchsorted(pieces, ends).tolist()
    parts: list[bytes] = []
    for (first, last), (begin, end) in zip(runs, pairwise(where), strict=True):
        start = starts[first]
        try:
            data = source.read_at(start, starts[last - 1] + size - start)
        except SourceError:
            parts += _read_singly(source, starts, range(first, last), size, errors)
            continue
        if end - begin == 1:
            parts.append(data)
        else:
            parts += [
                data[starts[a] - start : starts[b - 1] + size - start]
                for a, b in pairwise(pieces[begin : end + 1])
            ]
    return b"".join(parts), errors


def as_rows(data: bytes, size: int) -> Bytes:
    """The same bytes as an array, shape (n, size)."""
    return np.frombuffer(data, np.uint8).reshape(-1, size)


def _cuts(here: npt.NDArray[np.bool_], count: int) -> list[int]:
    """Bounds of the stretches between `here`, one shorter than `count`."""
    return [0, *(np.flatnonzero(here) + 1).tolist(), count]


def _read_singly(
    source: BlockSource, starts: list[int], rows: range, size: int, errors: dict[int, SourceError]
) -> list[bytes]:
    """A run that failed as a whole: one by one, so that only what is lost is lost."""
    parts = []
    for row in rows:
        try:
            parts.append(source.read_at(starts[row], size))
        except SourceError as error:
            errors[row] = error
            parts.append(bytes(size))
    return parts
