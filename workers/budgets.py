"""Rates that all workers share, for an account and region: a token bucket in Redis.

AWS allows an account 1,000 GetSnapshotBlock and 50 ListSnapshotBlocks a second, whoever calls.
A call takes a token and waits as long as the bucket owes it; the debt is in the bucket, so those
who wait are served in their order and no worker starves. Each account has buckets of its own: one
that is busy slows no other. The time is Redis's own, so workers' clocks do not matter.

Without Redis (another broker, or one that does not answer) a process keeps to the rate alone.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

import redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.settings import Settings

log = logging.getLogger(__name__)

KEY = "sidelight:budget:{account}:{region}:{kind}"
BURST_SECONDS = 0.1  # of calls that an idle bucket has saved up

# KEYS[1] the bucket, ARGV: calls a second, burst. Answers microseconds to wait. `at` is the moment
# at which the bucket will have paid for all it gave, in microseconds.
TAKE = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local each = 1000000 / tonumber(ARGV[1])
local earliest = now - tonumber(ARGV[2]) * each
local at = tonumber(redis.call('GET', KEYS[1]) or earliest)
if at < earliest then at = earliest end
at = at + each
redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', 60000)
local wait = at - now
if wait < 0 then wait = 0 end
return math.ceil(wait)
"""


class Bucket(Protocol):
    """How long to wait before the next call."""

    def take(self, key: str, rate: float) -> float:
        """Seconds, for one call of at most `rate` a second."""


class LocalBucket:
    """The same for one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._paid: dict[str, float] = {}

    def take(self, key: str, rate: float) -> float:
        """Seconds to wait."""
        now = self._monotonic()
        with self._lock:
            earliest = now - max(1.0, rate * BURST_SECONDS) / rate
            paid = max(self._paid.get(key, earliest), earliest) + 1 / rate
            self._paid[key] = paid
        return max(0.0, paid - now)


class RedisBucket:
    """Shared by all that use the same Redis; alone while it does not answer."""

    def __init__(self, url: str) -> None:
        """Connects at first use."""
        self._redis: Any = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        self._take = self._redis.register_script(TAKE)
        self._alone = LocalBucket()

    def take(self, key: str, rate: float) -> float:
        """Seconds to wait."""
        burst = max(1.0, rate * BURST_SECONDS)
        try:
            return int(self._take(keys=[key], args=[rate, burst])) / 1e6
        except redis.RedisError as error:
            log.warning("the shared budget does not answer, keeping to it alone: %s", error)
            return self._alone.take(key, rate)


class Budget:
    """Waits before calls of the EBS direct APIs."""

    def __init__(
        self, settings: Settings, bucket: Bucket, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """A rate of 0 is without limit."""
        self._rates = {"get": settings.get_per_second, "list": settings.list_per_second}
        self._bucket = bucket
        self._sleep = sleep

    def before_call(self, account: str, region: str) -> Callable[[str], None]:
        """For `open_snapshot`: waits before a "get" or a "list" there."""

        def wait(kind: str) -> None:
            rate = self._rates[kind]
            if rate <= 0:
                return
            key = KEY.format(account=account, region=region, kind=kind)
            seconds = self._bucket.take(key, rate)
            if seconds > 0:
                self._sleep(seconds)

        return wait


def bucket_for(broker_url: str) -> Bucket:
    """The broker's own Redis where it is one."""
    if broker_url.partition("://")[0] in ("redis", "rediss", "unix"):
        return RedisBucket(broker_url)
    return LocalBucket()
