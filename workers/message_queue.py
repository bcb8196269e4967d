"""The queue interface for the rest of the product, without Celery's or kombu's own types."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from kombu.exceptions import ChannelError, OperationalError

from sidelight.errors import BrokerError
from workers.app import make_app
from workers.broker import unanswered
from workers.messages import publish, publish_network, publish_reevaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.fleet.settings import Settings
    from sidelight.fleet.stages.stage_runner import Next

log = logging.getLogger(__name__)

BROKER_SECONDS = 2.0  # how long a count of messages waits for the broker


class MessageQueue(Protocol):
    """A sender of messages."""

    def publish(self, scan_id: str, following: Next) -> None:
        """Send the message for a scan's current state. Raises BrokerError."""

    def publish_reevaluation(self, region: str) -> None:
        """Ask one worker to continue a re-evaluation. Raises BrokerError."""

    def publish_network(self, account: str, region: str) -> None:
        """Ask one worker to evaluate an account-region's network. Raises BrokerError."""

    def check(self) -> bool:
        """Whether the last message was sent. Raises BrokerError after failures for too long."""

    def close(self) -> None:
        """Close the connection."""


class CeleryQueue:
    """The queue in the broker that the settings name."""

    def __init__(self, settings: Settings) -> None:
        """Connect at first use. Raises UsageError for an invalid broker."""
        self._settings = settings
        self._app = make_app(settings)
        self._unanswered_at: float | None = None  # since when the broker takes no message

    def publish(self, scan_id: str, following: Next) -> None:
        """Send one message. Raises BrokerError where the broker does not answer."""
        try:
            publish(self._app, self._settings, scan_id, following)
        except (OperationalError, OSError) as error:
            if self._unanswered_at is None:
                self._unanswered_at = time.monotonic()
            raise BrokerError(f"the broker does not answer: {error}") from error
        self._unanswered_at = None

    def publish_reevaluation(self, region: str) -> None:
        """Ask a worker. Raises BrokerError where the broker does not answer."""
        try:
            publish_reevaluation(self._app, self._settings, region)
        except (OperationalError, OSError) as error:
            raise BrokerError(f"the broker does not answer: {error}") from error

    def publish_network(self, account: str, region: str) -> None:
        """Ask a worker. Raises BrokerError where the broker does not answer."""
        try:
            publish_network(self._app, self._settings, account, region)
        except (OperationalError, OSError) as error:
            raise BrokerError(f"the broker does not answer: {error}") from error

    def check(self) -> bool:
        """False while the broker takes no message; BrokerError after SIDELIGHT_BROKER_SECONDS."""
        if self._unanswered_at is None:
            return True
        if time.monotonic() - self._unanswered_at > self._settings.broker.answer_seconds:
            raise unanswered(self._settings, OSError("no message could be sent"))
        return False

    def close(self) -> None:
        """Close the connection."""
        self._app.close()


def depths(settings: Settings, names: Sequence[str]) -> dict[str, int]:
    """Return the waiting messages per queue; empty where the broker does not answer."""
    counts: dict[str, int] = {}
    app = make_app(settings, BROKER_SECONDS)
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
            for name in names:
                try:
                    queue = connection.default_channel.queue_declare(name, passive=True)
                    counts[name] = queue.message_count
                except ChannelError:  # Redis has no empty queue
                    counts[name] = 0
    except (OperationalError, OSError) as error:
        log.warning("the broker does not answer: %s", error)
        return {}
    finally:
        app.close()
    return counts
