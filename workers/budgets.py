"""What AWS allows an account and region a second, kept by all workers together.

AWS allows 1,000 GetSnapshotBlock and 50 ListSnapshotBlocks a second, and some calls of EC2's a
second, whoever makes them: so the rates are in Redis, a bucket for each account, region and kind
of call. An account that is busy slows no other; within one, `workers.bucket` is fair between scans
and slows all down when AWS throttles.

Reading waits as long as it must, since giving up would lose what was read; but a scan does not
begin to read where its share would be too small, and no other call waits for long: the message is
handed back (BudgetSpentError), and a worker's slot is free for an account that has calls left.

Behind Sentinel they are in the present master's. Where Redis does not answer, a process keeps to a
tenth of the rate, for it does not know how many there are. Another broker (SQS) shares nothing: a
Redis is named for the budgets then, or each process is said to have rates of its own.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from kombu.utils.url import parse_url
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from sidelight.errors import SidelightError
from sidelight.store.stages import current
from workers.bucket import Load, LocalRate, RedisRate, SharedRate, Slot, Told
from workers.contradictions import SHARING, scheme

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

# The braces keep a bucket and its flows in one slot of a Redis cluster.
KEY = "sidelight:budget:{{{account}:{region}:{kind}}}"
ALONE = 0.1  # of the rate, for a process that cannot ask
ASK_AGAIN = 5.0  # seconds after Redis did not answer
# One lost connection is made anew; who then does not answer is not waited for. Seconds.
CLIENT: dict[str, Any] = {
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "retry": Retry(NoBackoff(), 1),
}
# A call that may be so many seconds behind its slot leaves it and books another, this often at
# most: half of the bucket's SLACK, so that the way to AWS has the rest.
LATE, TRIES = 0.05, 4
CREEP = 0.001  # seconds that the usual way to the slots may grow by, a call
LEAST_SHARE = 0.01  # of the block reads a second, below which a scan does not begin to read
# The kinds of calls that somebody waits for with what was already read in hand.
READS = frozenset({"get"})


class BudgetSpentError(SidelightError):
    """There are no calls left now; `delay` seconds on there may be."""

    def __init__(self, what: str, *, where: str, delay: float) -> None:
        super().__init__(what, where=where)
        self.delay = delay


class FallingBack:
    """Redis's rate, and the process's own while Redis does not answer."""

    def __init__(
        self,
        client: Any,
        monotonic: Callable[[], float] = time.monotonic,
        level: int = logging.WARNING,
    ) -> None:
        """`client` is redis-py's. `level` is that of the message that Redis does not answer."""
        self._level = level
        self._shared = RedisRate(client)
        self._alone = LocalRate(monotonic)
        self._monotonic = monotonic
        self._silent_until = 0.0

    def book(self, key: str, ceiling: float, flow: str, patience: float | None) -> Slot:
        """The next slot."""
        return self._ask(
            lambda: self._shared.book(key, ceiling, flow, patience),
            lambda: self._alone.book(key, ceiling * ALONE, flow, patience),
        )

    def throttled(self, key: str, ceiling: float) -> float:
        """Halve the rate."""
        return self._ask(
            lambda: self._shared.throttled(key, ceiling),
            lambda: self._alone.throttled(key, ceiling * ALONE),
        )

    def load(self, key: str, ceiling: float) -> Load:
        """How it stands."""
        return self._ask(
            lambda: self._shared.load(key, ceiling), lambda: self._alone.load(key, ceiling * ALONE)
        )

    def told(self, pattern: str) -> list[Told]:
        """What callers met, as Redis has it. Raises redis.RedisError."""
        return self._shared.told(pattern)

    def _ask(self, shared: Callable[[], T], alone: Callable[[], T]) -> T:
        if self._monotonic() >= self._silent_until:
            try:
                return shared()
            except redis.RedisError as error:
                # Not asked for every block: each would wait for the connection's timeout.
                self._silent_until = self._monotonic() + ASK_AGAIN
                log.log(
                    self._level,
                    "the shared budget does not answer, keeping to a part of it: %s",
                    error,
                )
        return alone()


