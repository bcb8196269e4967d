"""Distributed rate limits: all workers together keep AWS's calls a second per account-region.

AWS allows 1,000 GetSnapshotBlock and 50 ListSnapshotBlocks a second, and some EC2 calls a second,
from all callers together. So the rates are in Redis, one bucket for each account, region and kind
of call. A busy account slows no other. Within an account, `slots` is fair between scans, and slows
all of them down when AWS throttles.

A block read waits as long as necessary, since giving up would lose the blocks already read. But a
scan does not begin to read where its share would be too small, and no other call waits for long:
the message is handed back (RateLimitedError), and the worker is free for an account that has calls
left.

Behind Sentinel the buckets are in the current master. Where Redis does not answer, a process uses
a tenth of the rate, because it does not know how many processes there are. Another broker (SQS)
shares nothing: then the settings name a Redis for the rate limits, or declare that each process
has its own.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from sidelight.aws.ssm.calls import CHANGE, READ
from sidelight.errors import SidelightError, StoreError
from sidelight.fleet.rate_limit.sentinel_url import parse
from sidelight.fleet.rate_limit.slots import (
    BucketStats,
    Load,
    LocalRate,
    RedisRate,
    SharedRate,
    Slot,
)
from sidelight.fleet.settings import Settings, Unchosen
from sidelight.fleet.settings.validation import SHARING, scheme
from sidelight.store import current_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.store import AccountRegionLimits

log = logging.getLogger(__name__)

T = TypeVar("T")

# The braces keep a bucket and its flows in one slot of a Redis cluster.
KEY = "sidelight:budget:{{{account}:{region}:{kind}}}"
ALONE = 0.1  # share of the rate that a process uses while Redis does not answer
ASK_AGAIN = 5.0  # seconds until Redis is asked again after it did not answer
# A lost connection is opened again once; after that there is no waiting. Timeouts in seconds.
CLIENT: dict[str, object] = {
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "retry": Retry(NoBackoff(), 1),
}
# If a call is more than LATE seconds past its slot it books a new one, at most TRIES times. LATE is
# half of the bucket's SLACK; the other half covers the network latency to AWS.
LATE, TRIES = 0.05, 4
CREEP = 0.001  # seconds by which the estimated latency of the slots may grow per call
LEAST_SHARE = 0.01  # the least share of the block read rate with which a scan begins to read
# The kinds of calls that a scan waits for while it holds blocks that it already read.
READS = frozenset({"get"})
# AWS's default quotas of an account-region, calls a second.
DEFAULT_QUOTAS = {"get": 1000.0, "list": 50.0}
QUOTAS_LAST = 600.0  # seconds for which a process caches an account-region's quotas


class RateLimitedError(SidelightError):
    """The rate limit allows no call now; it may allow one in `delay` seconds."""

    def __init__(self, what: str, *, where: str, delay: float) -> None:
        super().__init__(what, where=where)
        self.delay = delay


class FallingBack:
    """The shared rate in Redis, and the process's own while Redis does not answer."""

    def __init__(
        self,
        client: Any,
        monotonic: Callable[[], float] = time.monotonic,
        level: int = logging.WARNING,
        share: float = ALONE,
    ) -> None:
        """`client` is redis-py's. `level` is the log level where Redis does not answer.

        `share` is the share of the rate that this process then uses.
        """
        self._level = level
        self._share = share
        self._shared = RedisRate(client)
        self._alone = LocalRate(monotonic)
        self._monotonic = monotonic
        self._silent_until = 0.0

    def book(self, key: str, ceiling: float, flow: str, patience: float | None) -> Slot:
        """Book the next slot."""
        return self._ask(
            lambda: self._shared.book(key, ceiling, flow, patience),
            lambda: self._alone.book(key, ceiling * self._share, flow, patience),
        )

    def throttled(self, key: str, ceiling: float) -> float:
        """Halve the rate."""
        return self._ask(
            lambda: self._shared.throttled(key, ceiling),
            lambda: self._alone.throttled(key, ceiling * self._share),
        )

    def load(self, key: str, ceiling: float) -> Load:
        """Return the present load."""
        return self._ask(
            lambda: self._shared.load(key, ceiling),
            lambda: self._alone.load(key, ceiling * self._share),
        )

    def stats(self, pattern: str) -> list[BucketStats]:
        """Return the buckets' statistics from Redis. Raises redis.RedisError."""
        return self._shared.stats(pattern)

    def _ask(self, shared: Callable[[], T], alone: Callable[[], T]) -> T:
        if self._monotonic() >= self._silent_until:
            try:
                return shared()
            except redis.RedisError as error:
                # Do not ask for every block: each call would wait for the connection's timeout.
                self._silent_until = self._monotonic() + ASK_AGAIN
                log.log(
                    self._level,
                    "the shared budget does not answer, keeping to a part of it: %s",
                    error,
                )
        return alone()


