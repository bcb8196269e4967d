"""Count dropped messages in the store, where `/metrics` reads them."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from sidelight.errors import SidelightError
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

WRITE_EVERY: Final = 10.0  # seconds between two writes: a flood costs the store nothing


class DropCounter:
    """The messages that this process dropped. The first one is written at once."""

    def __init__(self, url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`url`: the store's."""
        self._url = url
        self._monotonic = monotonic
        self._pending = 0
        self._written_at: float | None = None

    def add(self) -> None:
        """Count one, and write the count if the last write is WRITE_EVERY ago."""
        self._pending += 1
        now = self._monotonic()
        if self._written_at is None or now - self._written_at >= WRITE_EVERY:
            self._written_at = now
            self.write()

    def write(self) -> None:
        """Add to the store what is not there yet; a store that fails gets it with the next."""
        if not self._pending:
            return
        try:
            with Store(self._url) as store:
                store.dropped_messages.add(self._pending)
        except SidelightError as error:
            log.warning("%s dropped messages are not counted yet: %s", self._pending, error)
            return
        self._pending = 0
