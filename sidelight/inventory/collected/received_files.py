"""The files that a machine sent, as a Filesystem: a small tree of them, in memory.

Of a program only pieces are sent. What was not sent is an error when it is read, never zeros: an
extractor's answer is the disk's own, or a Problem.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, LimitError, SidelightError, SourceError
from sidelight.filesystems.protocol import Inode, InodeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.filesystems.protocol import Entry, Piece
    from sidelight.inventory.collected.tar_members import TarMember
    from sidelight.model import Problem

_ROOT: Final = 2
NOT_SENT: Final = "a part of it that the collector did not send is needed"


class ReceivedFiles:
    """A read-only filesystem of members. Of two with one path the first counts."""

    kind = "collected"
    uuid = ""
    label = ""
    block_size = 4096
    root = _ROOT
    journal = "none"

    def __init__(self, members: Iterable[TarMember], faults: list[str]) -> None:
        """Append to `faults` what cannot be in one tree with the others."""
        self.source_name = "collected"
        self.problems: list[Problem] = []
        self._directories: dict[int, dict[bytes, tuple[int, InodeKind]]] = {_ROOT: {}}
        self._members: dict[int, TarMember] = {}
        self._next = _ROOT + 1
        for member in members:
            if not self._add(member):
                shown = member.path[:80].decode("utf-8", "backslashreplace")
                if len(faults) < 100:
                    faults.append(f"{shown!r} is there twice, or below a file: it is left out")

    def _add(self, member: TarMember) -> bool:
        here = self._directories[_ROOT]
        *above, name = member.path.split(b"/")
        for part in above:
            number, kind = here.get(part, (0, InodeKind.DIRECTORY))
            if kind != InodeKind.DIRECTORY:
                return False
            if not number:
                number = self._number()
                here[part] = number, InodeKind.DIRECTORY
                self._directories[number] = {}
            here = self._directories[number]
        if name in here:
            return False
        number = self._number()
        here[name] = number, InodeKind.REGULAR if member.target is None else InodeKind.SYMLINK
        self._members[number] = member
        return True

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    # --- as a Filesystem ---

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        """Entries of directories."""
        for number in numbers:
            entries = self._directories.get(number, {})
            yield number, [(name, child, kind) for name, (child, kind) in entries.items()]

    def inodes(self, numbers: Sequence[int]) -> dict[int, Inode]:
        """Metadata: mode and size as sent, no owner and no times."""
        return {
            number: self._inode(number)
            for number in numbers
            if number in self._members or number in self._directories
        }

    def _inode(self, number: int) -> Inode:
        member = self._members.get(number)
        if member is None:
            return Inode(number, InodeKind.DIRECTORY, stat.S_IFDIR | 0o755, 0, 0, 0, 1, 0, 0, 0)
        if member.target is not None:
            mode, kind = stat.S_IFLNK | 0o777, InodeKind.SYMLINK
        else:
            mode, kind = stat.S_IFREG | member.mode & 0o7777, InodeKind.REGULAR
        return Inode(number, kind, mode, 0, 0, member.size, 1, 0, 0, 0)

    def contents(
        self, numbers: Sequence[int], limit: int
    ) -> Iterator[tuple[int, bytes | SidelightError]]:
        """Whole files."""
        for number in numbers:
            size = self._members[number].size
            if size > limit:
                yield number, LimitError(f"{size} bytes; the limit is {limit}")
                continue
            yield from ((key[0], data) for key, data in self.pieces([(number, 0, size)]))

    def pieces(self, wanted: Sequence[Piece]) -> Iterator[tuple[Piece, bytes | SidelightError]]:
        """Parts of files."""
        for piece in wanted:
            try:
                yield piece, self.read(*piece)
            except SidelightError as error:
                yield piece, error

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Bytes of a file. Raises SourceError for what was not sent."""
        member = self._members.get(number)
        if member is None or member.target is not None:
            raise DamagedError("not a file", where=f"inode {number}")
        end = min(offset + length, member.size)
        if offset >= end:
            return b""
        for start, at, count in member.pieces:
            if start <= offset and end <= start + count:
                return bytes(member.data[at + offset - start : at + end - start])
        raise SourceError(NOT_SENT)

    def readlink(self, number: int) -> bytes:
        """A link's target."""
        member = self._members.get(number)
        if member is None or member.target is None:
            raise DamagedError("not a link", where=f"inode {number}")
        return member.target
