"""Directory entries, parsed block by block and all at once."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.xfs import directory_entries

if TYPE_CHECKING:
    from sidelight.filesystems.xfs.directory_entries import Parsed


def both_ways(data: bytes, bounds: list[tuple[int, int]], ftype: bool, size: int) -> Parsed:
    """What both parsers give, which must be the same."""
    begins = np.array([begin for begin, _ in bounds], np.int64)
    ends = np.array([end for _, end in bounds], np.int64)
    each = directory_entries.parse_each(data, begins, ends, ftype)
    assert directory_entries.parse_many(data, begins, ends, ftype, size) == each
    return each


@given(st.lists(st.binary(min_size=64, max_size=64), min_size=1, max_size=6), st.booleans())
def test_blocks_parsed_at_once_give_what_they_give_one_by_one(
    blocks: list[bytes], ftype: bool
) -> None:
    data = b"".join(blocks)
    bounds = [(index * 64 + 16, index * 64 + 64) for index in range(len(blocks))]
    both_ways(data, bounds, ftype, 64)


@given(
    st.lists(
        st.lists(st.sampled_from([0, 8, 16, 24, 32, 40, 48, 56, 1, 2, 9, 0xFFFF]), min_size=32,
                 max_size=32),
        min_size=1, max_size=5,
    ),
    st.booleans(),
)  # fmt: skip
def test_bytes_that_all_look_like_ends_of_entries_mislead_neither(
    blocks: list[list[int]], ftype: bool
) -> None:
    data = b"".join(struct.pack(">32H", *words) for words in blocks)
    both_ways(data, [(at * 64 + 8, at * 64 + 64) for at in range(len(blocks))], ftype, 64)


class Written(NamedTuple):
    """An entry as a test has it written, a hole before it where there is one."""

    name: bytes
    number: int
    kind: int
    hole: int  # entries of 24 bytes that were deleted here, whose bytes are still there
    tagged: bool  # whether it ends with its own place, as it should


SIZE, HEADER = 512, 64
entries_of_a_block = st.lists(
    st.builds(
        Written,
        st.one_of(
            st.sampled_from([b".", b"..", b".x", b"..."]), st.binary(min_size=1, max_size=20)
        ),
        st.integers(1, 1 << 40),
        st.integers(0, 9),
        st.sampled_from([0, 0, 1, 2]),
        st.sampled_from([True, True, True, False]),
    ),
    max_size=5,
)


def _entry(at: int, entry: Written, ftype: bool) -> bytes:
    body = struct.pack(">QB", entry.number, len(entry.name)) + entry.name
    body += bytes((entry.kind,)) if ftype else b""
    body += bytes(-(len(body) + 2) % 8)
    return body + struct.pack(">H", at if entry.tagged else 0)


@given(st.lists(entries_of_a_block, min_size=1, max_size=5), st.booleans())
def test_what_is_written_is_parsed_by_both(blocks: list[list[Written]], ftype: bool) -> None:
    data, bounds, expected = b"", [], []
    for index, entries in enumerate(blocks):
        block, kept = bytes(HEADER), []
        for entry in entries:
            if entry.hole:
                at, gone = len(block), b""
                for step in range(entry.hole):
                    stale = Written(b"deleted", 77, 1, 0, tagged=True)
                    gone += _entry(at + 24 * step, stale, ftype)
                head = struct.pack(">HH", 0xFFFF, len(gone))
                block += head + gone[4:-2] + struct.pack(">H", at)
            block += _entry(len(block), entry, ftype)
            if entry.name not in (b".", b".."):
                known = directory_entries.KINDS[entry.kind] if ftype and entry.kind < 9 else 0
                kept.append((entry.name, entry.number, known))
        bounds.append((index * SIZE + HEADER, index * SIZE + len(block)))
        data += block.ljust(SIZE, b"\0")
        expected.append(kept)
    names = [name for kept in expected for name, _, _ in kept]
    parsed = both_ways(data, bounds, ftype, SIZE)
    assert (parsed.blocks, parsed.faults) == (expected, {})
    assert parsed.plain == (
        not any(b"/" in name or b"\0" in name for name in names)
        and all(kind for kept in expected for _, _, kind in kept)
    )


def test_kinds_of_entries_are_the_protocols() -> None:
    assert directory_entries.KINDS[:8] == tuple(InodeKind)