class RateLimits:
    """The rate limits of all account-regions, by these settings."""

    def __init__(
        self,
        settings: Settings,
        rate: SharedRate,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        quotas: Callable[[str, str], AccountRegionLimits] | None = None,
    ) -> None:
        """A rate of 0 means no limit. `monotonic` returns seconds, to measure how late a call is.

        `quotas(account, region)` returns an account's own quotas, which AWS may have raised. They
        are read every QUOTAS_LAST seconds, and used where the settings do not choose a rate.
        """
        self.rate = rate
        self.sleep = sleep
        self.monotonic = monotonic
        self.patience = settings.rates.patience_seconds
        self._quickest = float("inf")
        self.ceilings = {
            "get": settings.rates.get_per_second,
            "list": settings.rates.list_per_second,
            "create": settings.rates.create_per_second,
            "describe": settings.rates.describe_per_second,
            "delete": settings.rates.delete_per_second,
            READ: settings.rates.ssm_read_per_second,
            CHANGE: settings.rates.ssm_change_per_second,
        }
        self._quotas = quotas
        self._of_places: dict[tuple[str, str], tuple[float, dict[str, float]]] = {}

    def ceiling(self, account: str, region: str, kind: str) -> float:
        """Return the calls of a kind a second allowed for all workers together; 0: no limit."""
        if kind not in DEFAULT_QUOTAS or self._quotas is None:
            return self.ceilings[kind]
        until, known = self._of_places.get((account, region), (0.0, self.ceilings))
        if self.monotonic() >= until:
            known = self._by_quotas(self._quotas, account, region)
            self._of_places[account, region] = self.monotonic() + QUOTAS_LAST, known
        return known[kind]

    def _by_quotas(
        self, quotas: Callable[[str, str], AccountRegionLimits], account: str, region: str
    ) -> dict[str, float]:
        """Return ceilings with the same ratio to the account's quotas as our defaults to AWS's."""
        try:
            known = quotas(account, region)
        except StoreError as error:
            log.warning("quotas of %s/%s: %s", account, region, error)
            return self.ceilings
        adjusted = {"get": known.get_quota, "list": known.list_quota}
        return self.ceilings | {
            kind: self.ceilings[kind] * (quota / DEFAULT_QUOTAS[kind])
            for kind, quota in adjusted.items()
            if quota is not None and isinstance(self.ceilings[kind], Unchosen)
        }

    def usual(self, seconds: float) -> float:
        """Return the latency of the slots' Redis, from the seconds that one answer took.

        The latency is the same for all calls. Workers in another region than their broker's are a
        fifth of a second away.
        """
        self._quickest = min(seconds, self._quickest + CREEP)
        return self._quickest

    def pace(self, account: str, region: str, flow: str = "") -> AccountLimiter:
        """Return the limiter of one account-region; `flow` is the scan that reads."""
        return AccountLimiter(self, account, region, flow)


