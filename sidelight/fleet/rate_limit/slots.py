"""A shared rate limit: callers book slots in time, in order; a throttle makes slots rarer.

A caller books the next free slot and sleeps until its time. Four rules are added to this:

- The rate adapts (AIMD). A throttle that any worker gets halves the rate for all, at most once a
  second and not below a hundredth. The rate then grows back by a fiftieth of the ceiling a second.
- The rate is fair between flows (scans). While callers queue, a flow that has booked its share of
  the near future has to ask again later. So a flow with 64 concurrent calls does not delay a flow
  with a single call. Without a queue there are no shares, so no slot stays idle.
- A caller may state its longest wait. If the next slot is later, nothing is booked.
- A low ceiling holds in every second, not only on average. It has no burst, and its slots are so
  far apart that SLACK is left over in each second. So calls that arrive less than SLACK late, each
  by its own delay, never exceed the ceiling in any second. The price is an eleventh of the rate. A
  high ceiling has so many slots that a few late calls do not matter.

The arithmetic exists twice: `Bucket` for one process, and SCRIPT for Redis, where it is one atomic
step by Redis's own clock. A property test checks that both give the same answers.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000  # all times are in microseconds
BURST = SECOND // 20  # the burst that an idle bucket accumulates
SLACK = SECOND // 10  # reserve in each second, where a burst would be less than a call
HORIZON = SECOND // 10  # how far ahead of its share a flow may book while others wait
ACTIVE = SECOND  # a flow without a booking for this long has no share
GAIN = 0.02  # share of the ceiling that is regained each second
FLOOR = 0.01  # share of the ceiling below which no throttle lowers the rate
CUT_PAUSE = SECOND  # no second cut before this: calls in flight at a cut are throttled as well
ENDLESS = 1 << 50


@dataclass(frozen=True, slots=True)
class Slot:
    """If `booked`: make the call in `wait` seconds. If not: ask again after them, or give up."""

    wait: float
    booked: bool


@dataclass(frozen=True, slots=True)
class BucketStats:
    """The statistics of a bucket: seconds waited, refusals, AWS's throttles."""

    key: str
    waited: float
    refused: int
    throttles: int


@dataclass(frozen=True, slots=True)
class Load:
    """The present rate in calls a second, and the number of flows that share it."""

    rate: float
    flows: int


class SharedRate(Protocol):
    """Slots of the rate that `key` names; `ceiling` is the most calls a second."""

    def book(self, key: str, ceiling: float, flow: str, patience: float | None) -> Slot:
        """Book the next slot. `flow` is empty where all callers share one queue."""

    def throttled(self, key: str, ceiling: float) -> float:
        """Halve the rate for all; return the new rate."""

    def load(self, key: str, ceiling: float) -> Load:
        """Return the present load without booking."""


def is_few(ceiling: float) -> bool:
    """Whether a ceiling is so low that it has slack instead of a burst."""
    return ceiling * BURST < SECOND


@dataclass
class Bucket:
    """The arithmetic, with `now` in microseconds. SCRIPT is the same in Lua."""

    at: float = 0.0  # the first free slot
    base: float = -1.0  # the rate after the last cut; below zero: never cut
    since: float = 0.0  # the time of the last cut
    flows: dict[str, float] = field(default_factory=dict)  # flow -> end of its booked share

    def rate(self, now: float, ceiling: float) -> float:
        """Return calls a second."""
        if self.base < 0:
            return ceiling
        return min(ceiling, self.base + ceiling * GAIN * (now - self.since) / SECOND)

    def book(self, now: float, ceiling: float, flow: str, patience: float) -> tuple[float, bool]:
        """Return (microseconds to wait, whether a slot was booked)."""
        few = is_few(ceiling)
        each = (SECOND + few * SLACK) / self.rate(now, ceiling)
        at = max(self.at, now if few else now - BURST)
        wait = max(0.0, at - now)
        if wait > patience:
            return wait, False
        if flow:
            self.flows = {k: until for k, until in self.flows.items() if until > now - ACTIVE}
            until = max(self.flows.get(flow, now), now)
            if wait > 0 and until > now + HORIZON:
                return max(1000.0, min(wait, until - now - HORIZON)), False
            sharing = len(self.flows) + (flow not in self.flows)
            self.flows[flow] = until + sharing * each
        self.at = at + each
        return wait, True

    def throttled(self, now: float, ceiling: float) -> float:
        """Halve the rate, at most once in CUT_PAUSE; return the rate."""
        rate = self.rate(now, ceiling)
        if self.base >= 0 and now - self.since < CUT_PAUSE:
            return rate
        self.base = max(ceiling * FLOOR, rate / 2)
        self.since = now
        return self.base


