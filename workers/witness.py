"""A source that remembers what could not be had.

The readers make a Problem of every block that fails, whatever the cause, and go on. But a block
that was throttled away is no damage of the machine's: another attempt may have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import OutOfRangeError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.blocks import BlockSource


class Witness:
    """A BlockSource, with the first error that kept bytes from its readers."""

    def __init__(self, source: BlockSource) -> None:
        self._source = source
        self.name = source.name
        self.size = source.size
        self.error: SourceError | None = None

    def read_at(self, offset: int, length: int) -> bytes:
        """As the source's; an error is remembered and raised."""
        try:
            return self._source.read_at(offset, length)
        except OutOfRangeError:
            raise  # the machine's own damage: no other attempt reads past the end
        except SourceError as error:
            if self.error is None:
                self.error = error
            raise

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """As the source's."""
        self._source.prefetch(ranges)
