"""Blocks that were paid for, kept on a local disk: what a killed reader read is not read twice.

A file an item, by snapshot and name, with a SHA-256 over all three: a file that is damaged, cut,
or is in another's place is removed and taken for absent. Several processes may share the
directory: files appear whole, by a rename, and one process at a time evicts the longest unused.
A process looks only at what it wrote itself since it last looked, so that together they may be
over the budget by a sixteenth for each of them.

A cache never fails a scan: where the disk is full or away, nothing is kept. What it holds are
blocks of the scanned machines' disks: the directory is its owner's alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
import tempfile
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

MAGIC = b"sidelight kept 1\n"
DIGEST = 32
LOOKS = 16  # at the whole directory, while a budget's worth is written
ROOM = 0.9  # of the budget, what an eviction leaves
_SNAPSHOT = re.compile(r"snap-[0-9a-f]{1,59}")
_ITEM = re.compile(r"[0-9a-z]{1,20}")


class DiskCache:
    """A directory of at most `budget` bytes. Safe for threads and processes."""

    def __init__(self, directory: Path, budget: int) -> None:
        """The directory is made when it is needed."""
        self._directory = directory
        self._budget = budget
        self._lock = threading.Lock()
        self._unseen = budget  # bytes written since the last look: look at the first
        self._silent = False

    def get(self, snapshot: str, item: str) -> bytes | None:
        """What was kept, or None. A file that is not what it was is removed."""
        path = self._path(snapshot, item)
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            return None
        head, data = content[: len(MAGIC) + DIGEST], content[len(MAGIC) + DIGEST :]
        if head != MAGIC + _digest(snapshot, item, data):
            log.warning("a kept block is damaged and is read again: %s", path)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # its last use
        return data

    def put(self, snapshot: str, item: str, data: bytes) -> None:
        """Keep it, if that can be done."""
        path = self._path(snapshot, item)
        if path is None:
            return
        content = MAGIC + _digest(snapshot, item, data) + data
        if len(content) > self._budget:
            return
        try:
            self._write(path, content)
        except OSError as error:
            if not self._silent:
                log.warning("nothing is kept for now: %s", error)
            self._silent = True
            return
        self._silent = False
        with self._lock:
            self._unseen += len(content)
            look = self._unseen >= self._budget // LOOKS
            if look:
                self._unseen = 0
        if look:
            self._evict()

    def forget(self, snapshot: str) -> None:
        """Remove all of a snapshot's: it is deleted."""
        if _SNAPSHOT.fullmatch(snapshot):
            shutil.rmtree(self._directory / snapshot, ignore_errors=True)

    def _path(self, snapshot: str, item: str) -> Path | None:
        """None for names that are not a snapshot's or a block's: they are parts of a path."""
        if _SNAPSHOT.fullmatch(snapshot) is None or _ITEM.fullmatch(item) is None:
            return None
        return self._directory / snapshot / item

    def _write(self, path: Path, content: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
            os.replace(temporary, path)  # noqa: PTH105 - atomic, and strings are at hand
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108 - likewise
            raise

    def _evict(self) -> None:
        with contextlib.suppress(OSError), (self._directory / ".lock").open("wb") as hold:
            try:
                fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return  # another process is at it
            files = sorted(self._files())
            total = sum(size for _, size, _ in files)
            if total <= self._budget:
                return
            for _, size, path in files:
                if total <= self._budget * ROOM:
                    break
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108 - of many files, from scandir
                    total -= size
            for directory in self._directory.iterdir():
                with contextlib.suppress(OSError):
                    directory.rmdir()  # where it is empty

    def _files(self) -> Iterator[tuple[int, int, str]]:
        """(last use, bytes, path) of every file, those of killed writers as well."""
        for directory in self._directory.iterdir():
            if _SNAPSHOT.fullmatch(directory.name) is None:
                continue
            with contextlib.suppress(OSError), os.scandir(directory) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        yield status.st_mtime_ns, status.st_size, entry.path


def _digest(snapshot: str, item: str, data: bytes) -> bytes:
    hasher = hashlib.sha256(f"{snapshot}/{item}\0".encode())
    hasher.update(data)
    return hasher.digest()
