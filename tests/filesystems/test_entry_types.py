"""The type byte of a directory entry may lie: what the inode is counts, as for the kernel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sidelight.blocks import BlockCache, ImageFile
from sidelight.filesystems import protocol
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.mode_samples import corrected
from sidelight.filesystems.open import open_filesystem
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.walk import walk
from sidelight.filesystems.xfs import directories
from tests.images.ext.recipes import debugfs
from tests.images.kernel import CLEAN_OPTIONS, mounted, tree_view, unmountable

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.filesystems.protocol import Filesystem

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(shutil.which("mke2fs") is None, reason="needs mke2fs"),
]

# (name, what its entry shall say)
LIES = [
    (b"folder", InodeKind.REGULAR),
    (b"folder", InodeKind.SOCKET),
    (b"folder", InodeKind.SYMLINK),
    (b"folder", InodeKind.FIFO),
    (b"file.jar", InodeKind.DIRECTORY),
    (b"file.jar", InodeKind.SOCKET),
    (b"file.jar", InodeKind.SYMLINK),
    (b"link", InodeKind.REGULAR),
    (b"link", InodeKind.DIRECTORY),
    (b"folder", 0),
    (b"folder", 8),
    (b"file.jar", 15),
    (b"folder", 255),
]


def _tree(top: Path) -> Path:
    (top / "folder").mkdir(parents=True)
    (top / "folder" / "inner.jar").write_bytes(b"inner")
    (top / "file.jar").write_bytes(b"outer")
    (top / "link").symlink_to("file.jar")
    return top


def _ext(folder: Path, options: str) -> Path:
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    mke2fs = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", options]
    subprocess.run([*mke2fs, "-d", str(_tree(folder / "tree")), str(image)], check=True)
    return image


def _rewrite(image: Path, directory: int, name: bytes, kind: int) -> None:
    """Change an entry's type in a directory of one block, and the block's checksum."""
    volume = ExtFilesystem(ImageFile(str(image)))._volume_of
    size = volume.block_size
    was = next(kind for found, _, kind in _root(image) if found == name)
    data = image.read_bytes()
    at = data.index(bytes([len(name), was]) + name) + 1
    block = bytearray(data[at // size * size :][:size])
    block[at % size] = kind
    if volume.superblock.metadata_csum:
        shown = debugfs(image, f"stat <{directory}>")
        generation = int(re.findall(r"Generation: (\d+)", shown)[0])
        register = crc32c(bytes(block[:-12]), volume.inode_seed(directory, generation))
        block[-4:] = register.to_bytes(4, "little")
    with image.open("r+b") as file:
        file.seek(at // size * size)
        file.write(block)


def _view(fs: Filesystem) -> dict[bytes, int]:
    return {
        b"/" + (path + b"/" if path else b"") + name: int(kind)
        for level in walk(fs)
        for path, _, entries in level
        for name, _, kind in entries
    }


def _kernels(image: Path, fstype: str) -> dict[bytes, int]:
    with mounted(image, fstype, CLEAN_OPTIONS[fstype]) as point:
        return {path: int(facts.kind) for path, facts in tree_view(point).items() if path != b"/"}


def _problems(fs: Filesystem) -> list[str]:
    return [problem.what for problem in fs.problems]


@pytest.mark.parametrize("options", ["metadata_csum", "^metadata_csum"])
@pytest.mark.parametrize(("name", "kind"), LIES)
def test_a_lying_entry_of_ext_reads_as_the_kernel_sees_it(
    tmp_path: Path, options: str, name: bytes, kind: int
) -> None:
    image = _ext(tmp_path, options)
    before = _view(open_filesystem(ImageFile(str(image))))
    _rewrite(image, 2, name, kind)
    fs = open_filesystem(ImageFile(str(image)))
    assert _view(fs) == before
    assert before[b"/folder/inner.jar"] == InodeKind.REGULAR
    lies = [what for what in _problems(fs) if "the inode counts" in what]
    assert len(_problems(fs)) == len(lies)
    # A type that is not one is looked up, as where none is stored.
    assert bool(lies) == (0 < kind < 8)
    if not unmountable():
        assert _view(fs) == _kernels(image, "ext4")


def test_a_healthy_tree_gives_no_problem_and_no_block_is_fetched_twice(tmp_path: Path) -> None:
    image = _ext(tmp_path, "metadata_csum")
    calls: list[int] = []

    class Fetcher:
        name = "snapshot"
        block_size = 32 << 10
        size = image.stat().st_size

        def present(self, index: int) -> bool:
            return index >= 0

        def fetch(self, index: int) -> bytes:
            calls.append(index)
            with image.open("rb") as file:
                return os.pread(file.fileno(), self.block_size, index * self.block_size)

    cache = BlockCache(Fetcher(), budget=4 << 20)
    fs = open_filesystem(cache)
    view = _view(fs)
    cache.close()
    assert fs.problems == []
    assert view == _view(open_filesystem(ImageFile(str(image))))
    assert len(calls) == len(set(calls))


def _xfs(folder: Path, entries: int) -> Path:
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    subprocess.run(["mkfs.xfs", "-q", "-f", str(image)], check=True)
    with mounted(image, "xfs", "rw") as top:
        _tree(top / "top")
        for number in range(entries):
            (top / "top" / f"another-file-with-a-long-name-{number}").touch()
    return image


@pytest.mark.skipif(bool(unmountable()) or shutil.which("xfs_db") is None, reason="needs xfs")
@pytest.mark.parametrize("entries", [0, 60], ids=["short-form", "block"])
@pytest.mark.parametrize("kind", [1, 6, 7, 5, 9])
def test_a_lying_entry_of_xfs_reads_as_the_kernel_sees_it(
    tmp_path: Path, entries: int, kind: int
) -> None:
    image = _xfs(tmp_path, entries)
    before = _view(open_filesystem(ImageFile(str(image))))
    tops = [number for name, number, _ in _root(image) if name == b"top"]
    field = _xfs_field(image, tops[0], b"folder")
    change = [*_at(tops[0], entries), "-c", f"write -d {field} {kind}"]
    subprocess.run(["xfs_db", "-x", *change, str(image)], check=True, capture_output=True)
    fs = open_filesystem(ImageFile(str(image)))
    assert _view(fs) == before
    assert _view(fs) == _kernels(image, "xfs")
    assert bool(_problems(fs)) == (kind < 8)


def _xfs_v4(folder: Path, entries: int) -> Path:
    """What no current kernel mounts: filled by mkfs from a prototype."""
    lines = ["/stub", "0 0", "d--755 0 0", "top d--755 0 0"]
    lines += ["folder d--755 0 0", f"inner.jar ---644 0 0 {__file__}", "$"]
    lines += [f"file.jar ---644 0 0 {__file__}", "link l--777 0 0 file.jar"]
    names = (f"another-file-with-a-long-name-{number}" for number in range(entries))
    lines += [f"{name} ---644 0 0 {__file__}" for name in names]
    prototype, image = folder / "prototype", folder / "disk.img"
    prototype.write_text("\n".join([*lines, "$", "$"]) + "\n")
    options = ["-m", "crc=0", "-n", "ftype=1", "-p", str(prototype)]
    command = ["mkfs.xfs", "-q", "-f", *options, "-d", f"file,name={image},size=320m"]
    mkfs = subprocess.run(command, check=False, capture_output=True, text=True)
    if mkfs.returncode:
        pytest.skip(f"this mkfs.xfs makes no version 4: {mkfs.stderr[-200:]}")
    return image


@pytest.mark.skipif(shutil.which("mkfs.xfs") is None, reason="needs mkfs.xfs")
@pytest.mark.parametrize("entries", [0, 60], ids=["short-form", "block"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"folder", 1), (b"folder", 6), (b"folder", 7), (b"folder", 5), (b"folder", 9),
        (b"folder", 0), (b"file.jar", 2), (b"file.jar", 6), (b"link", 1),
    ],
)  # fmt: skip
def test_a_lying_entry_of_version_4_reads_as_its_inode_is(
    tmp_path: Path, entries: int, name: bytes, kind: int
) -> None:
    image = _xfs_v4(tmp_path, entries)
    fs = open_filesystem(ImageFile(str(image)))
    before = _view(fs)
    assert before[b"/top/folder/inner.jar"] == InodeKind.REGULAR
    assert _problems(fs) == []
    # Version 4 has no checksums: the type is the byte behind the name, in an inode and in a block.
    data, true = image.read_bytes(), name + bytes([before[b"/top/" + name]])
    assert true in data
    image.write_bytes(data.replace(true, name + bytes([kind])))
    fs = open_filesystem(ImageFile(str(image)))
    assert _view(fs) == before
    assert bool(_problems(fs)) == (0 < kind < 8)


@pytest.mark.skipif(shutil.which("mkfs.xfs") is None, reason="needs mkfs.xfs")
def test_of_a_directory_of_very_many_entries_the_rest_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _xfs_v4(tmp_path, 600)
    monkeypatch.setattr(protocol, "MOST_ENTRIES", 100)
    monkeypatch.setattr(directories, "WINDOW", 4096)
    for at_once in (protocol.MOST_AT_ONCE, 20):
        monkeypatch.setattr(protocol, "MOST_AT_ONCE", at_once)
        fs = open_filesystem(ImageFile(str(image)))
        assert 100 < len(_view(fs)) < 500
        assert _problems(fs) == [protocol.TOO_MANY]


@pytest.mark.skipif(shutil.which("mkfs.xfs") is None, reason="needs mkfs.xfs")
def test_a_directory_of_many_entries_comes_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _xfs_v4(tmp_path, 600)
    whole = _view(open_filesystem(ImageFile(str(image))))
    monkeypatch.setattr(protocol, "MOST_AT_ONCE", 50)
    monkeypatch.setattr(directories, "WINDOW", 4096)
    fs = open_filesystem(ImageFile(str(image)))
    parts = [len(entries) for level in walk(fs) for _, _, entries in level]
    assert len([count for count in parts if count > 50]) > 2
    assert max(parts) < 50 + 4096 // 16
    assert _view(fs) == whole
    assert not _problems(fs)


def _root(image: Path) -> list[tuple[bytes, int, int]]:
    fs = open_filesystem(ImageFile(str(image)))
    return next(iter(fs.directories([fs.root])))[1]


def _at(inode: int, entries: int) -> list[str]:
    return ["-c", f"inode {inode}", *(["-c", "dblock 0"] if entries else [])]


def _xfs_field(image: Path, inode: int, name: bytes) -> str:
    """The field of xfs_db that holds an entry's type."""
    for entries in (0, 1):
        command = ["xfs_db", "-r", *_at(inode, entries), "-c", "print", str(image)]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.search(r'(\S+)\.name = "' + name.decode() + '"', shown)
        if found:
            return f"{found[1]}.filetype"
    raise AssertionError(shown)


def test_a_number_that_no_inode_can_have_is_left_to_the_judge() -> None:
    reported: list[tuple[int, str]] = []
    entries = [(b"a", (1 << 64) - 1, 1), (b"b", 12, 1)]
    listings = corrected(
        [(2, entries)],
        lambda numbers: np.where(numbers == 12, 1, 0).astype(np.uint8),
        lambda doubtful: dict.fromkeys(doubtful, 2),
        lambda directory, what: reported.append((directory, what)),
    )
    assert listings == [(2, [(b"a", (1 << 64) - 1, 2), (b"b", 12, 1)])]
    assert len(reported) == 1
