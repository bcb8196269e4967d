"""Damaged and hostile images: what is readable is given, what is not is named, nothing else."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from fuzz import ext as fuzzing
from sidelight.errors import (
    DamagedError,
    NotRecognisedError,
    SidelightError,
    SourceError,
    UnsupportedError,
)
from sidelight.filesystems.ext import fastcommit, layout
from sidelight.filesystems.ext.dirents import DirentArea, decode_area, decode_blocks, decode_each
from sidelight.filesystems.ext.inodes import Inodes
from sidelight.filesystems.ext.reader import ExtFilesystem
from tests.fixtures.hypothesis_profiles import many
from tests.images.ext import recipes, tiny
from tests.images.ext.recipes import Case
from tests.images.kernel import sidelight_view

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOCK = 1024
GROUPS = Case("groups", ("-t", "ext4", "-b", "1024"), size=32)


def _memory(data: bytes | bytearray, name: str = "x.img") -> fuzzing.Memory:
    return fuzzing.Memory(name, bytes(data), len(data))


def _numbers(fs: ExtFilesystem) -> dict[bytes, int]:
    ((_, entries),) = fs.directories([fs.root])
    return {name: number for name, number, _ in entries}


def _inode_at(fs: ExtFilesystem, number: int) -> int:
    """The inode's byte offset, by its raw bytes."""
    raw = fs._inodes.raw(number)
    assert raw is not None
    return tiny.load(fs.source_name).index(raw)


@pytest.fixture
def image() -> bytearray:
    return bytearray(tiny.load("tiny-ext4"))


@pytest.fixture
def fs() -> ExtFilesystem:
    return ExtFilesystem(_memory(tiny.load("tiny-ext4"), "tiny-ext4"))


def test_an_inode_with_a_wrong_checksum_is_left_out_and_named(
    image: bytearray, fs: ExtFilesystem
) -> None:
    number = _numbers(fs)[b"holes"]
    image[_inode_at(fs, number) + layout.INODE_MTIME] ^= 1
    broken = ExtFilesystem(_memory(image))
    assert broken.inodes([number, 2]).keys() == {2}
    assert [(problem.where, problem.what) for problem in broken.problems] == [
        (f"x.img/ext4: inode {number}", "the inode's checksum is wrong")
    ]
    ((_, error),) = broken.contents([number], 1 << 20)
    assert isinstance(error, SidelightError)
    with pytest.raises(DamagedError, match="checksum"):
        broken.read(number, 0, 1)


def test_a_directory_block_with_a_wrong_checksum_is_named_and_still_gives_its_entries(
    image: bytearray, fs: ExtFilesystem
) -> None:
    image[image.index(b"a-name-of-some-length-7")] = ord("A")
    broken = ExtFilesystem(_memory(image))
    folder = _numbers(fs)[b"folder"]
    ((_, entries),) = broken.directories([folder])
    two = {name: number for name, number, _ in entries}[b"two"]
    ((_, names),) = broken.directories([two])
    assert len(names) == 45
    assert b"A-name-of-some-length-7" in {name for name, _, _ in names}
    (problem,) = broken.problems
    assert problem.what == "the directory block's checksum is wrong"
    assert f"inode {two}, block " in problem.where


def test_an_extent_block_with_a_wrong_checksum_is_an_error_of_its_file_alone(
    image: bytearray, fs: ExtFilesystem
) -> None:
    number = _numbers(fs)[b"holes"]
    at = image.index(struct.pack("<HH", layout.EXTENT_MAGIC, 14))  # its only extent block
    image[at + 8] ^= 1
    broken = ExtFilesystem(_memory(image))
    found = dict(broken.contents([number, _numbers(fs)[b"folder"]], 1 << 20))
    assert isinstance(found[number], DamagedError)
    assert "checksum" in str(found[number])
    assert broken.inodes([number])


