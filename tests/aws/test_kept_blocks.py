"""A reader that is killed pays for nothing twice: lists and blocks that were kept cost no call."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.aws.block_list import END, BlockList, Shape
from sidelight.aws.ebs import EbsOptions, SnapshotBlocks
from sidelight.blocks.disk_cache import DiskCache
from tests.fixtures.ebs_blocks import BLOCK, open_blocks
from tests.fixtures.local_clouds import client

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.enable_socket]

ALL = [index for index in range(24) if index % 3 != 2]


class KilledError(BaseException):
    """The reader's end."""


class Deadly:
    """A pace that ends its reader before the n-th block."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def before(self, kind: str) -> None:
        self._left -= kind == "get"
        if self._left < 0:
            raise KilledError

    def throttled(self, kind: str) -> None:
        raise AssertionError(kind)


def opened(cloud: LocalCloud, name: str, kept: DiskCache, nth: int = 1000) -> SnapshotBlocks:
    options = EbsOptions(pace=Deadly(nth), kept=kept, sleep=lambda _: None)
    return SnapshotBlocks(name, client(cloud, "ebs"), options)


def expected(index: int) -> bytes:
    return hashlib.sha256(b"%d" % index).digest() * (BLOCK // 32)


@pytest.mark.parametrize("nth", [0, 1, 7, len(ALL) - 1])
def test_killed_at_the_nth_block_the_next_reader_gets_only_the_rest_and_lists_nothing(
    clear: LocalCloud, snapshot: str, tmp_path: Path, nth: int
) -> None:
    first = opened(clear, snapshot, DiskCache(tmp_path, 1 << 30), nth)
    with pytest.raises(KilledError):
        list(map(first.fetch, ALL))
    before = (clear.calls("GetSnapshotBlock"), clear.calls("ListSnapshotBlocks"))
    second = opened(clear, snapshot, DiskCache(tmp_path, 1 << 30))
    assert [second.fetch(index) for index in ALL] == [expected(index) for index in ALL]
    assert (second.size, second.block_size) == (first.size, BLOCK)
    assert not second.present(2)
    assert clear.calls("GetSnapshotBlock") - before[0] == len(ALL) - nth
    assert clear.calls("ListSnapshotBlocks") == before[1]
    assert second.stats().get_calls == len(ALL) - nth
    assert second.stats().list_calls == 0


def test_a_damaged_block_is_paid_for_again_and_right(
    clear: LocalCloud, snapshot: str, tmp_path: Path
) -> None:
    kept = DiskCache(tmp_path, 1 << 30)
    first = opened(clear, snapshot, kept)
    for index in ALL:
        first.fetch(index)
    for item in ("0", "3", "list"):
        path = tmp_path / snapshot / item
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    second = opened(clear, snapshot, kept)
    assert [second.fetch(index) for index in ALL] == [expected(index) for index in ALL]
    assert (second.stats().get_calls, second.stats().list_calls) == (2, 1)


def test_a_kept_list_whose_tokens_have_expired_is_read_again(
    clear: LocalCloud, snapshot: str, tmp_path: Path
) -> None:
    kept = DiskCache(tmp_path, 1 << 30)
    blocks = open_blocks(clear, snapshot)._blocks
    kept.put(snapshot, "list", blocks.dump(Shape(1 << 30, BLOCK, time.time() + 60)))
    assert opened(clear, snapshot, kept).stats().list_calls == 1


def test_tokens_that_the_service_does_not_take_any_more_are_renewed(
    clear: LocalCloud, snapshot: str, tmp_path: Path
) -> None:
    """The service's clock decides, whatever the list said of its tokens."""
    kept = DiskCache(tmp_path, 1 << 30)
    opened(clear, snapshot, kept)
    clear.clock.advance(8 * 86400)
    second = opened(clear, snapshot, kept)
    assert second.stats().list_calls == 0
    assert second.fetch(3) == expected(3)
    assert second.stats().list_calls == 1


@pytest.mark.parametrize("text", [b"", b"{}\n", b"[1]\n", b"\xff\n", b'{"size": 1}\nabc'])
def test_what_is_no_list_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        BlockList.load(text)


def test_a_list_comes_back_as_it_was() -> None:
    block_list = BlockList()
    block_list.add(0, ((index, f"token{index}" * (index % 5)) for index in range(0, 900, 3)))
    shape = Shape(7 << 30, BLOCK, 1234.5)
    data = block_list.dump(shape)
    again, known = BlockList.load(data)
    assert known == shape
    assert [again.token(i) for i in range(0, 900, 3)] == [
        block_list.token(i) for i in range(0, 900, 3)
    ]
    assert again.find(1) == -1
    with pytest.raises(ValueError, match="cut"):
        BlockList.load(data[:-1])


def test_a_list_of_which_a_part_is_unknown_is_not_dumped() -> None:
    block_list = BlockList()
    block_list.add(0, [(3, "a")], 10)
    block_list.add(20, [(25, "b")])
    with pytest.raises(ValueError, match="not known"):
        block_list.dump(Shape(7 << 30, BLOCK, 1.0))
    block_list.add(10, [(12, "c"), (22, "d")], 23)
    assert block_list.is_complete
    assert block_list.find(22) == -1, "of two pages the first is believed"


_WRITTEN = st.sets(st.integers(0, 60), max_size=40)


@given(_WRITTEN, st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=20))
def test_block_list_pages_in_any_order_know_written_blocks(
    written: set[int], pages: list[tuple[int, int]]
) -> None:
    block_list = BlockList()
    known: set[int] = set()
    for start, most in pages:
        listed = [index for index in sorted(written) if index >= start][: most + 1]
        end = listed.pop() if len(listed) > most else END
        block_list.add(start, ((index, f"t{index}") for index in listed), end)
        known |= set(range(start, min(end, 100)))
        assert block_list.find(start) is not None
    for index in range(100):
        found = block_list.find(index)
        if found is None:
            assert not block_list.is_complete
            continue
        assert index in known
        assert (found >= 0) == (index in written)
        if found >= 0:
            assert block_list.token(index) == f"t{index}"
