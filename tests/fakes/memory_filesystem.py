"""A Filesystem in memory, for tests of what uses the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, LimitError, SidelightError
from sidelight.filesystems.protocol import Entry, Inode, InodeKind, Piece

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sidelight.model import Problem


class MemoryFilesystem:
    """Built of nested mappings: a mapping is a directory, bytes a file, text a link's target.

    `requests` counts what was read. Entries may be added to `listings` by hand, impossible ones
    too.
    """

    kind = "memory"
    uuid = "00000000-0000-0000-0000-000000000000"
    label = ""
    block_size = 4096
    root = 2
    journal = "none"

    def __init__(self, tree: Mapping[str, object], name: str = "memory") -> None:
        self.source_name = name
        self.problems: list[Problem] = []
        self.listings: dict[int, list[Entry]] = {}
        self.files: dict[int, bytes] = {}
        self.links: dict[int, bytes] = {}
        self.requests: list[tuple[str, int]] = []
        self.calls = 0  # of `directories`
        self._next = self.root
        self.add(tree)

    def add(self, node: object) -> tuple[int, InodeKind]:
        number = self._next
        self._next += 1
        if isinstance(node, bytes):
            self.files[number] = node
            return number, InodeKind.REGULAR
        if isinstance(node, str):
            self.links[number] = node.encode("utf-8", "surrogateescape")
            return number, InodeKind.SYMLINK
        assert isinstance(node, dict)
        self.listings[number] = []
        for name, child in node.items():
            raw = name.encode("utf-8", "surrogateescape")
            self.listings[number].append((raw, *self.add(child)))
        return number, InodeKind.DIRECTORY

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        self.calls += 1
        for number in reversed(numbers):
            self.requests.append(("directory", number))
            yield number, self.listings.get(number, [])

    def inodes(self, numbers: Sequence[int]) -> dict[int, Inode]:
        found = {}
        for number in numbers:
            self.requests.append(("inode", number))
            kind, mode, size = InodeKind.DIRECTORY, 0o40755, 4096
            if number in self.files:
                kind, mode, size = InodeKind.REGULAR, 0o100640, len(self.files[number])
            elif number in self.links:
                kind, mode, size = InodeKind.SYMLINK, 0o120777, len(self.links[number])
            elif number not in self.listings:
                continue
            found[number] = Inode(number, kind, mode, 1, 2, size, 1, 10**18, 10**18, 10**18)
        return found

    def contents(
        self, numbers: Sequence[int], limit: int
    ) -> Iterator[tuple[int, bytes | SidelightError]]:
        for number in numbers:
            data = self.files.get(number)
            if data is None:
                yield number, DamagedError("no file")
            elif len(data) > limit:
                yield number, LimitError("too large")
            else:
                yield number, data

    def pieces(self, wanted: Sequence[Piece]) -> Iterator[tuple[Piece, bytes | SidelightError]]:
        for piece in wanted:
            try:
                yield piece, self.read(*piece)
            except SidelightError as error:
                yield piece, error

    def read(self, number: int, offset: int, length: int) -> bytes:
        self.requests.append(("read", number))
        if number not in self.files:
            raise DamagedError(f"inode {number} is damaged", where=self.source_name)
        return self.files[number][offset : offset + length]

    def readlink(self, number: int) -> bytes:
        return self.links[number]
