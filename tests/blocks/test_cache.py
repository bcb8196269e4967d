"""The block cache: slices equal the disk's, each block is fetched once, holes cost nothing."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.blocks import (
    BlockCache,
    BlockPool,
    OverlaySource,
    SliceSource,
    read_in_physical_order,
)
from sidelight.blocks.read_order import within
from sidelight.errors import BlockError, OutOfRangeError, SourceError

BLOCK = 64


class Disk:
    """A fetcher over bytes that counts its fetches; all-zero blocks are absent."""

    def __init__(self, data: bytes, block_size: int = BLOCK) -> None:
        self.data = data
        self.size = len(data)
        self.block_size = block_size
        self.name = "snap-1"
        self.fetched: list[int] = []
        self.bad: set[int] = set()
        self._lock = threading.Lock()

    def present(self, index: int) -> bool:
        return any(self.data[index * self.block_size : (index + 1) * self.block_size])

    def fetch(self, index: int) -> bytes:
        with self._lock:
            self.fetched.append(index)
        if index in self.bad:
            raise BlockError("gone", where=f"snap-1: block {index}")
        block = self.data[index * self.block_size : (index + 1) * self.block_size]
        return block.ljust(self.block_size, b"\0")


disks = st.lists(
    st.one_of(st.just(bytes(BLOCK)), st.binary(min_size=BLOCK, max_size=BLOCK)), max_size=12
).map(b"".join)


@given(disks, st.data(), st.integers(1, 6))
def test_a_cached_read_equals_a_slice(data: bytes, draw: st.DataObject, blocks: int) -> None:
    cache = BlockCache(Disk(data), budget=blocks * BLOCK, in_flight=3)
    try:
        for _ in range(4):
            offset = draw.draw(st.integers(0, len(data)))
            length = draw.draw(st.integers(0, len(data) - offset))
            assert cache.read_at(offset, length) == data[offset : offset + length]
            cache.prefetch([(offset, length)])
    finally:
        cache.close()


def test_what_is_touched_goes_last_and_is_never_fetched() -> None:
    disk = Disk(bytes([7]) * BLOCK * 12)
    cache = BlockCache(disk, budget=6 * BLOCK, in_flight=1)
    view = SliceSource(OverlaySource(cache, BLOCK, {}), BLOCK, 11 * BLOCK, "p1")
    try:
        for index in range(6):
            cache.read_at(index * BLOCK, 1)
        view.touch([(0, BLOCK), (9 * BLOCK, 1)])  # blocks 1 and 10: one is there
        assert disk.fetched == [0, 1, 2, 3, 4, 5]
        for index in range(6, 11):
            cache.read_at(index * BLOCK, 1)
        disk.fetched.clear()
        cache.read_at(BLOCK, 1)
        assert disk.fetched == []
        # More than a third of what the cache holds would push out what is under way.
        cache.touch([(6 * BLOCK, 3 * BLOCK)])
        cache.read_at(0, 1)
        disk.fetched.clear()
        cache.read_at(6 * BLOCK, 1)
        assert disk.fetched == [6]
    finally:
        cache.close()


def test_each_block_is_fetched_once_and_holes_never() -> None:
    disk = Disk(b"a" * BLOCK + bytes(BLOCK) + b"c" * BLOCK)
    cache = BlockCache(disk)
    cache.prefetch([(0, 3 * BLOCK), (5, 10), (2 * BLOCK, 1)])
    assert cache.read_at(0, 3 * BLOCK) == disk.data
    assert sorted(disk.fetched) == [0, 2]
    cache.close()


def test_two_threads_that_want_one_block_share_its_call() -> None:
    entered, go = threading.Event(), threading.Event()

    class Slow(Disk):
        def fetch(self, index: int) -> bytes:
            entered.set()
            assert go.wait(30)
            return super().fetch(index)

    disk = Slow(b"x" * BLOCK)
    cache = BlockCache(disk, in_flight=4)
    contents: list[bytes] = []
    readers = [
        threading.Thread(target=lambda: contents.append(cache.read_at(0, 8))) for _ in range(4)
    ]
    for reader in readers:
        reader.start()
    assert entered.wait(30)
    go.set()
    for reader in readers:
        reader.join()
    assert contents == [b"x" * 8] * 4
    assert disk.fetched == [0]
    cache.close()


def test_prefetch_keeps_to_its_calls_in_flight_and_runs_them_together() -> None:
    together = threading.Barrier(4)

    class Meeting(Disk):
        def fetch(self, index: int) -> bytes:
            together.wait(30)  # breaks, and fails the read, unless four calls are under way
            return super().fetch(index)

    disk = Meeting(b"x" * BLOCK * 8)
    cache = BlockCache(disk, in_flight=4)
    cache.prefetch([(0, 8 * BLOCK)])
    assert cache.read_at(0, 8 * BLOCK) == disk.data
    assert sorted(disk.fetched) == list(range(8))
    cache.close()


def test_what_came_first_is_read_while_the_rest_is_under_way() -> None:
    read = threading.Event()

    class Held(Disk):
        def fetch(self, index: int) -> bytes:
            assert index == 0 or read.wait(30)
            return super().fetch(index)

    disk = Held(b"a" * BLOCK + b"b" * BLOCK)
    cache = BlockCache(disk, in_flight=2)
    cache.prefetch([(0, 2 * BLOCK)])
    assert cache.read_at(0, BLOCK) == b"a" * BLOCK
    read.set()
    assert cache.read_at(BLOCK, BLOCK) == b"b" * BLOCK
    assert sorted(disk.fetched) == [0, 1]
    cache.close()


def test_a_failed_block_raises_at_the_read_that_needs_it_and_is_tried_again_later() -> None:
    disk = Disk(b"a" * BLOCK + b"b" * BLOCK)
    disk.bad = {1}
    cache = BlockCache(disk)
    cache.prefetch([(0, 2 * BLOCK)])
    assert cache.read_at(0, BLOCK) == b"a" * BLOCK
    with pytest.raises(BlockError, match=r"snap-1: block 1: gone"):
        cache.read_at(BLOCK - 1, 2)
    disk.bad.clear()
    assert cache.read_at(BLOCK - 1, 2) == b"ab"
    cache.close()


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 129), (128, 1), (0, -1)])
def test_reads_outside_the_disk_are_refused(offset: int, length: int) -> None:
    cache = BlockCache(Disk(b"a" * 2 * BLOCK))
    with pytest.raises(OutOfRangeError, match="snap-1"):
        cache.read_at(offset, length)
    cache.close()


class Bytes:
    """A BlockSource over bytes that notes what was prefetched."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.name = data, len(data), "disk"
        self.prefetched: list[list[tuple[int, int]]] = []

    def read_at(self, offset: int, length: int) -> bytes:
        if offset < 0 or offset + length > self.size:
            raise OutOfRangeError("outside", where=self.name)
        return self.data[offset : offset + length]

    def prefetch(self, ranges: object) -> None:
        self.prefetched.append(list(ranges))  # type: ignore[call-overload]


