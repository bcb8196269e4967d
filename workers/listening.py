"""Which workers are alive: those whose heartbeats arrive on the broker within some seconds."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kombu.exceptions import OperationalError

from sidelight.errors import BrokerError
from sidelight.url_masks import masked
from workers.app import make_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.fleet.settings import Settings

HEARTBEAT_SECONDS: Final = 2.0  # Celery's, of a worker that sends events
LISTEN_SECONDS: Final = 2 * HEARTBEAT_SECONDS + 1.0
MOST_WORKERS: Final = 10_000  # names that are kept: anyone on the broker may send a heartbeat


def alive_workers(settings: Settings, seconds: float = LISTEN_SECONDS) -> frozenset[str]:
    """Return the names of the workers that sent a heartbeat within `seconds`, as `waiting-…@host`.

    Nothing is sent to them. Raises BrokerError where the broker does not answer or refuses to be
    listened to, UsageError for an invalid URL.
    """
    names: set[str] = set()

    def heard(event: Mapping[str, object]) -> None:
        name = event.get("hostname")
        if isinstance(name, str) and len(names) < MOST_WORKERS:
            names.add(name[:256])

    app = make_app(settings, LISTEN_SECONDS)
    until = time.monotonic() + seconds
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=HEARTBEAT_SECONDS)
            handlers = {"worker-heartbeat": heard, "worker-online": heard}
            receiver = app.events.Receiver(connection, handlers=handlers)
            with receiver.consumer_context(wakeup=False) as (consuming, _channel, _consumers):
                while (left := until - time.monotonic()) > 0:
                    # Anyone on the broker may send an event that is not one.
                    with suppress(TimeoutError, KeyError, TypeError, AttributeError, ValueError):
                        consuming.drain_events(timeout=left)
    except (OperationalError, OSError) as error:
        raise BrokerError(
            f"workers' heartbeats cannot be received: {error}", where=masked(settings.broker.url)
        ) from error
    finally:
        app.close()
    return frozenset(names)
