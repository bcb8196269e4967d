"""kombu's Redis transport with one client for each channel.

kombu makes a new `redis.Redis` for every command, and redis-py fills a table of 170 parsers for
each: a quarter of what a worker's main loop did. The client holds nothing but its pool and is safe
for threads, so one serves as long as the pool lives.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):
    """A channel that keeps its client."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        """A client of the channel's pool; one that waits for messages has a connection of its own.

        A lost connection gives the channel a new pool, and that a new client.
        """
        make: Any = super()._create_client
        if asynchronous:
            return make(asynchronous=True)
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = make()
        return self._kept


class Transport(redis.Transport):
    """The same with these channels."""

    Channel = Channel


def use() -> None:
    """Let `redis://`, `rediss://` and `sqs://` mean our transports in this process."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
    # By name: it is imported where it is used, for it needs the extra `sqs`.
    TRANSPORT_ALIASES["sqs"] = "workers.sqs:Transport"