class Budget:
    """The rates of all accounts and regions, by these settings."""

    def __init__(
        self,
        settings: Settings,
        rate: SharedRate,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A rate of 0 is without limit. `monotonic` tells how late a call is, in seconds."""
        self.rate = rate
        self.sleep = sleep
        self.monotonic = monotonic
        self.patience = settings.patience_seconds
        self._quickest = float("inf")
        self.ceilings = {
            "get": settings.get_per_second,
            "list": settings.list_per_second,
            "create": settings.create_per_second,
            "describe": settings.describe_per_second,
            "delete": settings.delete_per_second,
        }

    def usual(self, seconds: float) -> float:
        """What of the seconds that a slot's answer took is the way there, the same for all calls.

        Workers of another region than their broker's are a fifth of a second away.
        """
        self._quickest = min(seconds, self._quickest + CREEP)
        return self._quickest

    def pace(self, account: str, region: str, flow: str = "") -> AccountPace:
        """For one account and region; `flow` is the scan that reads."""
        return AccountPace(self, account, region, flow)


class AccountPace:
    """The `Pace` of `sidelight.aws` for one account and region."""

    def __init__(self, budget: Budget, account: str, region: str, flow: str) -> None:
        self._budget = budget
        self._account, self._region, self._flow = account, region, flow
        # One thread of a flow asks at a time: the others stand behind it, in order.
        self._line = threading.Lock()
        # Made within a stage: what is waited for here is that stage's, whichever thread waits.
        self._stage = current()

    def before(self, kind: str) -> None:
        """Wait for a slot. Raises BudgetSpentError where that would be too long."""
        ceiling = self._budget.ceilings[kind]
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
            asked = self._budget.monotonic()
            slot = self._budget.rate.book(key, ceiling, "", self._budget.patience)
            if not slot.booked:
                raise BudgetSpentError(
                    f"no {kind} calls are left for {slot.wait:.0f} s", where=key, delay=slot.wait
                )
            usual = self._budget.usual(self._budget.monotonic() - asked)
            if slot.wait > 0:
                self._sleep(slot.wait)
            # Not since the answer: in a busy process that may have waited for long.
            if self._budget.monotonic() - asked <= usual + slot.wait + LATE:
                return
            # This call would come beside the next slot's.

    def throttled(self, kind: str) -> None:
        """AWS has throttled a call: less for everybody."""
        ceiling = self._budget.ceilings[kind]
        if ceiling > 0:
            now = self._budget.rate.throttled(self._key(kind), ceiling)
            log.info("%s throttled: %.1f calls a second", self._key(kind), now)

    def admit(self) -> None:
        """Raise BudgetSpentError where one more scan that reads would get too small a share."""
        ceiling = self._budget.ceilings["get"]
        if ceiling <= 0:
            return
        load = self._budget.rate.load(self._key("get"), ceiling)
        if load.flows and load.rate / (load.flows + 1) < ceiling * LEAST_SHARE:
            raise BudgetSpentError(
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


def rate_for(settings: Settings, level: int = logging.WARNING) -> SharedRate:
    """In the Redis that the settings name for it, else in the broker's own where it is one."""
    url = settings.budgets_url or settings.broker_url
    kind = scheme(url)
    if kind == "sentinel":
        return FallingBack(_client_of_master(url, settings), level=level)
    if kind in SHARING:
        return FallingBack(_client(url), level=level)
    return LocalRate()


@dataclass(frozen=True, slots=True)
class Met:
    """What callers of one budget met."""

    account: str
    region: str
    budget: str
    told: Told


def met(settings: Settings) -> list[Met]:
    """Of all budgets that are shared, by account; none where Redis does not answer."""
    rate = rate_for(settings, logging.INFO)
    if not isinstance(rate, FallingBack):
        return []
    prefix = KEY.partition("{{")[0] + "{"
    try:
        told = rate.told(f"{prefix}*")
    except redis.RedisError as error:
        log.warning("the shared budget does not answer: %s", error)
        return []
    found = []
    for one in told:
        account, region, budget = one.key.removeprefix(prefix).rstrip("}").split(":")
        found.append(Met(account, region, budget, one))
    return found


def _client(url: str) -> Any:
    """Connects at first use."""
    # kombu takes the ssl module's names as well, redis-py its own alone.
    url = re.sub(r"(?<=ssl_cert_reqs=)CERT_\w+", lambda name: name[0][5:].lower(), url)
    return redis.Redis.from_url(url, **CLIENT)


def _client_of_master(urls: str, settings: Settings) -> Any:
    """The same, of the master of the moment. As in kombu the first URL has what it asks for."""
    watchers = [parse_url(url) for url in urls.split(";")]
    addresses = [(one["hostname"] or "127.0.0.1", one["port"] or 26379) for one in watchers]
    first = watchers[0]
    tls = first.get("ssl", {})
    sentinel: Any = Sentinel  # redis-py has no types for it
    return sentinel(addresses, sentinel_kwargs=CLIENT | settings.sentinel_login).master_for(
        settings.sentinel_master,
        **CLIENT,
        username=first["userid"],
        password=first["password"],
        db=int(first["virtual_host"] or 0),
        ssl=bool(tls),
        **tls,
    )
