"""A filesystem with nothing in it: the root of a machine none of whose filesystems is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import NoSuchPathError
from sidelight.filesystems.protocol import Inode, InodeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.errors import SidelightError
    from sidelight.filesystems.protocol import Entry, Piece
    from sidelight.model import Problem


class NoFilesystem:
    """An empty root for a machine none of whose filesystems is one."""

    kind = "none"
    source_name = ""
    uuid = ""
    label = ""
    block_size = 4096
    root = 1
    journal = "none"

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def directories(self, numbers: Iterable[int]) -> Iterator[tuple[int, list[Entry]]]:
        """Every directory is empty."""
        for number in numbers:
            yield number, []

    def inodes(self, numbers: Iterable[int]) -> dict[int, Inode]:
        """The root alone."""
        root = Inode(1, InodeKind.DIRECTORY, 0o40755, 0, 0, 0, 2, 0, 0, 0)
        return {number: root for number in numbers if number == 1}

    def contents(
        self, numbers: Iterable[int], limit: int
    ) -> Iterator[tuple[int, bytes | SidelightError]]:
        """No files."""
        del limit
        for number in numbers:
            yield number, NoSuchPathError("no such inode")

    def pieces(self, wanted: Iterable[Piece]) -> Iterator[tuple[Piece, bytes | SidelightError]]:
        """No files."""
        for piece in wanted:
            yield piece, NoSuchPathError("no such inode")

    def read(self, number: int, offset: int, length: int) -> bytes:
        """No files."""
        raise NoSuchPathError(f"no inode {number} to read {length} bytes at {offset} from")

    def readlink(self, number: int) -> bytes:
        """No links."""
        raise NoSuchPathError(f"no inode {number}")
