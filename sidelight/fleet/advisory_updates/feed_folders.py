"""The directory of feeds: which files a build reads, and the last good edition of each source.

feeds/osv-npm/…        what was downloaded last
feeds/.good/osv-npm/…  the edition that the database was last built from, as hard links
feeds/mine.json        files and directories that somebody added: they are built as well
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Final

from sidelight.advisories.database import layout
from sidelight.advisories.feeds import read
from sidelight.errors import DatabaseError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

GOOD: Final = ".good"
# Raised where a build of the same files gives another database.
BUILDER: Final = f"{layout.SCHEMA}.1"


class FeedFolders:
    """The feeds of one database. `sources` are the names of the chosen sources."""

    def __init__(self, root: Path, sources: Sequence[str], known: Collection[str]) -> None:
        """`known`: all sources' names; a directory of another name is somebody's own."""
        self.root = root
        self._sources = tuple(sources)
        self._known = frozenset(known)

    def current(self) -> dict[str, Path]:
        """Return the directory of each chosen source that has a file."""
        return {name: self.root / name for name in self._sources if has_feed(self.root / name)}

    def added(self) -> list[Path]:
        """Return the files and directories of feeds that somebody added, in order."""
        return sorted(
            path
            for path in self.root.iterdir()
            if not path.name.startswith(".") and path.name not in self._known and has_feed(path)
        )

    def good(self, name: str) -> Path | None:
        """Return the last good edition of a source, if there is one."""
        path = self.root / GOOD / name
        return path if has_feed(path) else None

    def digest(self) -> str:
        """Return a digest of all files that a build would read, and of the builder's version."""
        digest = hashlib.sha256(f"{BUILDER}\n".encode())
        for line in sorted(self._lines()):
            digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _lines(self) -> Iterator[str]:
        for path in (*self.current().values(), *self.added()):
            for file in _files(path):
                yield f"{file.relative_to(self.root)}\t{_contents(file)}"

    def keep_good(self, names: Collection[str]) -> None:
        """Keep the current editions of these sources as the last good ones.

        Raises DatabaseError where they cannot be written.
        """
        for name in names:
            kept, fresh = self.root / GOOD / name, self.root / GOOD / f".{name}.new"
            try:
                shutil.rmtree(fresh, ignore_errors=True)
                shutil.copytree(self.root / name, fresh, copy_function=_link, ignore=_partial)
                shutil.rmtree(kept, ignore_errors=True)
                fresh.replace(kept)
            except (OSError, shutil.Error) as error:
                what = f"cannot be kept: {getattr(error, 'strerror', None) or error}"
                raise DatabaseError(what, where=str(kept)) from error


def has_feed(path: Path) -> bool:
    """Whether this is a file or a directory of feeds that a build can read."""
    return bool(_files(path))


def _files(path: Path) -> list[Path]:
    try:
        return read.files(path)
    except UsageError:
        return []


def _contents(file: Path) -> str:
    """Return what identifies a file's contents: its download's digest, or its size and time."""
    status = file.stat()
    try:
        note = json.loads(file.with_name(f".{file.name}.json").read_bytes())
        if note["size"] == status.st_size:
            return str(note["sha256"])
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return f"{status.st_size} {status.st_mtime_ns}"


def _link(source: str, target: str) -> str:
    """Link a file, or copy it where the file system has no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)
    return target


def _partial(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith((".part", ".part.json", ".new", ".unpacked"))}
