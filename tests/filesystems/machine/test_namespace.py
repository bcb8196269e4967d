"""Paths of a machine's tree, through its links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import (
    IsADirectoryInTreeError,
    LinkLoopError,
    NoSuchPathError,
    NotADirectoryInTreeError,
    SidelightError,
)
from sidelight.filesystems.machine.mount_table import MachineTree
from sidelight.filesystems.protocol import InodeKind
from tests.fakes.memory_filesystem import MemoryFilesystem

LINKS = {
    "dir": {"file": b"data", "up": "../dir/file", "out": "../../../../dir/file"},
    "abs": "/dir/file",
    "loop": "loop",
    "ping": "pong",
    "pong": "ping",
    "dangling": "nowhere",
    "todir": "dir",
    "empty": "",
    "dots": "./././dir//./file",
}


@pytest.mark.parametrize(
    "path",
    ["abs", "/abs", "dir/up", "dir/out", "todir/file", "dots", "../../abs", "todir/../dir/file"],
)
def test_links_resolve_inside_the_tree(path: str) -> None:
    tree = MachineTree(MemoryFilesystem(LINKS))
    assert tree.read(path) == b"data"
    assert tree.read(path, 1, 2) == b"at"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("loop", LinkLoopError),
        ("ping", LinkLoopError),
        ("dangling", NoSuchPathError),
        ("empty", NoSuchPathError),
        ("dir/file/x", NotADirectoryInTreeError),
        ("dir/file/", NotADirectoryInTreeError),
        ("dir", IsADirectoryInTreeError),
        ("nothing", NoSuchPathError),
        ("dir/nothing/x", NoSuchPathError),
    ],
)
def test_impossible_paths_have_the_kernels_errors(path: str, error: type[SidelightError]) -> None:
    with pytest.raises(error):
        MachineTree(MemoryFilesystem(LINKS)).read(path)


def test_forty_links_are_followed_and_no_more() -> None:
    chain: dict[str, object] = {f"l{n}": f"l{n + 1}" for n in range(41)}
    chain["l41"] = b"end"
    tree = MachineTree(MemoryFilesystem(chain))
    assert tree.read("l1") == b"end"
    with pytest.raises(LinkLoopError):
        tree.read("l0")


def test_links_themselves_can_be_read() -> None:
    tree = MachineTree(MemoryFilesystem(LINKS))
    assert tree.readlink("todir") == b"dir"
    assert tree.resolve("todir", follow=False)[2] == InodeKind.SYMLINK
    assert tree.resolve("todir")[2] == InodeKind.DIRECTORY
    assert tree.resolve("todir/", follow=False)[2] == InodeKind.DIRECTORY
    assert tree.stat("abs").size == 4
    with pytest.raises(NoSuchPathError):
        tree.readlink("dir")


WORDS = st.lists(st.sampled_from(["a", "b", "c", "..", ".", "", "[x]"]), max_size=8).map("/".join)


@given(
    st.dictionaries(
        st.sampled_from("abc"), st.one_of(WORDS, st.just(b"f"), st.just({"a": "../b", "c": {}}))
    ),
    WORDS,
)
def test_any_links_lead_somewhere_or_raise_ours(tree: dict[str, object], path: str) -> None:
    machine = MachineTree(MemoryFilesystem(tree))
    try:
        place = machine.locate(path)
    except SidelightError:
        return
    assert place.inode >= 2
