"""The dollar budget of an account: checked before a scan's first paid call, and while it reads.

An attempt books its cost in the store while it reads, some hundred calls at a time. So the scans
of all workers count against the budget while they run, and a killed worker's calls count too.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sidelight.aws.ebs import USD_PER_GET, USD_PER_LIST
from sidelight.errors import SourceError, StoreError
from sidelight.model import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.aws.rate_limit import RateLimiter
    from sidelight.fleet.settings import Settings
    from sidelight.model import Scan
    from sidelight.store import Store

log = logging.getLogger(__name__)

AFTER_SPENT = 900.0  # seconds before a scan that hit the dollar budget is retried
DAY = timedelta(days=1)
PRICES = {"get": USD_PER_GET, "list": USD_PER_LIST}
BOOKED_AT_ONCE = 0.003  # dollars, a thousand blocks: the most that one scan may exceed the cap by
# The sum over an account's scans of a day is read rarely while much of the budget is left: no
# account spends faster than by block reads in this many regions. LONGEST_BELIEVED is in seconds.
REGIONS, LONGEST_BELIEVED = 20, 60.0
GETS_UNLIMITED = 1000.0  # a second: AWS's own limit, where the settings name no rate limit


class MoneySpentError(SourceError):
    """The account's dollars of the last 24 hours are spent; retry after `delay` seconds."""

    def __init__(self, what: str, *, where: str = "", delay: float = AFTER_SPENT) -> None:
        super().__init__(what, where=where)
        self.delay = delay


class Spending:
    """The remaining dollar budgets of accounts, cached in a process."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A cap of 0 means no cap."""
        self._store = store
        self.cap = settings.budget.usd_per_day
        self._fastest = (settings.rates.get_per_second or GETS_UNLIMITED) * USD_PER_GET * REGIONS
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, float]] = {}  # account -> believed until, dollars left

    def left(self, account: str, *, fresh: bool = False) -> float:
        """Return the dollars left. `fresh`: read them from the store now. Raises StoreError."""
        if self.cap <= 0:
            return float("inf")
        now = self._monotonic()
        until, left = self._known.get(account, (0.0, 0.0))
        if not fresh and now < until:
            return left
        left = self.cap - self._store.costs.spent(account, self._store.clock() - DAY)
        believed = min(LONGEST_BELIEVED, left / self._fastest) if left > 0 else LONGEST_BELIEVED / 2
        with self._lock:
            self._known[account] = (now + believed, left)
        return left

    def check(self, account: str) -> None:
        """Raise MoneySpentError where no dollars are left."""
        if self.left(account) <= 0:
            raise self.spent(account)

    def spent(self, account: str) -> MoneySpentError:
        """Return the error for an account without money; it names the setting."""
        return MoneySpentError(
            f"waiting for money: the {self.cap:g} dollars of SIDELIGHT_USD_PER_DAY are spent",
            where=account,
        )


class Bill:
    """The cost of one attempt to read a scan's snapshots; safe for threads."""

    def __init__(self, spending: Spending, scan: Scan, book: Callable[[Cost], None]) -> None:
        """`book` adds to the scan's costs in the store."""
        self._spending = spending
        self._scan = scan
        self._book = book
        self._lock = threading.Lock()
        self._calls = dict.fromkeys(PRICES, 0)  # not booked yet
        self._open = 0.0  # dollars of the calls that are not booked yet
        self._step = 0.0  # dollars at which it books, and reads the budget again
        self.usd = 0.0
        self.booked = Cost(scan.id)
        self.refused: MoneySpentError | None = None

    def pay(self, kind: str) -> None:
        """Count a call before it is sent. Raises MoneySpentError if it must not be sent."""
        price = PRICES.get(kind, 0.0)
        with self._lock:
            if self.refused is None and self._open + price > self._step:
                self._ask()
            if self.refused is not None:
                raise self.refused
            self._calls[kind] += 1
            self._open += price
            self.usd += price

    def rest(self, cost: Cost) -> Cost:
        """Return the part of the attempt's total cost that is not booked yet."""
        return replace(
            cost,
            get_calls=cost.get_calls - self.booked.get_calls,
            list_calls=cost.list_calls - self.booked.list_calls,
            usd=max(0.0, cost.usd - self.booked.usd),
        )

    def exceeds_cap(self) -> bool:
        """Whether this attempt alone spent a whole day's budget: no day's budget is enough."""
        return self.usd >= self._spending.cap > 0

    def _ask(self) -> None:
        """Book the open cost; set the dollars that the attempt may spend until the next check."""
        cost = Cost(
            self._scan.id,
            get_calls=self._calls["get"],
            list_calls=self._calls["list"],
            usd=self._open,
        )
        try:
            if self._open:
                self._book(cost)
                self.booked = replace(
                    self.booked,
                    get_calls=self.booked.get_calls + cost.get_calls,
                    list_calls=self.booked.list_calls + cost.list_calls,
                    usd=self.booked.usd + cost.usd,
                )
                self._calls, self._open = dict.fromkeys(PRICES, 0), 0.0
            left = self._spending.left(self._scan.account, fresh=bool(self.usd))
        except StoreError as error:
            # The end of the stage needs the store as well; the budget is checked again by then.
            log.warning("scan %s: the cap cannot be asked for: %s", self._scan.id, error)
            self._step = self._open + BOOKED_AT_ONCE
            return
        self._step = max(USD_PER_GET, min(BOOKED_AT_ONCE, left / 4))
        if left <= 0:
            self.refused = self._spending.spent(self._scan.account)


class Billed:
    """A RateLimiter whose calls are added to a scan's bill."""

    def __init__(self, pace: RateLimiter, bill: Bill) -> None:
        self._pace = pace
        self._bill = bill

    def before(self, kind: str) -> None:
        """Wait for a slot of this kind, then pay. Raises MoneySpentError."""
        self._pace.before(kind)
        self._bill.pay(kind)

    def throttled(self, kind: str) -> None:
        """Report a throttle to the rate limiter."""
        self._pace.throttled(kind)


_bill: ContextVar[Bill | None] = ContextVar("bill", default=None)


@contextmanager
def billed(bill: Bill) -> Iterator[None]:
    """Add the cost of snapshots opened in the block to this bill."""
    token = _bill.set(bill)
    try:
        yield
    finally:
        _bill.reset(token)


def on_bill(pace: RateLimiter) -> RateLimiter:
    """Return the rate limiter, billed to the attempt that this thread runs, if there is one."""
    bill = _bill.get()
    return pace if bill is None else Billed(pace, bill)
