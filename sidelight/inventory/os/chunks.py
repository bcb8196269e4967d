"""Random access to a large file by chunks, so that neighbours are read together."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError

if TYPE_CHECKING:
    from sidelight.inventory.protocol import WantedFile

# 16 blocks of a snapshot: they are fetched at once. Together at most 64 MiB are held.
CHUNK = 8 << 20
_KEPT = 8


class Chunks:
    """The bytes of a WantedFile, read in aligned chunks of which the last few are kept."""

    def __init__(self, file: WantedFile, chunk: int = CHUNK) -> None:
        """`chunk` in bytes."""
        self.size = file.size
        self._file = file
        self._chunk = chunk
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises DamagedError where the file ends before."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DamagedError(
                f"{length} bytes at {offset} lie outside the file's {self.size}",
                where="/" + self._file.path,
            )
        index, start = divmod(offset, self._chunk)
        if start + length <= self._chunk:
            return self._get(index)[start : start + length]
        last = (offset + length - 1) // self._chunk
        data = b"".join(self._get(number) for number in range(index, last + 1))
        return data[start : start + length]

    def _get(self, index: int) -> bytes:
        data = self._kept.get(index)
        if data is None:
            self._file.check_time()
            start = index * self._chunk
            length = min(self._chunk, self.size - start)
            data = self._file.read_at(start, length)
            if len(data) != length:
                raise DamagedError(f"the file ends at {start + len(data)}")
            self._kept[index] = data
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(index)
        return data
