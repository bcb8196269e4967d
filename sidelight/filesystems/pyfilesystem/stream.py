"""One file of a scanned tree as a Python stream, and its errors as PyFilesystem's."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NoReturn

from fs import errors

from sidelight.errors import (
    IsADirectoryInTreeError,
    LinkLoopError,
    NoSuchPathError,
    NotADirectoryInTreeError,
    SidelightError,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from sidelight.filesystems.protocol import Filesystem


class FileStream(io.RawIOBase):
    """One regular file as a raw, seekable stream. Damage raises fs.errors.OperationFailed."""

    def __init__(self, fs: Filesystem, number: int, size: int, path: str) -> None:
        """`size` in bytes; `path` for errors."""
        super().__init__()
        self._fs = fs
        self._number = number
        self._size = size
        self._position = 0
        self.name = path
        self.mode = "rb"

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; past the end is allowed, before the start is not."""
        self._check_open()
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        if whence not in bases:
            raise ValueError(f"whence is {whence}")
        position = bases[whence] + offset
        if position < 0:
            raise ValueError(f"a seek to {position}")
        self._position = position
        return position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill `buffer` from the position on; 0 at the end."""
        data = self.pread(memoryview(buffer).nbytes, self.tell())
        memoryview(buffer).cast("B")[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        """The rest."""
        data = self.pread(max(0, self._size - self.tell()), self._position)
        self._position += len(data)
        return data

    def pread(self, length: int, offset: int) -> bytes:
        """Bytes from `offset`, whatever the position; short at the end."""
        self._check_open()
        length = min(length, max(0, self._size - offset))
        if length <= 0:
            return b""
        try:
            return self._fs.read(self._number, offset, length)
        except SidelightError as error:
            translate(error, self.name)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


def translate(error: SidelightError, path: str, *, listing: bool = False) -> NoReturn:
    """Raise PyFilesystem's error of the same meaning.

    What goes through a file is not there, but for who wants to list a directory, as with OSFS.
    """
    match error:
        case NotADirectoryInTreeError() if listing:
            raise errors.DirectoryExpected(path) from error
        case NoSuchPathError() | NotADirectoryInTreeError():
            raise errors.ResourceNotFound(path) from error
        case IsADirectoryInTreeError():
            raise errors.FileExpected(path) from error
        case LinkLoopError():
            raise errors.ResourceError(path, msg="too many symbolic links") from error
        case _:
            raise errors.OperationFailed(path, error, str(error)) from error
