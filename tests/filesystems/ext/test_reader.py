"""Every feature's image reads exactly as the kernel's own mount of it, path by path."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.errors import (
    DamagedError,
    IsADirectoryInTreeError,
    LimitError,
    NotRecognisedError,
    SidelightError,
    UnsupportedError,
)
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.protocol import InodeKind
from tests.fakes.sources import MemorySource
from tests.images.ext import recipes, tiny
from tests.images.ext.recipes import CASES, UNMOUNTABLE, Case
from tests.images.kernel import (
    PathFacts,
    differences,
    kernel_view,
    sidelight_view,
    tree_view,
    unmountable,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXT4 = Case("ext4", ("-t", "ext4"))
EXT4_1K = Case("ext4-1k", ("-t", "ext4", "-b", "1024"))
EXT2_1K = Case("ext2-1k", ("-t", "ext2", "-b", "1024"), "ext2", size=128)


@pytest.mark.mounts
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_tree_reads_as_the_kernel_shows_it(
    case: Case, tree: Path, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image = recipes.make(tmp_path / "image", case, tree)
    fs = opened(image)
    assert differences(sidelight_view(fs), kernel_view(image, case.fstype)) == []
    assert fs.problems == []
    assert fs.kind == case.name.split("-")[0]


@pytest.mark.images
@pytest.mark.parametrize("case", UNMOUNTABLE, ids=lambda case: case.name)
def test_what_the_kernel_cannot_mount_reads_as_the_tree_it_was_made_from(
    case: Case, tree: Path, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image = recipes.make(tmp_path / "image", case, tree)
    fs = opened(image)
    view = {path: _comparable(facts) for path, facts in sidelight_view(fs).items()}
    view.pop(b"/lost+found")
    expected = {path: _comparable(facts) for path, facts in tree_view(tree).items()}
    expected[b"/"] = replace(expected[b"/"], uid=0, gid=0)  # mke2fs's default for every caller
    # More seconds than 32 bits hold: mke2fs 1.47.0 cuts them off, 1.47.2 stores the most there is.
    stored = recipes.stored_mtime_ns(image, "/size-60")
    assert stored in {0, ((1 << 31) - 1) * 10**9}
    expected[b"/size-60"] = replace(expected[b"/size-60"], mtime_ns=stored)
    assert differences(view, expected) == []
    assert fs.problems == []


def _comparable(facts: PathFacts) -> PathFacts:
    """Without what differs between filesystems; mke2fs 1.47 stores whole seconds."""
    if facts.kind is InodeKind.DIRECTORY:
        return replace(facts, size=0, links=0, mtime_ns=0)
    return replace(facts, mtime_ns=facts.mtime_ns // 10**9 * 10**9)


@pytest.mark.mounts
@pytest.mark.parametrize("case", [EXT4, EXT4_1K, EXT2_1K, *CASES[12:16]], ids=lambda c: c.name)
@pytest.mark.parametrize(
    "work", [recipes.fragmented, recipes.far_blocks, recipes.large_directory, recipes.sample_tree]
)
def test_what_the_kernel_wrote_reads_back(
    case: Case,
    work: Callable[[Path], None],
    tmp_path: Path,
    opened: Callable[[Path], ExtFilesystem],
) -> None:
    image = recipes.make(tmp_path / "image", replace(case, size=128))
    recipes.fill(image, case, work)
    fs = opened(image)
    assert differences(sidelight_view(fs), kernel_view(image, case.fstype)) == []
    assert fs.problems == []


@pytest.mark.mounts
@pytest.mark.parametrize(
    "case",
    # Not every kernel can write where there are quotas.
    [case for case in CASES if case.name != "ext4-quota"],
    ids=lambda case: case.name,
)
def test_extended_attributes_do_not_change_what_is_read(
    case: Case, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image = recipes.fill(recipes.make(tmp_path / "image", case), case, recipes.attributes)
    fs = opened(image)
    assert differences(sidelight_view(fs), kernel_view(image, case.fstype)) == []
    assert fs.problems == []


@pytest.mark.images
def test_parts_of_a_file_equal_slices_of_the_whole(
    tree: Path, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    fs = opened(recipes.make(tmp_path / "image", EXT2_1K, tree))
    number = _find(fs, b"sparse")
    ((_, whole),) = fs.contents([number], 1 << 30)
    assert isinstance(whole, bytes)
    for offset, length in ((0, 10), (3000, 5000), (5 << 20, 9), (len(whole) - 3, 100)):
        assert fs.read(number, offset, length) == whole[offset : offset + length]
    assert fs.read(number, len(whole), 5) == b""
    assert fs.read(number, len(whole) + 1000, 5) == b""


@pytest.mark.images
def test_files_that_cannot_be_given_say_why(
    tree: Path, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    fs = opened(recipes.make(tmp_path / "image", EXT4, tree))
    large, folder, missing = _find(fs, b"size-70000"), _find(fs, b"many"), 999
    found = dict(fs.contents([large, folder, missing, large], 1000))
    assert isinstance(found[large], LimitError)
    assert isinstance(found[folder], IsADirectoryInTreeError)
    assert isinstance(found[missing], DamagedError)
    with pytest.raises(IsADirectoryInTreeError):
        fs.read(folder, 0, 1)
    with pytest.raises(DamagedError, match="not a symbolic link"):
        fs.readlink(large)


@pytest.mark.images
def test_every_number_asked_for_yields_once(
    tree: Path, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    fs = opened(recipes.make(tmp_path / "image", EXT4, tree))
    numbers = [fs.root, 10**12, _find(fs, b"size-1"), fs.root, 0, -4]
    found = [number for number, _ in fs.directories(numbers)]
    assert sorted(found) == sorted(set(numbers))
    assert len(fs.problems) == 4


@pytest.mark.images
def test_unknown_features_are_unsupported_not_misread(tmp_path: Path) -> None:
    image = recipes.make(tmp_path / "image", Case("old", ("-t", "ext2"), "ext2", 8))
    recipes.debugfs(image, "ssv feature_incompat 0x80000002")
    with ImageFile(str(image)) as source, pytest.raises(UnsupportedError, match="0x80000000"):
        ExtFilesystem(source)


def test_nothing_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(1 << 20))
    with ImageFile(str(tmp_path / "image")) as source, pytest.raises(NotRecognisedError):
        ExtFilesystem(source)


@pytest.mark.images
def test_label_and_uuid_read_as_in_fstab(
    tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    uuid = "0f2c1b1e-9d5b-4c0e-8b54-8a2f6f1f0a11"
    case = Case("named", ("-t", "ext4", "-L", "data", "-U", uuid))
    fs = opened(recipes.make(tmp_path / "image", case))
    assert (fs.label, fs.uuid, fs.block_size) == ("data", uuid, 1024)


class _Reads(MemorySource):
    """A disk that notes its reads."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[tuple[int, int]] = []

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return super().read_at(offset, length)


