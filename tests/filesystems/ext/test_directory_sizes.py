"""A directory's size, its blocks, its index and its names may contradict each other."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.filesystems import protocol
from sidelight.filesystems.ext import directories
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.walk import walk
from tests.fakes.sources import MemorySource
from tests.images.ext import tiny
from tests.images.ext.recipes import debugfs
from tests.images.kernel import mounted, unmountable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(shutil.which("mke2fs") is None, reason="needs mke2fs"),
]
_FILES = 400
_BLOCK = 1024


def _image(folder: Path, fstype: str = "ext4", *, indexed: bool = False) -> Path:
    """A directory /d of many blocks, by a map or an extent, with an index or without."""
    tree = folder / "tree/d"
    tree.mkdir(parents=True)
    for number in range(_FILES):
        (tree / f"a-file-with-a-long-name-and-number-{number}.jar").touch()
    image = folder / "disk.img"
    mke2fs = ["mke2fs", "-q", "-F", "-t", fstype, "-b", str(_BLOCK), "-O", "dir_index"]
    subprocess.run([*mke2fs, "-d", str(folder / "tree"), str(image), "8M"], check=True)
    if indexed:
        command = ["e2fsck", "-fyD", str(image)]
        assert subprocess.run(command, check=False, capture_output=True).returncode < 4
    return image


def _listed(image: Path) -> tuple[list[bytes], list[str]]:
    fs = ExtFilesystem(ImageFile(str(image)))
    found = [name for level in walk(fs) for at, _, listed in level if at for name, *_ in listed]
    return sorted(found), [problem.what for problem in fs.problems]


@pytest.mark.parametrize("fstype", ["ext2", "ext3", "ext4"])
@pytest.mark.parametrize("blocks", [0, 1, 5, 11, 12, 13, 17])
@pytest.mark.parametrize("indexed", [False, True])
def test_blocks_behind_a_directorys_size_are_a_problem(
    tmp_path: Path, fstype: str, blocks: int, indexed: bool
) -> None:
    image = _image(tmp_path, fstype, indexed=indexed)
    assert len(_listed(image)[0]) == _FILES
    assert _listed(image)[1] == []
    debugfs(image, f"set_inode_field /d size {blocks * _BLOCK}")
    found, problems = _listed(image)
    assert len(found) < _FILES
    assert [what for what in problems if "behind the directory's size" in what]
    if not unmountable() and fstype == "ext4" and blocks and not indexed:
        with mounted(image, "ext4", "ro,noload") as top:
            assert found == sorted(entry.name.encode() for entry in (top / "d").iterdir())


@pytest.mark.parametrize("fstype", ["ext2", "ext3", "ext4"])
def test_a_size_beyond_the_blocks_hides_nothing_and_is_a_problem(
    tmp_path: Path, fstype: str
) -> None:
    image = _image(tmp_path, fstype)
    debugfs(image, f"set_inode_field /d size {60 * _BLOCK}")
    found, problems = _listed(image)
    assert len(found) == _FILES
    assert [what for what in problems if "has only" in what]


def test_an_index_that_leads_nowhere_hides_nothing(tmp_path: Path) -> None:
    image = _image(tmp_path, indexed=True)
    shown = debugfs(image, "bmap /d 0").splitlines()
    first = next(int(line) for line in shown if line.strip().isdigit())
    with image.open("r+b") as file:
        # From the limit and the count of the index on; what follows are hashes and blocks.
        file.seek(first * _BLOCK + 0x28)
        file.write(b"\xff" * 16)
    assert len(_listed(image)[0]) == _FILES


def test_two_directories_of_one_name_are_both_entered(tmp_path: Path) -> None:
    (tmp_path / "tree/one-a").mkdir(parents=True)
    (tmp_path / "tree/one-b").mkdir()
    (tmp_path / "tree/one-a/first.jar").touch()
    (tmp_path / "tree/one-b/second.jar").touch()
    image = tmp_path / "disk.img"
    options = ["-O", "^metadata_csum", "-b", str(_BLOCK), "-d", str(tmp_path / "tree")]
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", *options, str(image), "4M"], check=True)
    image.write_bytes(image.read_bytes().replace(b"one-b", b"one-a"))
    assert _listed(image)[0] == [b"first.jar", b"second.jar"]


def test_a_casefolded_directory_is_listed_as_it_is_written(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    (tmp_path / "tree/Folded").mkdir(parents=True)
    options = ["-O", "casefold", "-E", "encoding=utf8", "-d", str(tmp_path / "tree")]
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", *options, str(image), "8M"], check=True)
    debugfs(image, "set_inode_field /Folded flags 0x40080000", "mkdir /Folded/Sub")
    found, problems = _listed(image)
    assert (found, problems) == ([b"Sub"], [])


@pytest.mark.parametrize("fstype", ["ext3", "ext4"])
def test_of_a_directory_of_very_many_entries_the_rest_is_not_read(
    tmp_path: Path, fstype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _image(tmp_path, fstype)
    monkeypatch.setattr(protocol, "MOST_ENTRIES", 100)
    monkeypatch.setattr(directories, "WINDOW", 2 * _BLOCK)
    for at_once in (protocol.MOST_AT_ONCE, 20):
        monkeypatch.setattr(protocol, "MOST_AT_ONCE", at_once)
        found, problems = _listed(image)
        assert 100 < len(found) < 200
        assert problems == [protocol.TOO_MANY]
    monkeypatch.setattr(protocol, "MOST_ENTRIES", _FILES)
    assert (len(_listed(image)[0]), _listed(image)[1]) == (_FILES, [])


@pytest.mark.parametrize("fstype", ["ext2", "ext3", "ext4"])
def test_a_directory_of_many_entries_comes_in_parts(
    tmp_path: Path, fstype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _image(tmp_path, fstype)
    whole = _listed(image)
    monkeypatch.setattr(protocol, "MOST_AT_ONCE", 50)
    monkeypatch.setattr(directories, "WINDOW", 2 * _BLOCK)
    fs = ExtFilesystem(ImageFile(str(image)))
    ((_, top),) = fs.directories([fs.root])
    numbers = [number for _, number, kind in top if kind == InodeKind.DIRECTORY]
    parts = [(number, len(entries)) for number, entries in fs.directories(numbers)]
    assert {number for number, _ in parts} == set(numbers)
    large = [count for _, count in parts if count]
    # A part is what is beyond the limit and a window of blocks, in each of which are some 17.
    assert len(large) > 3
    assert max(large) < 50 + 2 * _BLOCK // 50
    assert _listed(image) == whole


@pytest.mark.parametrize("name", tiny.NAMES)
def test_parts_change_nothing_of_what_a_journal_holds(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _tree(name)
    monkeypatch.setattr(protocol, "MOST_AT_ONCE", 0)
    monkeypatch.setattr(directories, "WINDOW", _BLOCK)
    assert _tree(name) == whole


def _tree(name: str) -> tuple[list[tuple[bytes, int, int]], list[str]]:
    fs = ExtFilesystem(MemorySource(tiny.load(name), name))
    found = [
        (path + b"/" + entry, number, int(kind))
        for level in walk(fs)
        for path, _, entries in level
        for entry, number, kind in entries
    ]
    return sorted(found), [problem.what for problem in fs.problems]
