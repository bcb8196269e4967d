"""A worker's consumer that sends its events in batches, one per second.

Celery sends the three events of a task one after the other, each in a message of its own. That is a
third of a task's cost beyond its stage. Flower also accepts lists of events.
"""

from __future__ import annotations

from celery.worker import consumer

GATHER_SECONDS = 1.0


class Consumer(consumer.Consumer):  # type: ignore[misc] # Celery has no types
    """Celery's consumer, but a buffered event waits for others."""

    _waiting = False

    def on_send_event_buffered(self) -> None:
        """Schedule a flush of the buffer in the loop; the pool's threads call this too."""
        if self.hub and not self._waiting:
            self.hub.call_soon(self._gather)

    def _gather(self) -> None:
        if not self._waiting:
            self._waiting = True
            self.hub.call_later(GATHER_SECONDS, self._send_gathered)

    def _send_gathered(self) -> None:
        self._waiting = False
        self._flush_events()

    def shutdown(self) -> object:
        """Send the buffered events before the connection is closed."""
        self._flush_events()
        return super().shutdown()
