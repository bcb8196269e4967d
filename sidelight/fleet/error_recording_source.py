"""A BlockSource wrapper that records the first read error.

The readers turn every block that fails into a Problem, whatever the cause, and continue. But a
block that failed because of throttling is not damage of the machine: a retry may read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.blocks.source import touch
from sidelight.errors import OutOfRangeError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.blocks import BlockSource


class ErrorRecordingSource:
    """A BlockSource with the first error that a read raised."""

    def __init__(self, source: BlockSource) -> None:
        self._source = source
        self.name = source.name
        self.size = source.size
        self.unit: int = getattr(source, "unit", 0)  # bytes, 0 for none
        self.error: SourceError | None = None

    def read_at(self, offset: int, length: int) -> bytes:
        """Read from the source; record an error and raise it."""
        try:
            return self._source.read_at(offset, length)
        except OutOfRangeError:
            raise  # damage of the machine: no retry can read past the end
        except SourceError as error:
            if self.error is None:
                self.error = error
            raise

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Prefetch from the source."""
        self._source.prefetch(ranges)

    def touch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on."""
        touch(self._source, ranges)
