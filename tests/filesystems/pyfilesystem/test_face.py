"""The PyFilesystem2 face: its own contract where it applies to what cannot be written."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

import fs as pyfilesystem
import pytest
from fs import errors
from fs.copy import copy_fs
from fs.memoryfs import MemoryFS

from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.pyfilesystem.face import MachineFS
from sidelight.filesystems.pyfilesystem.openers import ImageOpener, register
from tests.fakes.memory_filesystem import MemoryFilesystem

if TYPE_CHECKING:
    from pathlib import Path

TREE = {
    "top.txt": b"Hello, World",
    "big": bytes(range(256)) * 40_000,
    "foo": {"bar": {"egg": b"egg"}, "empty": {}},
    "caf\udce9": b"latin",
    "up": "foo/bar/../../top.txt",
    "todir": "foo",
    "dot": ".",
    "dangling": "none",
    "fifo": b"",
}


@pytest.fixture
def memory() -> MemoryFilesystem:
    fs = MemoryFilesystem(TREE)
    index = [name for name, _, _ in fs.listings[2]].index(b"fifo")
    fs.listings[2][index] = (b"fifo", fs.listings[2][index][1], InodeKind.FIFO)
    return fs


@pytest.fixture
def face(memory: MemoryFilesystem) -> MachineFS:
    return MachineFS(memory)


def test_directories_are_listed_and_walked(face: MachineFS) -> None:
    assert set(face.listdir("/")) == set(TREE)
    assert face.listdir("foo") == face.listdir("/foo/") == face.listdir("todir")
    assert sorted(face.walk.files("/foo")) == ["/foo/bar/egg"]
    # A link is described as itself in a listing, so that a walk over "dot" ends.
    assert sorted(face.walk.dirs("/")) == ["/foo", "/foo/bar", "/foo/empty"]
    assert face.isempty("/foo/empty")


def test_a_listing_without_namespaces_reads_no_inode(
    face: MachineFS, memory: MemoryFilesystem
) -> None:
    assert {info.name: info.is_dir for info in face.scandir("/")}["foo"] is True
    list(face.walk.files("/"))
    assert {what for what, _ in memory.requests} == {"directory"}


def test_a_walk_breadth_first_reads_many_directories_at_once() -> None:
    tree = {f"d{n}": {f"e{m}": {"f": b""} for m in range(20)} for n in range(20)}
    memory = MemoryFilesystem(tree)
    face = MachineFS(memory)
    assert len(list(face.walk.files("/"))) == 400
    assert len(memory.requests) == 421
    assert memory.calls <= 6
    # One path alone reads only what leads to it.
    memory = MemoryFilesystem(tree)
    assert MachineFS(memory).listdir("/d3/e4") == ["f"]
    assert len(memory.requests) == 3


def test_namespaces_show_the_inodes_fields(face: MachineFS) -> None:
    info = face.getinfo("/top.txt", ["details", "access", "link", "stat"])
    assert (info.name, info.is_dir, info.is_file, info.size) == ("top.txt", False, True, 12)
    assert info.permissions is not None
    assert (info.uid, info.gid, info.permissions.mode) == (1, 2, 0o640)
    assert info.modified is not None
    assert info.modified.year == 2001
    assert info.raw["stat"]["st_mtime_ns"] == 10**18
    assert info.target is None
    assert info.type == pyfilesystem.ResourceType.file
    assert face.getinfo("/fifo").raw == {"basic": {"name": "fifo", "is_dir": False}}


def test_links_have_targets_and_are_followed(face: MachineFS) -> None:
    info = face.getinfo("/up", ["details", "link"])
    assert (info.target, info.size, info.is_link) == ("foo/bar/../../top.txt", 12, True)
    assert face.islink("/up")
    assert face.islink("/dangling")
    assert not face.islink("/top.txt")
    assert face.getinfo("/dangling", ["link"]).target == "none"
    assert face.readtext("/up") == "Hello, World"
    assert face.isdir("/todir")
    assert face.opendir("/todir").listdir("/") == face.listdir("/foo")
    listed = {i.name: i for i in face.scandir("/", ["details", "link"])}
    assert (listed["up"].is_link, listed["up"].type) == (True, pyfilesystem.ResourceType.symlink)
    assert listed["todir"].is_dir is False
    assert listed["foo"].is_dir is True


def test_names_that_are_not_utf8_are_surrogates(face: MachineFS) -> None:
    assert "caf\udce9" in face.listdir("/")
    assert face.readbytes("/caf\udce9") == b"latin"
    assert os.fsencode("caf\udce9") == b"caf\xe9"


def test_files_are_seekable_streams(face: MachineFS) -> None:
    expected = TREE["big"]
    assert isinstance(expected, bytes)
    with face.openbin("/big") as file:
        assert file.seekable()
        assert file.readable()
        assert not file.writable()
        file.seek(-10, io.SEEK_END)
        assert file.read(100) == expected[-10:]
        file.seek(1000)
        assert (file.read(7), file.tell()) == (expected[1000:1007], 1007)
        assert file.seek(10, io.SEEK_CUR) == 1017
        file.seek(10**9)
        assert file.read(1) == b""
        file.seek(0)
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(expected).digest()
        with pytest.raises(ValueError, match=r"a seek to -1|negative seek"):
            file.seek(-1)
    with pytest.raises(ValueError, match="closed"):
        file.read(1)
    with face.openbin("/big", buffering=0) as raw:
        part = bytearray(5)
        assert raw.readinto(part) == 5  # type: ignore[attr-defined]  # a raw stream
        assert bytes(part) == expected[:5]
    with face.open("/top.txt", encoding="ascii") as text:
        assert text.readlines() == ["Hello, World"]


def test_buffered_reading_asks_the_filesystem_for_large_pieces(
    face: MachineFS, memory: MemoryFilesystem
) -> None:
    with face.openbin("/big") as file:
        while file.read(4096):
            pass
    assert sum(what == "read" for what, _ in memory.requests) <= 4


@pytest.mark.parametrize(
    ("action", "path", "error"),
    [
        ("getinfo", "/nothing", errors.ResourceNotFound),
        ("listdir", "/nothing", errors.ResourceNotFound),
        ("listdir", "/top.txt", errors.DirectoryExpected),
        ("scandir", "/top.txt", errors.DirectoryExpected),
        ("opendir", "/top.txt", errors.DirectoryExpected),
        ("openbin", "/foo", errors.FileExpected),
        ("openbin", "/fifo", errors.FileExpected),
        ("openbin", "/nothing", errors.ResourceNotFound),
        ("openbin", "/dangling", errors.ResourceNotFound),
        ("getinfo", "/top.txt/x", errors.ResourceNotFound),
        ("listdir", "/top.txt/x", errors.DirectoryExpected),
        ("islink", "/nothing", errors.ResourceNotFound),
        ("listdir", "/a\0b", errors.InvalidCharsInPath),
        ("getinfo", "../..", errors.IllegalBackReference),
        ("makedir", "/new", errors.ResourceReadOnly),
        ("remove", "/top.txt", errors.ResourceReadOnly),
        ("removedir", "/foo", errors.ResourceReadOnly),
        ("touch", "/top.txt", errors.ResourceReadOnly),
        ("create", "/new", errors.ResourceReadOnly),
    ],
)
def test_errors_are_of_the_right_type(
    face: MachineFS, action: str, path: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        list(getattr(face, action)(path) or [])


@pytest.mark.parametrize("mode", ["w", "a", "r+", "x", "wb"])
def test_nothing_can_be_written(face: MachineFS, mode: str) -> None:
    with pytest.raises(errors.ResourceReadOnly):
        face.openbin("/top.txt", mode)
    with pytest.raises(errors.ResourceReadOnly):
        face.setinfo("/top.txt", {})
    with pytest.raises(ValueError, match="mode"):
        face.openbin("/top.txt", "nonsense")


def test_damage_is_a_failed_operation(face: MachineFS, memory: MemoryFilesystem) -> None:
    number = next(n for name, n, _ in memory.listings[2] if name == b"top.txt")
    size = len(memory.files[number])
    with face.openbin("/top.txt", buffering=0) as file:
        del memory.files[number]
        with pytest.raises(errors.OperationFailed, match="is damaged"):
            file.read(size)


def test_questions_are_answered_without_errors(face: MachineFS) -> None:
    assert [face.exists(p) for p in ("/", "/foo", "/nothing", "/dangling")] == [1, 1, 0, 1]
    assert [face.isfile(p) for p in ("/top.txt", "/foo", "/fifo", "/up")] == [1, 0, 1, 1]
    assert [face.isdir(p) for p in ("/", "/top.txt", "/nothing")] == [1, 0, 0]
    assert face.getsize("/top.txt") == 12
    assert face.hash("/top.txt", "md5") == hashlib.md5(b"Hello, World").hexdigest()  # noqa: S324 -- a sum
    assert face.getmeta()["read_only"] is True
    assert face.hassyspath("/top.txt") is False
    (text,) = face.filterdir("/", files=["*.txt"], exclude_dirs=["*"])
    assert text.name == "top.txt"
    assert [info.name for info in face.scandir("/", page=(1, 3))] == face.listdir("/")[1:3]


def test_trees_can_be_copied_out(face: MachineFS) -> None:
    with MemoryFS() as other:
        copy_fs(face.opendir("/foo"), other)
        assert other.readbytes("/bar/egg") == b"egg"


def test_a_closed_filesystem_says_so(face: MachineFS) -> None:
    face.close()
    assert face.isclosed()
    for action in (face.listdir, face.getinfo, face.openbin, face.isdir):
        with pytest.raises(errors.FilesystemClosed):
            action("/")


def test_openers_refuse_what_is_no_image(tmp_path: Path) -> None:
    register()
    assert "image" in pyfilesystem.opener.registry.protocols
    assert ImageOpener.protocols == ["image"]
    with pytest.raises(pyfilesystem.opener.errors.OpenerError, match="No such file"):
        pyfilesystem.open_fs(f"image://{tmp_path}/none.img")
    (tmp_path / "a.img").write_bytes(b"\x5a" * 8192)
    with pyfilesystem.open_fs(f"image://{tmp_path}/a.img") as machine:
        assert isinstance(machine, MachineFS)
        assert machine.listdir("/") == []
        assert [p.what for p in machine.machine.problems] == ["no known filesystem"]
    with pytest.raises(pyfilesystem.opener.errors.OpenerError, match="read-only"):
        pyfilesystem.open_fs(f"image://{tmp_path}/a.img", create=True)
