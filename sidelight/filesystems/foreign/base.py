"""What readers by other libraries share: one inode at a time, as a Filesystem."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from sidelight.errors import DamagedError, LimitError, SidelightError
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from _typeshed import WriteableBuffer

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.protocol import Entry, Inode, Piece


class Reference:
    """What both readers share: one inode at a time, as a Filesystem."""

    kind: str
    uuid: str
    label: str
    block_size: int
    root: int
    journal: str

    def __init__(self, source: BlockSource) -> None:
        self.source_name = source.name
        self.problems: list[Problem] = []
        self._stream = io.BufferedReader(_Stream(source), 1 << 16)

    def _inode(self, number: int) -> object:
        raise NotImplementedError

    def _entries(self, inode: object) -> Iterator[Entry]:
        raise NotImplementedError

    def _describe(self, inode: object, number: int) -> Inode:
        raise NotImplementedError

    def _target(self, inode: object) -> bytes:
        raise NotImplementedError

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        """Entries, a directory at a time; what a damaged one gave before the library gave up."""
        for number in numbers:
            found: list[Entry] = []
            try:
                found.extend(
                    entry
                    for entry in self._entries(self._inode(number))
                    if entry[0] not in {b".", b".."}
                )
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 -- a library's errors are of any type
                self.problems.append(self._problem(number, error))
            yield number, found

    def inodes(self, numbers: Sequence[int]) -> dict[int, Inode]:
        """Metadata, an inode at a time."""
        found = {}
        for number in numbers:
            try:
                found[number] = self._describe(self._inode(number), number)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 -- a library's errors are of any type
                self.problems.append(self._problem(number, error))
        return found

    def contents(
        self, numbers: Sequence[int], limit: int
    ) -> Iterator[tuple[int, bytes | SidelightError]]:
        """Whole files, in the order asked for."""
        for number in numbers:
            try:
                size = self._one(number).size
                if size > limit:
                    raise LimitError(
                        f"inode {number} has {size} bytes, more than {limit}",
                        where=self.source_name,
                    )
                yield number, self.read(number, 0, size)
            except SidelightError as error:
                yield number, error

    def pieces(self, wanted: Sequence[Piece]) -> Iterator[tuple[Piece, bytes | SidelightError]]:
        """Parts of files, in the order asked for."""
        for piece in wanted:
            try:
                yield piece, self.read(*piece)
            except SidelightError as error:
                yield piece, error

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Bytes of a file. Raises DamagedError where the library fails."""
        size = self._one(number).size
        length = max(0, min(length, size - offset))
        try:
            data = self._content(self._inode(number), offset, length)
        except (SidelightError, MemoryError):
            raise
        except Exception as error:
            raise self._damaged(number, error) from error
        if len(data) != length:
            raise DamagedError(
                f"inode {number}: {len(data)} of {length} bytes", where=self.source_name
            )
        return data

    def _content(self, inode: Any, offset: int, length: int) -> bytes:
        stream = inode.open()
        stream.seek(offset)
        return bytes(stream.read(length))

    def readlink(self, number: int) -> bytes:
        """A link's target. Raises DamagedError where the library fails."""
        try:
            return self._target(self._inode(number))
        except MemoryError:
            raise
        except Exception as error:
            raise self._damaged(number, error) from error

    def _one(self, number: int) -> Inode:
        try:
            return self._describe(self._inode(number), number)
        except MemoryError:
            raise
        except Exception as error:
            raise self._damaged(number, error) from error

    def _damaged(self, number: int, error: Exception) -> DamagedError:
        what = f"inode {number}: {type(error).__name__}: {error}"
        return DamagedError(what, where=self.source_name)

    def _problem(self, number: int, error: Exception) -> Problem:
        where = f"{self.source_name}: inode {number}"
        return Problem(where, f"{type(error).__name__}: {error}")


class _Stream(io.RawIOBase):
    """A BlockSource as a seekable stream."""

    def __init__(self, source: BlockSource) -> None:
        super().__init__()
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._position, self._source.size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._source.size - self._position))
        if length:
            view[:length] = self._source.read_at(self._position, length)
        self._position += length
        return length