def test_the_inode_of_a_file_read_in_pieces_is_read_once() -> None:
    source = _Reads(tiny.load("tiny-ext4"))
    fs = ExtFilesystem(source)
    ((_, entries),) = fs.directories([_find(fs, b"folder")])
    number = next(number for name, number, _ in entries if name == b"large")
    whole = fs.read(number, 0, 1 << 20)
    source.reads.clear()
    assert b"".join(fs.read(number, at, 1024) for at in range(0, len(whole), 1024)) == whole
    # Inodes are smaller than blocks, and the file's pieces are blocks.
    assert source.reads
    assert all(length >= fs.block_size for _, length in source.reads)


def _find(fs: ExtFilesystem, name: bytes) -> int:
    for _, entries in fs.directories([fs.root]):
        for found, number, _ in entries:
            if found == name:
                return number
    raise SidelightError(f"no {name!r}")


@pytest.mark.images
@pytest.mark.parametrize("size", [0, 60, 61, 100, 5000, 70_000])
def test_an_inline_file_that_is_all_holes_reads_as_zeros(
    size: int, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with (tree / "holes").open("wb") as file:
        file.truncate(size)
    case = Case("inline", ("-t", "ext4", "-O", "inline_data"), size=8)
    image = recipes.make(tmp_path / "image", case, tree)
    fs = opened(image)
    number = _find(fs, b"holes")
    assert dict(fs.contents([number], 1 << 20)) == {number: bytes(size)}
    assert fs.read(number, 50, 20) == bytes(max(0, min(20, size - 50)))
    piece = (number, 55, 10)
    assert dict(fs.pieces([piece])) == {piece: bytes(max(0, min(10, size - 55)))}
    if not unmountable():
        assert differences(sidelight_view(fs), kernel_view(image, "ext4")) == []
