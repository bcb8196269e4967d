"""Damaged and hostile images: what is readable is given, what is not is named, nothing else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import xfs as fuzzing
from sidelight.errors import SidelightError
from sidelight.filesystems.xfs.extents import Remap, remap
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.fixtures.hypothesis_profiles import many
from tests.fixtures.xfs_images import directory_block, file_of, paths, place
from tests.images.xfs import fixtures

pytest.importorskip("zstandard")


@pytest.fixture
def image() -> fixtures.SparseImage:
    return fixtures.load("tiny")


def test_an_inode_with_a_bad_checksum_is_left_out_and_named(image: fixtures.SparseImage) -> None:
    number = file_of(image)
    broken = image.changed(place(image, number) + 60, b"\xff")
    filesystem = XfsFilesystem(broken)
    assert filesystem.inodes([number]) == {}
    (problem,) = filesystem.problems
    assert problem.where == f"tiny.img/xfs: inode {number}"
    assert problem.what == "bad checksum of the inode"
    ((_, error),) = filesystem.contents([number], 1 << 20)
    assert isinstance(error, SidelightError)
    with pytest.raises(SidelightError, match="bad checksum"):
        filesystem.read(number, 0, 1)


def test_a_directory_block_with_a_bad_checksum_still_gives_its_entries(
    image: fixtures.SparseImage,
) -> None:
    address, data = directory_block(image)
    at = data.index(b"nn")
    filesystem = XfsFilesystem(image.changed(address * 512 + at, b"N"))
    number = paths(filesystem)["block"][0]
    entries = dict(filesystem.directories([number]))[number]
    assert len(entries) == len(dict(XfsFilesystem(image).directories([number]))[number])
    assert any(name.startswith(b"N") for name, _, _ in entries)
    assert [problem.what for problem in filesystem.problems] == [
        f"bad checksum of the block at {address * 512}"
    ]


@pytest.mark.parametrize("name", [b"a/b", b"a\0b"])
def test_a_name_that_no_path_can_have_is_left_out(image: fixtures.SparseImage, name: bytes) -> None:
    address, data = directory_block(image)
    at = data.index(b"nnnn")
    block = bytearray(data)
    block[at : at + 3] = name
    filesystem = XfsFilesystem(image.changed(address * 512, fuzzing.sealed(bytes(block))))
    number = paths(filesystem)["block"][0]
    entries = dict(filesystem.directories([number]))[number]
    assert len(entries) == len(dict(XfsFilesystem(image).directories([number]))[number]) - 1
    assert [problem.what for problem in filesystem.problems] == [
        "a name with a slash or a NUL in it"
    ]


def test_a_block_of_another_directory_is_named_and_not_listed(image: fixtures.SparseImage) -> None:
    address, data = directory_block(image)
    block = bytearray(data)
    struct.pack_into(">Q", block, 40, 12345)
    filesystem = XfsFilesystem(image.changed(address * 512, fuzzing.sealed(bytes(block))))
    number = paths(filesystem)["block"][0]
    assert dict(filesystem.directories([number]))[number] == []
    assert "belongs elsewhere" in filesystem.problems[0].what


@pytest.mark.parametrize("flag", [1])
def test_a_realtime_file_is_named_and_not_read(image: fixtures.SparseImage, flag: int) -> None:
    number = file_of(image)
    at = place(image, number)
    inode = bytearray(image.read_at(at // 4096 * 4096, 4096))
    struct.pack_into(">H", inode, at % 4096 + 90, flag)
    filesystem = XfsFilesystem(image.changed(at // 4096 * 4096, fuzzing.sealed(bytes(inode))))
    assert number in filesystem.inodes([number])
    ((_, error),) = filesystem.contents([number], 1 << 20)
    assert "realtime" in str(error)


@pytest.mark.parametrize("value", [0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_big_times_are_read_to_their_end_in_the_year_2486(
    image: fixtures.SparseImage, value: int
) -> None:
    number = file_of(image)
    at = place(image, number)
    start = at % 4096
    piece = bytearray(image.read_at(at - start, 4096))
    assert piece[start + 127] & 8
    struct.pack_into(">Q", piece, start + 40, value)
    filesystem = XfsFilesystem(image.changed(at - start, fuzzing.sealed(bytes(piece))))
    before = XfsFilesystem(image).inodes([number])[number]
    found = filesystem.inodes([number])[number]
    assert found == before._replace(mtime_ns=value - (1 << 31) * 1_000_000_000)


@pytest.mark.parametrize("size", [512, 4096, 100_000, 8 << 20, 20 << 20])
def test_a_truncated_image_gives_what_is_left(image: fixtures.SparseImage, size: int) -> None:
    short = fixtures.SparseImage(image.name, size, image.pieces)
    try:
        filesystem = XfsFilesystem(short)
    except SidelightError:
        return
    fuzzing.use(short)
    assert any("shorter" in problem.what for problem in filesystem.problems)


def test_a_directory_of_gigabytes_of_nothing_is_given_up_early(
    image: fixtures.SparseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = paths(XfsFilesystem(image))["block"][0]
    at = place(image, number)
    inode = bytearray(image.read_at(at // 4096 * 4096, 4096))
    start = at % 4096
    struct.pack_into(">Q", inode, start + 56, 64 << 20)
    # One extent over 1,000 blocks of another group: nothing there is a directory block.
    struct.pack_into(">QQ", inode, start + 176, 0, (0 << 21) | 1000)
    monkeypatch.setattr("sidelight.filesystems.xfs.directories.WINDOW", 100 * 4096)
    hostile = image.changed(at // 4096 * 4096, fuzzing.sealed(bytes(inode)))
    filesystem = XfsFilesystem(hostile)
    assert dict(filesystem.directories([number]))[number] == []
    assert len(filesystem.problems) < 210
    assert filesystem.problems[-1].what == "most of it is not a directory"


def test_problems_of_a_hostile_image_are_bounded(image: fixtures.SparseImage) -> None:
    filesystem = XfsFilesystem(image)
    assert filesystem.inodes(range(1 << 40, (1 << 40) + 10_000)) == {}
    assert len(filesystem.problems) == 2001
    assert "more than" in filesystem.problems[-1].what


@pytest.mark.slow
@many(150, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(min_size=10, max_size=200))
def test_any_change_raises_only_our_errors(data: bytes) -> None:
    fuzzing.use(fuzzing.mutate(data))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=4096))
def test_any_bytes_are_no_reason_to_fail(data: bytes) -> None:
    pieces = {0: (b"XFSB" + data)[:4096].ljust(4096, b"\0")}
    fuzzing.use(fixtures.SparseImage("random", 1 << 20, pieces))


extents = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=6)


@given(extents, st.integers(0, 30), st.integers(1, 20), st.one_of(st.just(-1), st.just(1000)))
def test_a_remap_changes_its_range_and_nothing_else(
    gaps: list[tuple[int, int]], start: int, length: int, physical: int
) -> None:
    listed, at = [], 0
    for index, (gap, run) in enumerate(gaps):
        listed.append((at + gap, 100 * (index + 1), run))
        at += gap + run

    def spread(found: list[tuple[int, int, int]]) -> dict[int, int]:
        return {a + i: p + i for a, p, n in found for i in range(n)}

    expected = spread(listed)
    for index in range(length):
        expected.pop(start + index, None)
        if physical >= 0:
            expected[start + index] = physical + index
    assert spread(remap(listed, [Remap(start, length, physical)])) == expected