@given(st.binary(max_size=64), st.data())
def test_a_slice_is_a_window(data: bytes, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(data)))
    size = draw.draw(st.integers(0, len(data) - start))
    view = SliceSource(Bytes(data), start, size, "p1")
    offset = draw.draw(st.integers(0, size))
    length = draw.draw(st.integers(0, size - offset))
    assert view.read_at(offset, length) == data[start : start + size][offset : offset + length]
    with pytest.raises(OutOfRangeError, match="p1"):
        view.read_at(offset, size - offset + 1)


@given(
    st.binary(min_size=32, max_size=32),
    st.dictionaries(st.integers(0, 7), st.binary(min_size=4, max_size=4)),
    st.integers(0, 32),
    st.data(),
)
def test_an_overlay_replaces_whole_blocks(
    data: bytes, blocks: dict[int, bytes], offset: int, draw: st.DataObject
) -> None:
    length = draw.draw(st.integers(0, 32 - offset))
    expected = bytearray(data)
    for number, block in blocks.items():
        expected[number * 4 : number * 4 + 4] = block
    view = OverlaySource(Bytes(data), 4, blocks)
    assert view.read_at(offset, length) == bytes(expected[offset : offset + length])


def test_contents_come_in_physical_order_with_holes_as_zeros() -> None:
    source = Bytes(bytes(range(100)))
    files = [
        ("late", 4, [(0, 80, 4)]),
        ("early", 6, [(0, 10, 2), (4, 12, 8)]),
        ("empty", 3, []),
        ("broken", 4, [(0, 99, 4)]),
    ]
    contents = list(read_in_physical_order(source, files))
    assert [key for key, _ in contents] == ["empty", "early", "late", "broken"]
    found = dict(contents)
    assert found["empty"] == bytes(3)
    assert found["early"] == bytes([10, 11, 0, 0, 12, 13])
    assert found["late"] == bytes([80, 81, 82, 83])
    assert isinstance(found["broken"], SourceError)
    assert len(source.prefetched) == 1, "one prefetch for the whole batch"


