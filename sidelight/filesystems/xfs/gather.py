"""Reading many blocks of equal length at once, in physical order, into one array."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sidelight.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from sidelight.blocks import BlockSource

    Bytes = npt.NDArray[np.uint8]
    Offsets = npt.NDArray[np.int64]

# A gap of at most this many bytes is read over: cheaper than another call.
GAP = 4096
# Bytes of one read.
RUN = 1 << 20
# A snapshot's block, and how many of them one window may touch: well within a cache's budget.
FAR = 19
WINDOW_BLOCKS = 96
WINDOW_BYTES = 32 << 20


def windows(offsets: Offsets, size: int) -> Iterator[slice]:
    """Cut sorted offsets into windows that touch a bounded number of blocks and bytes."""
    rows = max(1, WINDOW_BYTES // size)
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
    """Read `size` bytes at each of `offsets` (sorted).

    Returns them all, one after the other, and the errors by row; such rows are zeros.
    """
    errors: dict[int, SourceError] = {}
    starts = offsets.tolist()
    runs = _runs(offsets, size)
    source.prefetch(
        [(starts[first], starts[last - 1] + size - starts[first]) for first, last in runs]
    )
    parts = []
    for first, last in runs:
        start = starts[first]
        try:
            data = source.read_at(start, starts[last - 1] + size - start)
        except SourceError:
            parts += _read_singly(source, starts, range(first, last), size, errors)
            continue
        if last - first == 1:
            parts.append(data)
        else:
            parts += [data[at - start : at - start + size] for at in starts[first:last]]
    return b"".join(parts), errors


def as_rows(data: bytes, size: int) -> Bytes:
    """The same bytes as an array, shape (n, size)."""
    return np.frombuffer(data, np.uint8).reshape(-1, size)


def _runs(offsets: Offsets, size: int) -> list[tuple[int, int]]:
    """Index ranges of offsets that one read serves."""
    gaps = np.diff(offsets) > size + GAP
    if not len(offsets):
        return []
    cuts = [0, *(np.flatnonzero(gaps) + 1).tolist(), len(offsets)]
    runs = []
    for first, last in pairwise(cuts):
        begin = first
        if offsets[last - 1] - offsets[first] >= RUN:
            far = offsets[first:last] // RUN
            for cut in (np.flatnonzero(np.diff(far)) + 1 + first).tolist():
                runs.append((begin, cut))
                begin = cut
        runs.append((begin, last))
    return runs


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