# The script also keeps metrics: seconds waited, refusals of a late slot, and reported throttles. A
# bucket that is idle for ten minutes expires.
# KEYS: the bucket, its flows. ARGV: the operation, the ceiling, then the operation's arguments.
# Times are written to the hash as decimals without an exponent: Lua's own number format has 14
# digits, too few.
SCRIPT = f"""
local clock = redis.call('TIME')
local now = clock[1] * {SECOND} + clock[2]
local ceiling = tonumber(ARGV[2])
local state = redis.call('HMGET', KEYS[1], 'at', 'base', 'since')
local at = tonumber(state[1] or 0)
local base = tonumber(state[2] or -1)
local since = tonumber(state[3] or 0)
local rate = ceiling
if base >= 0 then rate = math.min(ceiling, base + ceiling * {GAIN} * (now - since) / {SECOND}) end
local function keep(name, value)
  redis.call('HSET', KEYS[1], name, string.format('%.6f', value))
  redis.call('PEXPIRE', KEYS[1], 600000)
end
if ARGV[1] == 'throttled' then
  if base < 0 or now - since >= {CUT_PAUSE} then
    rate = math.max(ceiling * {FLOOR}, rate / 2)
    keep('base', rate)
    keep('since', now)
  end
  redis.call('HINCRBY', KEYS[1], 'throttles', 1)
  return {{string.format('%.6f', rate), '0'}}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.6f', now - {ACTIVE}))
if ARGV[1] == 'load' then
  return {{string.format('%.6f', rate), tostring(redis.call('ZCARD', KEYS[2]))}}
end
local flow, patience = ARGV[3], tonumber(ARGV[4])
local second, burst = {SECOND}, {BURST}
if ceiling * burst < second then second, burst = second + {SLACK}, 0 end
local each = second / rate
at = math.max(at, now - burst)
local wait = math.max(0, at - now)
local function count(name, value) redis.call('HINCRBYFLOAT', KEYS[1], name, value) end
if wait > patience then
  count('refused', 1)
  return {{string.format('%.6f', wait), '0'}}
end
if flow ~= '' then
  local known = redis.call('ZSCORE', KEYS[2], flow)
  local till = math.max(tonumber(known or now), now)
  if wait > 0 and till > now + {HORIZON} then
    local again = math.max(1000, math.min(wait, till - now - {HORIZON}))
    count('waited', again / {SECOND})
    return {{string.format('%.6f', again), '0'}}
  end
  local sharing = redis.call('ZCARD', KEYS[2])
  if not known then sharing = sharing + 1 end
  redis.call('ZADD', KEYS[2], string.format('%.6f', till + sharing * each), flow)
  redis.call('PEXPIRE', KEYS[2], 600000)
end
keep('at', at + each)
if wait > 0 then count('waited', wait / {SECOND}) end
return {{string.format('%.6f', wait), '1'}}
"""


class LocalRate:
    """A rate that the threads of one process share."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` returns seconds."""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}

    def book(self, key: str, ceiling: float, flow: str, patience: float | None) -> Slot:
        """Book the next slot."""
        most = ENDLESS if patience is None else patience * SECOND
        with self._lock:
            wait, booked = self._bucket(key).book(self._now(), ceiling, flow, most)
        return Slot(wait / SECOND, booked)

    def throttled(self, key: str, ceiling: float) -> float:
        """Halve the rate."""
        with self._lock:
            return self._bucket(key).throttled(self._now(), ceiling)

    def load(self, key: str, ceiling: float) -> Load:
        """Return the present load."""
        with self._lock:
            bucket, now = self._bucket(key), self._now()
            flows = sum(until > now - ACTIVE for until in bucket.flows.values())
            return Load(bucket.rate(now, ceiling), flows)

    def _bucket(self, key: str) -> Bucket:
        return self._buckets.setdefault(key, Bucket())

    def _now(self) -> float:
        return self._monotonic() * SECOND


FLOWS = ":flows"  # the suffix of a bucket's key for its flows


class RedisRate:
    """A rate that all users of the same Redis share."""

    def __init__(self, client: Any) -> None:
        """`client` is a redis-py client. Its errors are raised to the caller."""
        self._client = client
        self._script = client.register_script(SCRIPT)

    def book(self, key: str, ceiling: float, flow: str, patience: float | None) -> Slot:
        """Book the next slot. Raises redis.RedisError."""
        most = ENDLESS if patience is None else patience * SECOND
        wait, booked = self._run(key, "book", ceiling, flow, most)
        return Slot(wait / SECOND, bool(booked))

    def throttled(self, key: str, ceiling: float) -> float:
        """Halve the rate. Raises redis.RedisError."""
        return self._run(key, "throttled", ceiling)[0]

    def load(self, key: str, ceiling: float) -> Load:
        """Return the present load. Raises redis.RedisError."""
        rate, flows = self._run(key, "load", ceiling)
        return Load(rate, int(flows))

    def stats(self, pattern: str) -> list[BucketStats]:
        """Return statistics of the buckets whose keys match. Raises redis.RedisError."""
        keys = sorted(
            name
            for name in map(bytes.decode, self._client.scan_iter(match=pattern, count=1000))
            if not name.endswith(FLOWS)
        )
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hmget(key, "waited", "refused", "throttles")
            answers = pipeline.execute()
        return [
            BucketStats(key, float(waited or 0), int(float(refused or 0)), int(throttles or 0))
            for key, (waited, refused, throttles) in zip(keys, answers, strict=True)
        ]

    def _run(self, key: str, *args: object) -> tuple[float, float]:
        first, second = self._script(keys=[key, key + FLOWS], args=list(args))
        return float(first), float(second)
