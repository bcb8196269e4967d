"""Directories that a walk leaves out by globs, but for those of the system's own databases.

A glob is a path from the machine's root: `*`, `?` and `[…]` match within a name, `**` any number of
names, and none but at the end. Each name is compared once, so a glob of many `**` costs no more
than its length times that of the path.
"""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, Final

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEPARATOR: Final = ":"
MOST_GLOBS: Final = 100
MOST_CHARACTERS: Final = 1024  # of one glob
# Databases of a directory a package: all below it is read.
_DEEP_DATABASES: Final = (b"var/db/pkg", b"var/lib/pacman/local")


def split_globs(text: str) -> tuple[str, ...]:
    """Return the globs of a text that separates them by colons. Raises UsageError."""
    globs = tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(SEPARATOR)))))
    if len(globs) > MOST_GLOBS:
        raise UsageError(f"has {len(globs)} globs; the most is {MOST_GLOBS}")
    for glob in globs:
        names = glob.strip("/").split("/")
        if len(glob) > MOST_CHARACTERS:
            raise UsageError(f"{glob[:40]!r}… has more than {MOST_CHARACTERS} characters")
        if {"", ".", ".."} & set(names):
            raise UsageError(f"{glob!r} is not a path from the root, as /opt/**/node_modules")
    return globs


class DirectoryGlob:
    """One glob, compared with directories' paths."""

    def __init__(self, glob: str) -> None:
        self.text = glob if glob.startswith("/") else f"/{glob}"
        names = glob.strip("/").split("/")
        self._names = [None if name == "**" else _pattern(name) for name in names]

    def matches(self, names: Sequence[bytes]) -> bool:
        """Whether the glob is about a directory, by the names of its path."""
        last = len(self._names)
        positions = {0}
        for count, name in enumerate(names, 1):
            following: set[int] = set()
            for position in self._open(positions):
                pattern = self._names[position]
                if pattern is None:
                    # `**` takes this name, and at the end of a glob at least one.
                    following.add(position)
                    if position + 1 == last and count == len(names):
                        return True
                elif pattern.fullmatch(name):
                    following.add(position + 1)
            positions = following
            if not positions:
                return False
        return last in positions

    def _open(self, positions: Iterable[int]) -> set[int]:
        """Return the positions that are reached if each `**` takes no name; none past the end."""
        found: set[int] = set()
        for position in positions:
            at = position
            while at < len(self._names):
                found.add(at)
                if self._names[at] is not None:
                    break
                at += 1
        return found


class SkippedDirectories:
    """Decides for each directory of a walk, from the root down, whether it is left out.

    A directory that holds one of `kept`, or is one, is entered for the system's databases alone.
    """

    def __init__(self, globs: Sequence[str], kept: Iterable[bytes]) -> None:
        self._globs = [DirectoryGlob(glob) for glob in globs]
        self._kept = {b"", *kept}
        for path in _DEEP_DATABASES:
            names = path.split(b"/")
            self._kept |= {b"/".join(names[:count]) for count in range(1, len(names) + 1)}
        self._counts: dict[str, int] = {}
        self._partly: set[bytes] = set()

    def __bool__(self) -> bool:
        return bool(self._globs)

    def skips(self, path: bytes) -> bool:
        """Whether a directory is not entered. The one that holds it has been asked about before."""
        if not self._globs:
            return False
        if path.rpartition(b"/")[0] not in self._partly:
            names = path.split(b"/")
            glob = next((item for item in self._globs if item.matches(names)), None)
            if glob is None:
                return False
            self._counts[glob.text] = self._counts.get(glob.text, 0) + 1
        if path in self._kept or path.startswith(tuple(path + b"/" for path in _DEEP_DATABASES)):
            self._partly.add(path)
            return False
        return True

    def is_partly_read(self, path: bytes) -> bool:
        """Whether a directory was entered for the system's databases alone."""
        return path in self._partly

    def lines(self) -> list[str]:
        """Return what was left out: each glob, with the number of directories."""
        return [
            f"{glob}: {count} director{'ies' if count != 1 else 'y'}"
            for glob, count in self._counts.items()
        ]


def _pattern(name: str) -> re.Pattern[bytes]:
    # fnmatch's expressions are of ASCII; the names are those of a disk, in any encoding.
    raw = name.encode("utf-8", "surrogateescape").decode("latin-1")
    return re.compile(translate(raw).encode("latin-1"), re.DOTALL)
