"""Gathering many blocks gives what reading each gives, in few reads that stay near the asked."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sidelight.blocks.scatter_read import FAR, GAP, WINDOW_BLOCKS, gather, windows
from sidelight.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

UNIT = 512
UNITS = 8 << 20 >> 9
DATA = np.random.default_rng(7).integers(0, 256, UNITS * UNIT, np.uint8).tobytes()


class Source:
    """DATA, some of whose units cannot be read."""

    name = "source"
    size = len(DATA)

    def __init__(self, lost: Iterable[int] = ()) -> None:
        self._lost = sorted(lost)
        self.reads: list[tuple[int, int]] = []
        self.announced: list[tuple[int, int]] = []

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        if any(offset < (unit + 1) * UNIT and unit * UNIT < offset + length for unit in self._lost):
            raise SourceError("lost", where=self.name)
        return DATA[offset : offset + length]

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        self.announced += ranges


# Near each other, so that runs and gaps of every kind come about.
UNIT_LISTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 60)).map(lambda p: p[0] * (UNITS // 4) + p[1]),
    max_size=60,
).map(sorted)


@given(UNIT_LISTS, st.sets(st.integers(0, 60), max_size=3))
def test_what_is_gathered_is_what_lies_there_and_what_is_lost_is_named(
    units: list[int], lost: set[int]
) -> None:
    source = Source(lost)
    data, errors = gather(source, np.array(units, np.int64) * UNIT, UNIT)
    assert set(errors) == {row for row, unit in enumerate(units) if unit in lost}
    for row, unit in enumerate(units):
        expected = bytes(UNIT) if unit in lost else DATA[unit * UNIT : (unit + 1) * UNIT]
        assert data[row * UNIT : (row + 1) * UNIT] == expected


@given(UNIT_LISTS)
def test_reads_are_announced_and_reach_over_small_gaps_alone(units: list[int]) -> None:
    source = Source()
    gather(source, np.array(units, np.int64) * UNIT, UNIT)
    # One read alone fetches its own blocks together: to announce it first would be for nothing.
    assert source.announced == (source.reads if len(source.reads) > 1 else [])
    wanted = set(units)
    for offset, length in source.reads:
        there = [unit for unit in sorted(wanted) if offset <= unit * UNIT < offset + length]
        assert all((b - a - 1) * UNIT <= GAP for a, b in pairwise(there))
        assert {offset // UNIT, (offset + length) // UNIT - 1} <= wanted


@given(st.lists(st.integers(0, 1 << 31), unique=True, max_size=500).map(sorted))
def test_windows_cover_everything_once_within_their_bounds(offsets: list[int]) -> None:
    array = np.array(offsets, np.int64)
    covered: list[int] = []
    for window in windows(array, UNIT):
        part = array[window]
        assert 1 <= len(np.unique(part >> FAR)) <= WINDOW_BLOCKS
        covered += part.tolist()
    assert covered == offsets


@given(st.lists(st.integers(0, 60), max_size=40))
def test_places_in_any_order_and_twice_are_given_as_asked(units: list[int]) -> None:
    # As the overlapping runs of a damaged directory: once it came out short of rows.
    data, errors = gather(Source(), np.array(units, dtype=np.int64) * UNIT, UNIT)
    assert errors == {}
    assert data == b"".join(DATA[unit * UNIT :][:UNIT] for unit in units)