@pytest.mark.parametrize("name", [b"a/name", b"a\0name"])
def test_a_name_that_no_path_can_have_is_left_out(name: bytes) -> None:
    data = bytearray(tiny.load("tiny-ext2"))
    at = data.index(b"a-name-of-some-length-7")
    data[at : at + len(name)] = name
    source = _memory(data)
    names = {path.rsplit(b"/", 1)[1] for path in sidelight_view(ExtFilesystem(source))}
    assert b"a-name-of-some-length-8" in names
    assert not any(b"name-of-some-length-7" in name for name in names)


def test_encrypted_names_and_contents_are_reported_never_shown_as_plain() -> None:
    whole = ExtFilesystem(_memory(tiny.load("tiny-inline"), "tiny-inline"))
    folder, file = _numbers(whole)[b"folder"], _numbers(whole)[b"holes"]
    data = bytearray(tiny.load("tiny-inline"))
    for number in (folder, file):
        at = _inode_at(whole, number) + layout.INODE_FLAGS
        struct.pack_into(
            "<I", data, at, struct.unpack_from("<I", data, at)[0] | layout.FLAG_ENCRYPT
        )
    # A ciphertext of no length, as damage has it, is not a name.
    place = _inode_at(whole, folder) + layout.INODE_BLOCK + layout.INLINE_PARENT
    data[place + 6] = 0
    fs = ExtFilesystem(_memory(data))
    ((_, entries),) = fs.directories([folder])
    assert {number for _, number, _ in entries} < {
        number for _, found in whole.directories([folder]) for _, number, _ in found
    }
    assert all(name and name not in {b"one", b"two", b"large"} for name, _, _ in entries)
    assert [problem.what for problem in fs.problems] == ["the directory's names are encrypted"]
    with pytest.raises(UnsupportedError, match="encrypted"):
        fs.read(file, 0, 1)


def test_a_directory_that_contains_itself_ends(fs: ExtFilesystem) -> None:
    data = bytearray(tiny.load("tiny-ext2"))
    whole = ExtFilesystem(_memory(data))
    at = data.index(struct.pack("<IHBB", _numbers(whole)[b"folder"], 16, 6, 2) + b"folder")
    struct.pack_into("<I", data, at, 2)
    fuzzing.use(_memory(data))
    assert fs.problems == []


@pytest.mark.images
@pytest.mark.parametrize("damage", ["wiped", "bit flipped"])
def test_a_backup_superblock_stands_in_for_a_damaged_one(
    damage: str, tmp_path: Path, opened: Callable[[Path], ExtFilesystem], tree: Path
) -> None:
    image = recipes.make(tmp_path / "image", GROUPS, tree)
    whole = sidelight_view(opened(image))
    with image.open("r+b") as file:
        file.seek(1024 if damage == "wiped" else 1024 + 0x20)
        file.write(bytes(1024) if damage == "wiped" else b"\x55")
    fs = opened(image)
    assert sidelight_view(fs) == whole
    (problem,) = fs.problems
    assert "the backup in group 1 is used" in problem.what


@pytest.mark.images
def test_backup_group_descriptors_stand_in_for_damaged_ones(
    tmp_path: Path, opened: Callable[[Path], ExtFilesystem], tree: Path
) -> None:
    image = recipes.make(tmp_path / "image", GROUPS, tree)
    whole = sidelight_view(opened(image))
    with image.open("r+b") as file:
        file.seek(2048)
        file.write(bytes(128))
    fs = opened(image)
    assert sidelight_view(fs) == whole
    assert {problem.where.rsplit(": ", 1)[1] for problem in fs.problems} == {"group 0", "group 1"}


@pytest.mark.images
def test_a_truncated_image_gives_what_is_there(
    tmp_path: Path, opened: Callable[[Path], ExtFilesystem], tree: Path
) -> None:
    image = recipes.make(tmp_path / "image", GROUPS, tree)
    whole = sidelight_view(opened(image))
    with image.open("r+b") as file:
        file.truncate(1600 << 10)
    fs = opened(image)
    part = sidelight_view(fs)
    assert 0 < len(part) < len(whole)
    assert part.items() <= whole.items()
    assert any("truncated" in problem.what for problem in fs.problems)


