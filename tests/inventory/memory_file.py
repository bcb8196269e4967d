"""A WantedFile in memory, with siblings, for the tests of one format."""

from __future__ import annotations

from dataclasses import dataclass, field

from sidelight.errors import LimitError


@dataclass
class MemoryFile:
    """`siblings`: name -> contents. `time_left`: how many checks of the time succeed."""

    data: bytes
    path: str = "some/file"
    siblings: dict[str, bytes] = field(default_factory=dict)
    time_left: int = 1 << 60

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self) -> bytes:
        return self.data

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    def check_time(self) -> None:
        self.time_left -= 1
        if self.time_left < 0:
            raise LimitError("the time is spent")

    def sibling(self, name: str, limit: int = 64 << 20) -> bytes | None:
        data = self.siblings.get(name)
        if data is not None and len(data) > limit:
            raise LimitError(f"{name} is too large")
        return data
