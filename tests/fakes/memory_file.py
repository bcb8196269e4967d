"""A WantedFile in memory, with siblings, for the tests of one format."""

from __future__ import annotations

from dataclasses import dataclass, field

from sidelight.errors import LimitError

READ_LIMIT = 1 << 30  # bytes that one extraction may read, all calls together


@dataclass
class MemoryFile:
    """`siblings`: name -> contents. `time_left`: how many checks of the time succeed."""

    data: bytes
    path: str = "some/file"
    siblings: dict[str, bytes] = field(default_factory=dict)
    time_left: int = 1 << 60
    read_bytes: int = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self) -> bytes:
        return self._counted(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        return self._counted(self.data[offset : offset + length])

    def check_time(self) -> None:
        self.time_left -= 1
        if self.time_left < 0:
            raise LimitError("the time is spent")

    def sibling(self, name: str, limit: int = 64 << 20) -> bytes | None:
        data = self.siblings.get(name)
        if data is not None and len(data) > limit:
            raise LimitError(f"{name} is too large")
        return data

    def _counted(self, piece: bytes) -> bytes:
        self.read_bytes += len(piece)
        if self.read_bytes > READ_LIMIT:
            raise LimitError("this file's time is spent")
        return piece