@pytest.mark.images
def test_an_old_backup_under_another_format_is_not_taken_for_a_filesystem(
    tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image = recipes.make(tmp_path / "image", GROUPS)
    with image.open("r+b") as file:
        file.write(b"XFSB" + bytes(4092))
    with pytest.raises(NotRecognisedError):
        opened(image)


def test_problems_are_bounded(image: bytearray) -> None:
    fs = ExtFilesystem(_memory(image))
    assert fs.inodes(range(1000, 6000)) == {}
    assert len(fs.problems) == 1001
    assert fs.problems[-1].what == "more than 1000 problems"


@st.composite
def _blocks(draw: st.DrawFn) -> bytes:
    """Directory blocks of 128 bytes, mostly right, with a few bytes changed."""
    blocks = []
    for _ in range(draw(st.integers(1, 6))):
        block = bytearray()
        while len(block) < 128:
            name = draw(st.sampled_from([b".", b"..", b"a", b"name", b"n" * 30, b""]))
            room = 128 - len(block)
            length = max(12, 8 + len(name) + 3 & ~3)
            if length + 12 > room:
                length = room
            inode = draw(st.integers(0, 30))
            head = struct.pack("<IHBB", inode, length, len(name), draw(st.integers(0, 9)))
            block += (head + name).ljust(length, b"\0")[:length]
        for _ in range(draw(st.integers(0, 2))):
            block[draw(st.integers(0, 127))] = draw(st.integers(0, 255))
        blocks.append(bytes(block))
    return b"".join(blocks)


@given(_blocks())
def test_many_blocks_in_lockstep_decode_as_one_by_one(data: bytes) -> None:
    # So often that most go in lockstep, and the last few by themselves.
    data *= 40
    entries, bounds, faults, plain = decode_blocks(data, 128, 25)
    assert decode_each(data, 128, 25) == (entries, bounds, faults, plain)
    for at in range(len(data) // 128):
        alone, fault = decode_area(data, DirentArea(at * 128, (at + 1) * 128, 25))
        assert entries[bounds[at] : bounds[at + 1]] == alone
        assert faults.get(at, "") == fault


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny.NAMES)
def test_an_image_cut_anywhere_raises_only_our_errors(name: str) -> None:
    data = tiny.load(name)
    for size in range(0, len(data), max(512, len(data) // 40)):
        fuzzing.use(fuzzing.Memory(name, data, size))


@pytest.mark.slow
@many(150, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(min_size=8, max_size=200))
# The journal replaces the superblock by one with smaller inodes than its fast commits have.
@example(b"\x0e\x01\xb4\xcc:\x00\x03\x01")
def test_changed_bytes_raise_only_our_errors(data: bytes) -> None:
    fuzzing.one(data)


@pytest.mark.parametrize("name", [b"renamed/1", b"renamed\x001"])
def test_a_fast_commit_cannot_make_a_name_that_no_path_can_have(
    name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastcommit, "_same", lambda *_: True)
    fs = ExtFilesystem(_memory(tiny.load("tiny-fast-commit").replace(b"renamed-1", name)))
    assert fs.journal == "unreplayed"
    assert [problem.what for problem in fs.problems] == ["the fast commits hold an impossible name"]
    assert not any(b"renamed" in path and b"1" in path for path in sidelight_view(fs))


def test_an_inode_that_cannot_be_read_ends_the_fast_commits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(*_: object) -> bytes:
        raise SourceError("a block that cannot be had")

    monkeypatch.setattr(Inodes, "raw", unreadable)
    fs = ExtFilesystem(_memory(tiny.load("tiny-fast-commit")))
    assert fs.journal == "unreplayed"
    assert [problem.what for problem in fs.problems] == ["a block that cannot be had"]
