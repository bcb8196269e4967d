"""The protocol that every reader above uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class BlockSource(Protocol):
    """Random access to a disk's bytes, with no seek position, safe to call from several threads."""

    @property
    def name(self) -> str:
        """The coordinates of this source, for Problems: `snap-1`, `snap-1/p2`, `disk.img`."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`. Holes are zeros.

        Raises OutOfRangeError where the range does not lie within the source, and other
        SourceErrors where the bytes cannot be had.
        """

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Say that these `(offset, length)` ranges will be read soon. Waits for nothing.

        Never raises for a block that fails (the read that needs it does), nor for a range that
        lies outside (it is cut).
        """


def touch(source: BlockSource, ranges: Iterable[tuple[int, int]]) -> None:
    """Say to a source that keeps blocks that these ranges are needed again (see BlockCache)."""
    keep = getattr(source, "touch", None)
    if keep is not None:
        keep(ranges)
