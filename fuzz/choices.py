"""Chances that a fuzzer steers: what an input's bytes say, and after them what a seed gives."""

from __future__ import annotations

import random

INTERESTING = (0, 1, 2, 3, 7, 8, 0x0F, 0x10, 0x1F, 0x20, 0x3F, 0x40, 0x7F, 0x80, 0xFE, 0xFF)


class Choices(random.Random):
    """A `random.Random` whose first choices are an input's bytes.

    So the structures that a target makes are a function of the input alone, and changing a byte of
    it changes one choice: what coverage-guided fuzzing needs. The first two bytes are the seed.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(int.from_bytes(data[:2], "little"))
        self._data = data
        self._at = 2

    def getrandbits(self, k: int, /) -> int:
        """The next bytes as a number of `k` bits."""
        count = k + 7 >> 3
        part = self._data[self._at : self._at + count]
        if len(part) < count:
            self._data = b""
            return super().getrandbits(k)
        self._at += count
        return int.from_bytes(part, "little") & (1 << k) - 1

    def random(self) -> float:
        """The next two bytes as a fraction."""
        return self.getrandbits(16) / 65536


def scramble(chance: random.Random, data: bytes, most: int = 6) -> bytes:
    """Some bytes changed, mostly to values at the edges of ranges; often among the first."""
    content = bytearray(data)
    for _ in range(chance.randrange(1, most + 1)):
        reach = len(content) if chance.random() < 0.5 else min(len(content), 200)
        at = chance.randrange(reach)
        how = chance.randrange(5)
        if how == 0:
            content[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            content[at] = chance.choice(INTERESTING)
        elif how == 2:
            content[at] = chance.randrange(256)
        elif how == 3:
            width = chance.choice((2, 4, 8))
            content[at : at + width] = bytes((chance.choice((0, 0x7F, 0x80, 0xFF)),)) * width
        else:
            width, source = chance.choice((2, 4, 8, 16)), chance.randrange(len(content))
            content[at : at + width] = content[source : source + width]
    # What was put in at the end may have made it longer or shorter.
    return bytes(content[: len(data)]).ljust(len(data), b"\0")


class Blocks:
    """A BlockSource of the blocks given; the others are zeros."""

    def __init__(self, name: str, size: int, block: int, blocks: dict[int, bytes]) -> None:
        self.name = name
        self.size = size
        self.block = block
        self.blocks = blocks

    def read_at(self, offset: int, length: int) -> bytes:
        """As any source."""
        from sidelight.errors import OutOfRangeError

        if offset < 0 or length < 0 or offset + length > self.size:
            raise OutOfRangeError(f"{length} bytes at {offset}", where=self.name)
        first, last = offset // self.block, (offset + length + self.block - 1) // self.block
        zeros = bytes(self.block)
        data = b"".join([self.blocks.get(number, zeros) for number in range(first, last)])
        return data[offset - first * self.block :][:length]

    def prefetch(self, ranges: object) -> None:
        """Nothing is far; but the ranges must be numbers."""
        for offset, length in ranges:  # type: ignore[attr-defined]
            if not isinstance(offset + length, int):
                raise TypeError(f"{offset!r}, {length!r}")


def cut(data: bytes, block: int) -> dict[int, bytes]:
    """The blocks of an image that are not zeros."""
    parts = {at // block: data[at : at + block] for at in range(0, len(data), block)}
    zeros = bytes(block)
    return {at: part.ljust(block, b"\0") for at, part in parts.items() if part != zeros}


def check_names(listings: object) -> None:
    """No name that no path can have."""
    for _, entries in listings:  # type: ignore[attr-defined]
        for name, number, kind in entries:
            if not name or b"/" in name or b"\0" in name or name in (b".", b".."):
                raise AssertionError(f"a name no path can have: {name!r}")
            if not (0 <= number < 1 << 64 and 0 <= kind <= 7):
                raise AssertionError(f"an entry that cannot be: {number}, {kind}")
