"""Sources for tests: bytes in memory, and blocks that are counted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sidelight.blocks import BlockCache
from sidelight.errors import OutOfRangeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from sidelight.blocks.cache import BlockFetcher


class MemorySource:
    """A BlockSource over bytes."""

    def __init__(self, data: bytes, name: str = "disk") -> None:
        self.data = data
        self.size = len(data)
        self.name = name

    def read_at(self, offset: int, length: int) -> bytes:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise OutOfRangeError(f"{length} at {offset}", where=self.name)
        return self.data[offset : offset + length]

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        list(ranges)


class CountingFetcher:
    """An image file as 512 KiB blocks; `fetched` are the numbers of those read, in order."""

    block_size = 512 << 10

    def __init__(self, path: str, name: str) -> None:
        self.name = name
        self.size = os.path.getsize(path)  # noqa: PTH202 -- a path as text
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.fetched: list[int] = []

    def present(self, index: int) -> bool:
        return index * self.block_size < self.size

    def fetch(self, index: int) -> bytes:
        self.fetched.append(index)
        data = os.pread(self._fd, self.block_size, index * self.block_size)
        return data.ljust(self.block_size, b"\0")

    def close(self) -> None:
        os.close(self._fd)


def counted(path: str, name: str) -> tuple[BlockCache, CountingFetcher]:
    fetcher = CountingFetcher(path, name)
    return BlockCache(fetcher), fetcher


class RoundsCache(BlockCache):
    """A cache whose calls take one round each, however many are under way: `rounds` passed.

    A call begins in the round in which it is asked for, and a reader of its block waits for its
    end. So `rounds` times a call's latency is what a scan waits, without its own work.
    """

    def __init__(self, fetcher: BlockFetcher) -> None:
        super().__init__(fetcher, in_flight=1)
        self.rounds = 0
        self._ends: dict[int, int] = {}

    def _want(self, indices: Iterable[int]) -> list[Future[bytes]]:
        futures = []
        for index in indices:
            calls = super()._want((index,))
            if calls:
                self._ends[index] = self.rounds + 1
            for call in calls:
                call.result()
            futures += calls
        return futures

    def _block(self, index: int) -> bytes:
        data = super()._block(index)
        self.rounds = max(self.rounds, self._ends.get(index, 0))
        return data
