"""One rate that many share: slots in time, booked in order, fewer of them after a throttle.

A caller books the next free slot and sleeps until it comes. Three things are added to this:

- The rate adapts (AIMD). A throttle that any worker meets halves it for all, at most once a second
  and not below a hundredth; it then grows back by a fiftieth of the ceiling a second.
- It is fair between flows (scans). While callers queue, a flow that has booked its share of the
  near future is told to come back, so that one with 64 calls under way does not stand before one
  with a single call. With no queue there is no share: nothing lies idle.
- A caller may say how long it would wait at most. If that is too short nothing is booked.
- Few calls a second are few in every second, and not on average only: a ceiling of so few saves up
  nothing, and its slots lie as far apart as leaves SLACK over in each second. So calls that arrive
  less than SLACK late, each by its own time, are never more in any second than the ceiling; the
  price is an eleventh of the rate. A high ceiling has too many slots for a few to matter.

The arithmetic is here twice: `Bucket` for one process and SCRIPT for Redis, where it is one atomic
step by Redis's own clock. A property test holds them to the same answers.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000  # all times are in microseconds
BURST = SECOND // 20  # what an idle bucket has saved up
SLACK = SECOND // 10  # of each second, where a burst would be less than a call
HORIZON = SECOND // 10  # how far ahead of its share a flow may book while others wait
ACTIVE = SECOND  # a flow that has booked nothing for so long has no share
GAIN = 0.02  # of the ceiling, gained back each second
FLOOR = 0.01  # of the ceiling, below which no throttle brings the rate
CUT_PAUSE = SECOND  # the calls under way when the rate was cut are throttled as well
ENDLESS = 1 << 50


@dataclass(frozen=True, slots=True)
class Slot:
    """`booked`: call in `wait` seconds. Not booked: ask again in so many, or give up."""

    wait: float
    booked: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What callers met at a bucket: seconds waited, refusals, AWS's throttles."""

    key: str
    waited: float
    refused: int
    throttles: int


@dataclass(frozen=True, slots=True)
class Load:
    """The present rate, calls a second, and how many flows share it."""

    rate: float
    flows: int


class SharedRate(Protocol):
    """Slots of the rates that `key` names; `ceiling` is the most calls a second."""

    def book(self, key: str, ceiling: float, flow: str, patience: float | None) -> Slot:
        """The next slot. `flow` is empty where all callers stand in one line."""

    def throttled(self, key: str, ceiling: float) -> float:
        """Halve the rate for all; what it is now."""

    def load(self, key: str, ceiling: float) -> Load:
        """How it stands, without booking."""


def is_few(ceiling: float) -> bool:
    """Whether a ceiling has no burst, and slack in its place."""
    return ceiling * BURST < SECOND


@dataclass
class Bucket:
    """The arithmetic, with `now` in microseconds. SCRIPT says the same in Lua."""

    at: float = 0.0  # the first free slot
    base: float = -1.0  # the rate as it was last cut; below nought: never
    since: float = 0.0  # when
    flows: dict[str, float] = field(default_factory=dict)  # up to when each has had its share

    def rate(self, now: float, ceiling: float) -> float:
        """Calls a second."""
        if self.base < 0:
            return ceiling
        return min(ceiling, self.base + ceiling * GAIN * (now - self.since) / SECOND)

    def book(self, now: float, ceiling: float, flow: str, patience: float) -> tuple[float, bool]:
        """(microseconds to wait, whether a slot was booked)."""
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
        """Halve it."""
        rate = self.rate(now, ceiling)
        if self.base >= 0 and now - self.since < CUT_PAUSE:
            return rate
        self.base = max(ceiling * FLOOR, rate / 2)
        self.since = now
        return self.base


# For metrics alone it counts what the callers waited, in seconds, who was refused a far slot, and
# the throttles that they told of: since ten minutes of silence, when a bucket is forgotten.
# KEYS: the bucket, its flows. ARGV: what to do, the ceiling, then what it needs. Times go into the
# hash as decimals without an exponent: Lua's own form of a number has 14 digits, too few.
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
    """Shared by the threads of one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` tells seconds."""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}

    def book(self, key: str, ceiling: float, flow: str, patience: float | None) -> Slot:
        """The next slot."""
        most = ENDLESS if patience is None else patience * SECOND
        with self._lock:
            wait, booked = self._bucket(key).book(self._now(), ceiling, flow, most)
        return Slot(wait / SECOND, booked)

    def throttled(self, key: str, ceiling: float) -> float:
        """Halve the rate."""
        with self._lock:
            return self._bucket(key).throttled(self._now(), ceiling)

    def load(self, key: str, ceiling: float) -> Load:
        """How it stands."""
        with self._lock:
            bucket, now = self._bucket(key), self._now()
            flows = sum(until > now - ACTIVE for until in bucket.flows.values())
            return Load(bucket.rate(now, ceiling), flows)

    def _bucket(self, key: str) -> Bucket:
        return self._buckets.setdefault(key, Bucket())

    def _now(self) -> float:
        return self._monotonic() * SECOND


FLOWS = ":flows"  # after a bucket's key


class RedisRate:
    """Shared by all that use the same Redis."""

    def __init__(self, client: Any) -> None:
        """`client` is a redis-py client. Its errors are the caller's."""
        self._client = client
        self._script = client.register_script(SCRIPT)

    def book(self, key: str, ceiling: float, flow: str, patience: float | None) -> Slot:
        """The next slot. Raises redis.RedisError."""
        most = ENDLESS if patience is None else patience * SECOND
        wait, booked = self._run(key, "book", ceiling, flow, most)
        return Slot(wait / SECOND, bool(booked))

    def throttled(self, key: str, ceiling: float) -> float:
        """Halve the rate. Raises redis.RedisError."""
        return self._run(key, "throttled", ceiling)[0]

    def load(self, key: str, ceiling: float) -> Load:
        """How it stands. Raises redis.RedisError."""
        rate, flows = self._run(key, "load", ceiling)
        return Load(rate, int(flows))

    def told(self, pattern: str) -> list[Told]:
        """Of the buckets whose keys match. Raises redis.RedisError."""
        keys = sorted(
            name
            for name in map(bytes.decode, self._client.scan_iter(match=pattern, count=1000))
            if not name.endswith(FLOWS)
        )
        with self._client.pipeline(transaction=False) as asked:
            for key in keys:
                asked.hmget(key, "waited", "refused", "throttles")
            answers = asked.execute()
        return [
            Told(key, float(waited or 0), int(float(refused or 0)), int(throttles or 0))
            for key, (waited, refused, throttles) in zip(keys, answers, strict=True)
        ]

    def _run(self, key: str, *args: object) -> tuple[float, float]:
        first, second = self._script(keys=[key, key + FLOWS], args=list(args))
        return float(first), float(second)
