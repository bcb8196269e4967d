"""A snapshot's list of blocks: their numbers and tokens, in memory and serialized for the cache."""

from __future__ import annotations

import json
import sys
from array import array
from bisect import bisect_left
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NUMBER = "Q"


@dataclass(frozen=True, slots=True)
class Shape:
    """A listing's properties besides its blocks: sizes in bytes, `expires` in epoch seconds."""

    size: int
    block_size: int
    expires: float


class BlockList:
    """Sorted block numbers with their tokens, some 80 bytes a block.

    A full volume of 1 TiB has two million blocks: a dictionary of strings would take 400 MB.
    """

    def __init__(self) -> None:
        self._indices = array(NUMBER)
        self._ends = array(NUMBER)
        self._tokens = bytearray()
        self._renewed: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def last(self) -> int:
        """The highest block number; -1 for an empty list."""
        return self._indices[-1] if self._indices else -1

    def add(self, blocks: Iterable[tuple[int, str]]) -> None:
        """Append a page; known block numbers get their new token."""
        last = self.last
        for index, token in blocks:
            if index > last:
                self._indices.append(index)
                self._tokens += token.encode()
                self._ends.append(len(self._tokens))
                last = index
            else:
                self._renewed[index] = token

    def find(self, index: int) -> int:
        """Return the position of a block, or -1."""
        position = bisect_left(self._indices, index)
        is_listed = position < len(self._indices) and self._indices[position] == index
        return position if is_listed else -1

    def token(self, index: int) -> str:
        """Return the token of a listed block."""
        if index in self._renewed:
            return self._renewed[index]
        position = self.find(index)
        begin = self._ends[position - 1] if position else 0
        return self._tokens[begin : self._ends[position]].decode()

    def dump(self, shape: Shape) -> bytes:
        """Serialize: a line of JSON, the numbers, the tokens' ends, the tokens."""
        head = asdict(shape) | {"blocks": len(self), "order": sys.byteorder}
        line = json.dumps(head).encode() + b"\n"
        return b"".join((line, self._indices.tobytes(), self._ends.tobytes(), self._tokens))

    @classmethod
    def load(cls, data: bytes) -> tuple[BlockList, Shape]:
        """Parse the output of `dump`. Raises ValueError for other data or another byte order."""
        line, _, rest = data.partition(b"\n")
        try:
            head = json.loads(line)
            shape = Shape(int(head["size"]), int(head["block_size"]), float(head["expires"]))
            count, order = int(head["blocks"]), head["order"]
        except (KeyError, TypeError) as error:
            raise ValueError("not a kept list of blocks") from error
        blocks = cls()
        part = count * blocks._indices.itemsize
        if order != sys.byteorder or count < 0 or len(rest) < 2 * part:
            raise ValueError("not a kept list of blocks, or another machine's")
        blocks._indices.frombytes(rest[:part])
        blocks._ends.frombytes(rest[part : 2 * part])
        blocks._tokens += rest[2 * part :]
        if (blocks._ends[-1] if count else 0) != len(blocks._tokens):
            raise ValueError("a kept list of blocks is cut")
        return blocks, shape
