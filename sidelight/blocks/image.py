"""A raw image file or a block device as a BlockSource."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from sidelight.closing import Closing
from sidelight.errors import OutOfRangeError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Bytes: what a disk reads ahead automatically.
NEAR = 128 << 10


class ImageFile(Closing):
    """A raw disk image, read with pread: no shared position, no memory of its own."""

    def __init__(self, path: str, name: str = "") -> None:
        """Open `path` for reading. Raises SourceError, with the path, where it cannot be."""
        self.name = name or path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if stat.S_ISDIR(os.fstat(self._fd).st_mode):
                os.close(self._fd)
                raise SourceError("is a directory, not a disk image", where=self.name)
            # lseek, not st_size: a block device's st_size is 0.
            self.size = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            raise SourceError(error.strerror or str(error), where=self.name) from error

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes by pread. Raises OutOfRangeError past the end, SourceError for an I/O error."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise OutOfRangeError(
                f"{length} bytes at {offset} do not lie within {self.size}", where=self.name
            )
        try:
            data = os.pread(self._fd, length, offset)
            while len(data) < length:
                more = os.pread(self._fd, length - len(data), offset + len(data))
                if not more:
                    raise SourceError(f"the file ends at {offset + len(data)}", where=self.name)
                data += more
        except OSError as error:
            raise SourceError(f"{error.strerror} at {offset}", where=self.name) from error
        return data

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Let the kernel read ahead; near ranges in one call."""
        start = end = 0
        for offset, length in ranges:
            if not 0 <= offset < self.size:
                continue
            if start <= offset <= end + NEAR:
                end = max(end, offset + length)
                continue
            if start < end:
                os.posix_fadvise(self._fd, start, end - start, os.POSIX_FADV_WILLNEED)
            start, end = offset, offset + length
        if start < end:
            os.posix_fadvise(self._fd, start, end - start, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """Close the file; reads after that fail."""
        os.close(self._fd)
