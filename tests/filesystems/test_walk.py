"""The walk of one filesystem: levels, pruning, and trees that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sidelight.filesystems import walk as walking
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.walk import walk
from sidelight.model import Problem
from tests.fakes.memory_filesystem import MemoryFilesystem

if TYPE_CHECKING:
    import pytest

TREE = {
    "etc": {"passwd": b"", "ssh": {"config": b""}},
    "usr": {"lib": {"a": b""}, "bin": {}},
    "link": "etc",
}


def paths(fs: MemoryFilesystem) -> list[list[bytes]]:
    return [sorted(path for path, _, _ in level) for level in walk(fs)]


def test_levels_come_from_the_root_down_and_links_are_not_entered() -> None:
    fs = MemoryFilesystem(TREE)
    assert paths(fs) == [[b""], [b"etc", b"usr"], [b"etc/ssh", b"usr/bin", b"usr/lib"]]
    assert fs.problems == []
    # A level is one call; no inode is read.
    assert {what for what, _ in fs.requests} == {"directory"}


def test_skipped_directories_are_not_read() -> None:
    fs = MemoryFilesystem(TREE)
    found = [p for level in walk(fs, skip=lambda path: path == b"usr") for p, _, _ in level]
    assert sorted(found) == [b"", b"etc", b"etc/ssh"]
    assert len(fs.requests) == 3


def test_a_walk_may_start_anywhere() -> None:
    fs = MemoryFilesystem(TREE)
    start = next(number for name, number, _ in fs.listings[2] if name == b"usr")
    found = [path for level in walk(fs, start=start) for path, _, _ in level]
    assert sorted(found) == [b"", b"bin", b"lib"]


def test_circles_end_with_a_problem() -> None:
    fs = MemoryFilesystem({"a": {"b": {}}})
    fs.listings[4].append((b"up", 2, InodeKind.DIRECTORY))
    fs.listings[4].append((b"self", 4, InodeKind.DIRECTORY))
    assert paths(fs) == [[b""], [b"a"], [b"a/b"]]
    assert [p.where for p in fs.problems] == ["memory: /a/b/up", "memory: /a/b/self"]


def test_impossible_names_are_dropped_with_a_problem() -> None:
    fs = MemoryFilesystem({"good": {}})
    for name in (b"", b".", b"..", b"a/b", b"a\0b", b"/"):
        fs.listings[2].append((name, 99, InodeKind.DIRECTORY))
    level = next(walk(fs))
    assert [name for name, _, _ in level[0][2]] == [b"good"]
    assert len(fs.problems) == 6


def test_an_endless_tree_meets_the_depth_limit() -> None:
    fs = MemoryFilesystem({})
    for number in range(2, 2000):
        fs.listings[number] = [(b"d", number + 1, int(InodeKind.DIRECTORY))]
    assert sum(len(level) for level in walk(fs)) == walking.MAX_DEPTH + 1
    assert "deeper" in fs.problems[-1].what


def test_paths_without_end_meet_a_limit() -> None:
    fs = MemoryFilesystem({})
    for number in range(2, 500):
        fs.listings[number] = [(b"d" * 255, number + 1, int(InodeKind.DIRECTORY))]
    assert max(len(path) for level in walk(fs) for path, _, _ in level) <= walking.MAX_PATH
    assert "too long" in fs.problems[-1].what


def test_a_level_of_very_many_entries_comes_in_pieces() -> None:
    fs = MemoryFilesystem({})
    many = [(b"f%d" % n, 10**6 + n, int(InodeKind.REGULAR)) for n in range(70_000)]
    for number in range(3, 13):
        fs.listings[2].append((b"d%d" % number, number, int(InodeKind.DIRECTORY)))
        fs.listings[number] = many
    levels = list(walk(fs))
    assert [len(level) for level in levels] == [1, 3, 3, 3, 1]


NAMES = st.sampled_from([b"a", b"b", b"", b".", b"..", b"x/y", b"\xff"])


@given(
    st.dictionaries(
        st.integers(2, 12),
        st.lists(st.tuples(NAMES, st.integers(0, 13), st.integers(0, 9))),
    )
)
def test_any_graph_is_walked_once(graph: dict[int, list[tuple[bytes, int, int]]]) -> None:
    fs = MemoryFilesystem({})
    fs.listings.update(graph)
    seen = [number for level in walk(fs) for _, number, _ in level]
    assert len(seen) == len(set(seen))


def test_problems_of_very_many_entries_stop_at_a_cap_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walking, "MOST_NOTED", 3)
    problems: list[Problem] = []
    for number in range(10):
        walking.note(problems, Problem("disk0/p1: /x", f"problem {number}"))
    assert [problem.what for problem in problems[:3]] == [f"problem {n}" for n in range(3)]
    assert len(problems) == 4
    assert problems[3].what.startswith("more than ")
