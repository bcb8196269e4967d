"""A directory of this machine as a Filesystem, so that collecting is tested without disk images."""

# Paths are bytes here, as on the disks that this stands for.
# ruff: noqa: PTH115, PTH119, PTH123, PTH208

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from sidelight.errors import LimitError, SidelightError, SourceError
from sidelight.filesystems.protocol import Inode, InodeKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sidelight.filesystems.protocol import Entry, Piece
    from sidelight.model import Problem

_KINDS = {
    stat.S_IFREG: InodeKind.REGULAR,
    stat.S_IFDIR: InodeKind.DIRECTORY,
    stat.S_IFLNK: InodeKind.SYMLINK,
    stat.S_IFCHR: InodeKind.CHARACTER,
    stat.S_IFBLK: InodeKind.BLOCK,
    stat.S_IFIFO: InodeKind.FIFO,
    stat.S_IFSOCK: InodeKind.SOCKET,
}


class HostDirectory:
    """Numbers are given to paths as they are met; hard links share one, as inodes do."""

    kind = "host"
    uuid = ""
    label = ""
    block_size = 4096
    journal = "none"

    def __init__(self, path: Path) -> None:
        self.source_name = "host"
        self.problems: list[Problem] = []
        self.content_requests: list[int] = []  # inodes whose contents were asked for
        self.reads: list[tuple[int, int, int]] = []
        self.unreadable: set[bytes] = set()  # base names of files that fail on reading
        self._paths: dict[int, bytes] = {}
        self._numbers: dict[tuple[int, int], int] = {}
        self.root = self._number(os.fsencode(path))

    def _number(self, path: bytes) -> int:
        status = os.lstat(path)
        number = self._numbers.setdefault((status.st_dev, status.st_ino), len(self._numbers) + 2)
        self._paths[number] = path
        return number

    def name_of(self, number: int) -> str:
        """The base name of a file, for what a test says of reads."""
        return os.fsdecode(os.path.basename(self._paths[number]))

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        for number in sorted(numbers):
            path = self._paths[number]
            entries: list[Entry] = []
            for name in sorted(os.listdir(path)):
                where = path + b"/" + name
                kind = _KINDS[stat.S_IFMT(os.lstat(where).st_mode)]
                entries.append((name, self._number(where), kind))
            yield number, entries

    def inodes(self, numbers: Sequence[int]) -> dict[int, Inode]:
        return {number: self._inode(number) for number in numbers}

    def _inode(self, number: int) -> Inode:
        status = os.lstat(self._paths[number])
        return Inode(
            number=number,
            kind=_KINDS[stat.S_IFMT(status.st_mode)],
            mode=status.st_mode,
            uid=status.st_uid,
            gid=status.st_gid,
            size=status.st_size,
            links=status.st_nlink,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            atime_ns=status.st_atime_ns,
        )

    def contents(
        self, numbers: Sequence[int], limit: int
    ) -> Iterator[tuple[int, bytes | SidelightError]]:
        for number in sorted(numbers):
            self.content_requests.append(number)
            size = self._inode(number).size
            try:
                if size > limit:
                    raise LimitError(f"{size} bytes; the limit is {limit}")
                yield number, self.read(number, 0, size)
            except SidelightError as error:
                yield number, error

    def pieces(self, wanted: Sequence[Piece]) -> Iterator[tuple[Piece, bytes | SidelightError]]:
        for piece in wanted:
            try:
                yield piece, self.read(*piece)
            except SidelightError as error:
                yield piece, error

    def read(self, number: int, offset: int, length: int) -> bytes:
        path = self._paths[number]
        self.reads.append((number, offset, length))
        if os.path.basename(path) in self.unreadable:
            raise SourceError("block 7 cannot be read", where="snap-1")
        with open(path, "rb") as file:
            return os.pread(file.fileno(), length, offset)

    def readlink(self, number: int) -> bytes:
        return os.readlink(self._paths[number])