def test_contents_are_read_a_window_at_a_time() -> None:
    stretch = 512 << 10
    source = Bytes(bytes(4 * stretch))
    files = [(n, 8, [(0, n * (stretch // 2), 8)]) for n in range(8)]
    list(read_in_physical_order(source, files, window=2 * stretch))
    # A window is counted in blocks: two files share one here.
    assert [len(batch) for batch in source.prefetched] == [4, 4]


def test_a_part_of_a_file_is_a_part_of_its_extents() -> None:
    extents = [(0, 1000, 10), (10, 500, 10), (30, 700, 10)]
    assert within(extents, 5, 10) == [(0, 1005, 5), (5, 500, 5)]
    assert within(extents, 20, 10) == []
    assert within(extents, 25, 100) == [(5, 700, 10)]


def test_sources_of_one_machine_share_a_budget_and_its_calls() -> None:
    pool = BlockPool(budget=6 * BLOCK, in_flight=2)
    before = threading.active_count()
    disks = [Disk(bytes([number + 1]) * BLOCK * 4) for number in range(28)]
    caches = [BlockCache(disk, pool=pool) for disk in disks]
    for cache in caches:
        cache.prefetch([(0, 2 * BLOCK)])
    for number, cache in enumerate(caches):
        assert cache.read_at(0, 4 * BLOCK) == bytes([number + 1]) * BLOCK * 4
    assert threading.active_count() - before <= 2
    # The last source's blocks are there, the first one's are not.
    disks[27].fetched.clear()
    caches[27].read_at(0, 4 * BLOCK)
    assert disks[27].fetched == []
    disks[0].fetched.clear()
    caches[0].read_at(0, BLOCK)
    assert disks[0].fetched == [0]
    for cache in caches:
        cache.close()
        cache.close()  # the second time it does nothing
    assert threading.active_count() == before


def test_a_source_that_is_closed_leaves_its_room_to_the_others() -> None:
    pool = BlockPool(budget=4 * BLOCK, in_flight=2)
    first, second = Disk(b"a" * 3 * BLOCK), Disk(b"b" * 4 * BLOCK)
    one, two = BlockCache(first, pool=pool), BlockCache(second, pool=pool)
    two.read_at(0, BLOCK)
    one.read_at(0, 3 * BLOCK)
    one.close()
    two.read_at(0, 4 * BLOCK)
    second.fetched.clear()
    assert two.read_at(0, 4 * BLOCK) == second.data
    assert second.fetched == []
    two.close()
    with pytest.raises(RuntimeError, match="closed"):
        two.read_at(0, 1 + 3 * BLOCK)
