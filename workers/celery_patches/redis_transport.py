"""kombu's transports, but bad messages are dropped, and each channel reuses one Redis client.

kombu creates a new `redis.Redis` for every command, and redis-py fills a table of 170 parsers for
each: a quarter of the work of a worker's main loop. The client holds only its pool and is safe for
threads, so one client is used for the lifetime of the pool.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, memory, redis

from workers.message_check import DECODING_ERRORS, BadMessageError, check, drop


class DroppingQoS(redis.QoS):
    """The unacknowledged messages; a damaged message among them is removed."""

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Put a message back into its queue."""
        restore: Any = super().restore_by_tag
        remove: Any = self._remove_from_indices
        try:
            restore(tag, client=client, leftmost=leftmost)
        except DECODING_ERRORS as error:
            drop(self.unacked_key, error, tag)
            remove(tag).execute()


class Dropping:
    """A mixin for a transport that delivers only messages that Sidelight sends."""

    def _deliver(self, message: Any, queue: str) -> None:
        client: Any = self.client  # type: ignore[attr-defined] # of kombu's transport
        try:
            check(message, queue, client.transport_options.get("message_keys"))
        except BadMessageError as error:
            drop(queue, error, message)
            return
        deliver: Any = super()._deliver  # type: ignore[misc] # of kombu's transport
        deliver(message, queue)


class DroppingRedis:
    """A mixin for a Redis channel that skips an item that is not JSON.

    kombu has already removed the item from its list, so nothing else has to be done with it.
    """

    QoS = DroppingQoS

    def _brpop_read(self, **options: Any) -> Any:
        read: Any = super()._brpop_read  # type: ignore[misc] # of kombu's channel
        try:
            return read(**options)
        except DECODING_ERRORS as error:
            # The decoder's error holds the text that it could not decode.
            item = getattr(error, "doc", getattr(error, "object", ""))
            drop("of the broker", f"cannot be decoded ({error})", item)
            return True

    def _get(self, queue: str) -> Any:
        get: Any = super()._get  # type: ignore[misc] # of kombu's channel
        while True:
            try:
                return get(queue)
            except DECODING_ERRORS as error:
                drop(queue, f"cannot be decoded ({error})", getattr(error, "doc", ""))


class RedisChannel(DroppingRedis, redis.Channel):  # type: ignore[misc] # kombu has no types
    """A channel that keeps its client."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        """Return the client of the channel's pool; asynchronous clients have their own connection.

        After a lost connection the channel has a new pool, and the pool gets a new client.
        """
        make: Any = super()._create_client
        if asynchronous:
            return make(asynchronous=True)
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = make()
        return self._kept


class RedisTransport(Dropping, redis.Transport):
    """The transport for Redis."""

    Channel = RedisChannel


class SentinelChannel(DroppingRedis, redis.SentinelChannel):  # type: ignore[misc] # likewise
    """A channel for Redis behind Sentinel."""


class SentinelTransport(Dropping, redis.SentinelTransport):
    """The transport for Redis behind Sentinel."""

    Channel = SentinelChannel


class MemoryTransport(Dropping, memory.Transport):
    """The transport for queues within a process."""


def use() -> None:
    """Register our transports for `redis`, `rediss`, `sentinel`, `memory` and `sqs` URLs."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:RedisTransport"
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:SentinelTransport"
    TRANSPORT_ALIASES["memory"] = f"{__name__}:MemoryTransport"
    # By name: it is imported at first use, because it needs the extra `sqs`.
    TRANSPORT_ALIASES["sqs"] = "workers.celery_patches.sqs_transport:SqsTransport"
