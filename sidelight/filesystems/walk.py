"""The walk of one filesystem: breadth first, a level of the tree at a time.

Nothing here recurses, and what is kept is one level's directories and the numbers of all
directories seen: a hostile tree costs no more than its own size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.filesystems.protocol import InodeKind
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sidelight.filesystems.protocol import Entry, Filesystem

Directory = tuple[bytes, int, "list[Entry]"]

# Directories asked for at once, and entries given at once: more would hold memory for nothing.
BATCH = 8192
ENTRIES_AT_ONCE = 200_000
# Far beyond any real tree, and short enough that a hostile one cannot make paths of gigabytes.
MAX_DEPTH = 512
MAX_PATH = 16 << 10
MOST_NOTED = 10_000  # Problems of one filesystem to which a walk adds another

_DIRECTORY = int(InodeKind.DIRECTORY)
_MORE = f"more than {MOST_NOTED} problems of its directories"
_REFUSED = frozenset({b"", b".", b".."})


def walk(
    fs: Filesystem,
    skip: Callable[[bytes], bool] | None = None,
    start: int | None = None,
    problems: list[Problem] | None = None,
) -> Iterator[list[Directory]]:
    """Levels of `(path, directory's inode, entries)`, from `start` (the root) down.

    Paths are bytes relative to `start` without a leading slash; its own is empty. A level of
    very many entries comes in several lists, and so does a directory of very many. A directory for
    which `skip(path)` is true is not entered. A directory met twice, impossible names and trees too
    deep are Problems, appended to `problems` (the filesystem's own by default).
    """
    noted = fs.problems if problems is None else problems
    first = fs.root if start is None else start
    seen = {first}
    level: dict[int, bytes] = {first: b""}
    for depth in range(MAX_DEPTH + 1):
        below: dict[int, bytes] = {}
        batch: list[Directory] = []
        room = ENTRIES_AT_ONCE
        for number, entries in listing(fs, list(level), noted):
            path = level[number]
            batch.append((path, number, entries))
            for child, where in subdirectories(fs, path, entries, noted):
                if child in seen:
                    note(noted, _met_twice(fs, where, child))
                elif skip is None or not skip(where):
                    seen.add(child)
                    below[child] = where
            room -= len(entries) + 1
            if room <= 0:
                yield batch
                batch, room = [], ENTRIES_AT_ONCE
            del entries
        if batch:
            yield batch
        level = below
        if not level:
            return
        if depth == MAX_DEPTH:
            noted.append(too_deep(fs, next(iter(level.values()))))


def listing(
    fs: Filesystem, numbers: Sequence[int], problems: list[Problem]
) -> Iterator[tuple[int, list[Entry]]]:
    """Entries of many directories, without those whose names cannot be; see Filesystem."""
    for begin in range(0, len(numbers), BATCH):
        for number, entries in fs.directories(numbers[begin : begin + BATCH]):
            names = [entry[0] for entry in entries]
            joined = b"/".join(names)
            if (
                b"\0" in joined
                or (names and joined.count(b"/") != len(names) - 1)
                or not _REFUSED.isdisjoint(names)
            ):
                entries = _possible(fs, number, entries, problems)  # noqa: PLW2901 - as it is given
            del names, joined
            yield number, entries
            del entries


def subdirectories(
    fs: Filesystem, path: bytes, entries: Sequence[Entry], problems: list[Problem]
) -> Iterator[tuple[int, bytes]]:
    """`(inode, path)` of the directories among these entries of the directory at `path`."""
    prefix = path + b"/" if path else b""
    for name, number, kind in entries:
        if kind == _DIRECTORY:
            where = prefix + name
            if len(where) > MAX_PATH:
                note(problems, Problem(shown(fs, where[:64] + b"..."), "the path is too long"))
            else:
                yield number, where


def note(problems: list[Problem], problem: Problem) -> None:
    """Add a Problem of one entry; where there are very many already, only that there are more."""
    if len(problems) < MOST_NOTED:
        problems.append(problem)
    elif problems[-1].what != _MORE:
        problems.append(Problem(problem.where.partition(":")[0], _MORE))


def too_deep(fs: Filesystem, path: bytes) -> Problem:
    """The Problem of a tree with more than MAX_DEPTH levels."""
    what = f"directories nested deeper than {MAX_DEPTH} are not read"
    return Problem(shown(fs, path[:64] + b"..."), what)


def shown(fs: Filesystem, path: bytes) -> str:
    """Coordinates of a path, for Problems."""
    return f"{fs.source_name}: /{path.decode('utf-8', 'backslashreplace')}"


def _met_twice(fs: Filesystem, path: bytes, number: int) -> Problem:
    return Problem(shown(fs, path), f"directory inode {number} was met before; not read again")


def _possible(
    fs: Filesystem, number: int, entries: Sequence[Entry], problems: list[Problem]
) -> list[Entry]:
    kept = []
    for entry in entries:
        name = entry[0]
        if name in _REFUSED or b"/" in name or b"\0" in name:
            where = f"{fs.source_name}: directory inode {number}"
            note(problems, Problem(where, f"an entry named {name[:64]!r} was left out"))
        else:
            kept.append(entry)
    return kept