class AccountLimiter:
    """The `RateLimiter` of `sidelight.aws` for one account-region."""

    def __init__(self, budget: RateLimits, account: str, region: str, flow: str) -> None:
        self._budget = budget
        self._account, self._region, self._flow = account, region, flow
        # One thread of a flow asks at a time: the others queue behind it, in order.
        self._line = threading.Lock()
        # Created within a stage: waits here count for that stage, in whichever thread they occur.
        self._stage = current_turn()

    def before(self, kind: str) -> None:
        """Wait for a slot. Raises RateLimitedError where that would take too long."""
        ceiling = self._budget.ceiling(self._account, self._region, kind)
        if ceiling <= 0:
            return
        key = self._key(kind)
        if kind in READS:
            with self._line:
                while not (slot := self._budget.rate.book(key, ceiling, self._flow, None)).booked:
                    self._sleep(slot.wait)
            if slot.wait > 0:
                self._sleep(slot.wait)
            return
        for _ in range(TRIES):
            started = self._budget.monotonic()
            slot = self._budget.rate.book(key, ceiling, "", self._budget.patience)
            if not slot.booked:
                raise RateLimitedError(
                    f"no {kind} calls are left for {slot.wait:.0f} s", where=key, delay=slot.wait
                )
            usual = self._budget.usual(self._budget.monotonic() - started)
            if slot.wait > 0:
                self._sleep(slot.wait)
            # Not since the answer: in a busy process the answer may have waited for long.
            if self._budget.monotonic() - started <= usual + slot.wait + LATE:
                return
            # This call is so late that it would coincide with the next slot's call.

    def throttled(self, kind: str) -> None:
        """Lower the rate for all workers after AWS throttled a call."""
        ceiling = self._budget.ceiling(self._account, self._region, kind)
        if ceiling > 0:
            now = self._budget.rate.throttled(self._key(kind), ceiling)
            log.info("%s throttled: %.1f calls a second", self._key(kind), now)

    def admit(self) -> None:
        """Raise RateLimitedError where one more reading scan would get too small a share."""
        ceiling = self._budget.ceiling(self._account, self._region, "get")
        if ceiling <= 0:
            return
        load = self._budget.rate.load(self._key("get"), ceiling)
        if load.flows and load.rate / (load.flows + 1) < ceiling * LEAST_SHARE:
            raise RateLimitedError(
                f"{load.flows} scans share {load.rate:.0f} block reads a second",
                where=self._key("get"),
                delay=self._budget.patience,
            )

    def _sleep(self, seconds: float) -> None:
        if self._stage is not None:
            self._stage.wait(seconds)
        self._budget.sleep(seconds)

    def _key(self, kind: str) -> str:
        return KEY.format(account=self._account, region=self._region, kind=kind)


def rate_for(settings: Settings, level: int = logging.WARNING, share: float = ALONE) -> SharedRate:
    """Return the rate in the Redis that the settings name, else in the broker if it is a Redis.

    Without a Redis it is this process's own. `level` and `share` as for FallingBack.
    """
    url = settings.rates.url or settings.broker.url
    kind = scheme(url)
    if kind == "sentinel":
        return FallingBack(_client_of_master(url, settings), level=level, share=share)
    if kind in SHARING:
        return FallingBack(_client(url), level=level, share=share)
    return LocalRate()


@dataclass(frozen=True, slots=True)
class LimiterStats:
    """The statistics of one rate limit."""

    account: str
    region: str
    budget: str
    stats: BucketStats


def met(settings: Settings) -> list[LimiterStats]:
    """Return statistics of all shared rate limits, by account; empty if Redis does not answer."""
    rate = rate_for(settings, logging.INFO)
    if not isinstance(rate, FallingBack):
        return []
    prefix = KEY.partition("{{")[0] + "{"
    try:
        all_stats = rate.stats(f"{prefix}*")
    except redis.RedisError as error:
        log.warning("the shared budget does not answer: %s", error)
        return []
    limiter_stats = []
    for stats in all_stats:
        account, region, budget = stats.key.removeprefix(prefix).rstrip("}").split(":")
        limiter_stats.append(LimiterStats(account, region, budget, stats))
    return limiter_stats


def _client(url: str) -> Any:
    """Return a client that connects at first use."""
    # kombu also accepts the ssl module's names, redis-py only its own.
    url = re.sub(r"(?<=ssl_cert_reqs=)CERT_\w+", lambda name: name[0][5:].lower(), url)
    return redis.Redis.from_url(url, **CLIENT)


def _client_of_master(urls: str, settings: Settings) -> Any:
    """Return a client of the current master. As in kombu, the first URL has login and options."""
    watchers = [parse(url) for url in urls.split(";")]
    first = watchers[0]
    sentinel: Any = Sentinel  # redis-py has no types for it
    login = CLIENT | settings.broker.sentinel_login
    addresses = [(watcher.host, watcher.port) for watcher in watchers]
    return sentinel(addresses, sentinel_kwargs=login).master_for(
        settings.broker.sentinel_master,
        **CLIENT,
        username=first.user,
        password=first.password,
        db=first.database,
        ssl=bool(first.tls),
        **first.tls,
    )
