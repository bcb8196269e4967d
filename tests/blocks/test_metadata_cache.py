"""What is kept of blocks changes no byte that is read, only how often they are fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sidelight.blocks import BlockCache
from sidelight.blocks import metadata_cache as harvests
from sidelight.blocks.metadata_cache import MetadataCache
from sidelight.blocks.scatter_read import gather
from sidelight.errors import SourceError

if TYPE_CHECKING:
    import pytest

UNIT = 64 << 10
SIZE = 512
UNITS = 12
NOISE = np.random.default_rng(3).integers(0, 256, UNITS * UNIT // 2, np.uint8).tobytes()
# Half of every kilobyte is zeros, so that these are left out and put in again.
DATA = b"".join(NOISE[at : at + 100] + bytes(412) for at in range(0, len(NOISE), 256))


class Fetcher:
    """DATA in blocks of UNIT bytes, counted; some cannot be had."""

    name = "snapshot"
    size = len(DATA)
    block_size = UNIT

    def __init__(self, lost: frozenset[int] = frozenset()) -> None:
        self.lost = lost
        self.calls: list[int] = []

    def present(self, index: int) -> bool:
        return index * UNIT < len(DATA)

    def fetch(self, index: int) -> bytes:
        self.calls.append(index)
        if index in self.lost:
            raise SourceError("lost", where=self.name)
        return DATA[index * UNIT : (index + 1) * UNIT]


PLACES = st.lists(st.integers(0, len(DATA) // SIZE - 1), max_size=12).map(sorted)


@given(
    st.lists(PLACES, max_size=5),
    st.lists(st.tuples(st.integers(0, UNIT // SIZE), st.sampled_from([256, SIZE, 4096]))),
    st.frozensets(st.integers(0, UNITS - 1), max_size=2),
)
def test_any_guess_of_what_will_be_needed_gives_the_same_bytes_and_errors(
    requests: list[list[int]], guesses: list[tuple[int, int]], lost: frozenset[int]
) -> None:
    cache = BlockCache(Fetcher(lost), budget=2 * UNIT, in_flight=2)
    plain = BlockCache(Fetcher(lost), budget=2 * UNIT, in_flight=2)
    kept = MetadataCache(cache, lambda _, __: [(place * SIZE, length) for place, length in guesses])
    for places in requests:
        offsets = np.array(places, np.int64) * SIZE
        data, errors = kept.gather(offsets, SIZE)
        expected, expected_errors = gather(plain, offsets, SIZE)
        assert data == expected
        assert list(errors) == list(expected_errors)
    cache.close()
    plain.close()


def _everything_twice(kept: MetadataCache) -> None:
    """All first kilobytes' halves of every block, then all others: each block is wanted twice."""
    for half in (0, SIZE):
        for begin in range(half, len(DATA), UNIT):
            offsets = np.arange(begin, begin + UNIT, 2 * SIZE, dtype=np.int64)
            data, errors = kept.gather(offsets, SIZE)
            assert not errors
            assert data == b"".join(DATA[at : at + SIZE] for at in offsets.tolist())


def test_blocks_that_the_cache_let_go_are_not_fetched_again() -> None:
    fetcher = Fetcher()
    cache = BlockCache(fetcher, budget=2 * UNIT, in_flight=2)
    _everything_twice(
        MetadataCache(cache, lambda _, __: [(at, SIZE) for at in range(0, UNIT, SIZE)])
    )
    cache.close()
    assert sorted(fetcher.calls) == list(range(len(DATA) // UNIT))


def test_no_more_is_kept_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harvests, "MOST_KEPT", 100 << 10)
    cache = BlockCache(Fetcher(), budget=2 * UNIT, in_flight=2)
    kept = MetadataCache(cache, lambda _, __: [(at, SIZE) for at in range(0, UNIT, SIZE)])
    for begin in range(0, len(DATA), UNIT):
        kept.gather(np.array([begin], np.int64), SIZE)
    # One block more than the bound may have been begun.
    most = (100 << 10) + (UNIT // SIZE) * (SIZE + harvests.OBJECTS)
    assert 0 < kept.kept_bytes <= most
    _everything_twice(kept)
    cache.close()


def test_reading_ahead_looks_through_all_that_it_asked_for_before_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(harvests, "AHEAD", 2)
    fetcher = Fetcher()
    cache = BlockCache(fetcher, in_flight=2)
    unit_numbers = [
        at // UNIT
        for at, _ in MetadataCache(cache, lambda _at, _data: ()).read_ahead([(0, len(DATA))])
    ]
    cache.close()
    # Nothing was found in the first two: two more were under way by then, and no others are.
    assert unit_numbers == sorted(fetcher.calls) == [0, 1, 2, 3]
