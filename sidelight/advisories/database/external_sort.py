"""External sort: sorted runs on disk, merged, for data larger than the memory budget."""

from __future__ import annotations

import heapq
import struct
import tempfile
from typing import TYPE_CHECKING, BinaryIO, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_SIZES = struct.Struct("<II")
_OVERHEAD = 180  # approximate bytes that Python adds to a pair of byte strings


class Spill:
    """Pairs of byte strings, added in any order and iterated sorted, without duplicates.

    At most `budget` bytes of them are in memory; the rest is in unnamed temporary files.
    """

    def __init__(self, budget: int = 96 << 20) -> None:
        self._budget = budget
        self._held = 0
        self._pairs: list[tuple[bytes, bytes]] = []
        self._runs: list[BinaryIO] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for run in self._runs:
            run.close()

    def put(self, key: bytes, value: bytes) -> None:
        """Add a pair; pairs are ordered by key, then by value."""
        self._pairs.append((key, value))
        self._held += len(key) + len(value) + _OVERHEAD
        if self._held >= self._budget:
            self._write_run()

    def _write_run(self) -> None:
        run = tempfile.TemporaryFile(prefix="sidelight-sort-")  # noqa: SIM115  # closed by __exit__
        self._runs.append(run)
        for key, value in sorted(set(self._pairs)):
            run.write(_SIZES.pack(len(key), len(value)) + key + value)
        run.flush()
        self._pairs.clear()
        self._held = 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        streams = [_read_run(run) for run in self._runs]
        self._pairs.sort()
        previous: tuple[bytes, bytes] | None = None
        for pair in heapq.merge(*streams, iter(self._pairs)):
            if pair != previous:
                yield pair
            previous = pair


def _read_run(run: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    run.seek(0)
    while head := run.read(_SIZES.size):
        key_size, value_size = _SIZES.unpack(head)
        yield run.read(key_size), run.read(value_size)
