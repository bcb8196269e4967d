"""A worker's consumer that sends its events a second's worth at a time.

Celery sends the three events of a task one after the other, each in a message of its own: a third
of what a task costs beyond its stage. Flower takes lists of them as well.
"""

from __future__ import annotations

from typing import Any

from celery.worker import consumer

GATHER_SECONDS = 1.0


class Consumer(consumer.Consumer):  # type: ignore[misc] # Celery has no types
    """Celery's, but a buffered event waits for others."""

    _waiting = False

    def on_send_event_buffered(self) -> None:
        """An event is in the buffer; called by the pool's threads too, so the loop goes on."""
        if self.hub and not self._waiting:
            self.hub.call_soon(self._gather)

    def _gather(self) -> None:
        if not self._waiting:
            self._waiting = True
            self.hub.call_later(GATHER_SECONDS, self._send_gathered)

    def _send_gathered(self) -> None:
        self._waiting = False
        self._flush_events()

    def shutdown(self) -> Any:
        """What is in the buffer is sent before the connection is closed."""
        self._flush_events()
        return super().shutdown()
