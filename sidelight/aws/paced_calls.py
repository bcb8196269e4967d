"""Calls of one service: each waits for its slot, is counted, and is retried if that may help."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from sidelight.aws import send_hook
from sidelight.aws.faults import CALL_FAILURES, EXPIRED, THROTTLES, code_of, may_pass, translate
from sidelight.aws.rate_limit import RateLimiter, Unlimited
from sidelight.backoff import delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.aws.session import Session
    from sidelight.errors import SidelightError

C = TypeVar("C")  # boto3's client of a service
T = TypeVar("T")  # the answer of a call


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is made in all, and the seconds between: doubling, and partly random.

    `fixed` is the part of a wait that is not random. `codes` are error codes that pass with time,
    in addition to throttles and AWS's own errors.
    """

    attempts: int = 6
    first: float = 0.1
    longest: float = 5.0
    fixed: float = 0.0
    codes: frozenset[str] = frozenset()


USUAL: Final = Retries()


class PacedCalls(Generic[C]):
    """Makes the calls of one service in one account-region. `calls` is how many were sent."""

    def __init__(  # noqa: PLR0913 - the last four by keyword, each with a default
        self,
        session: Session,
        make: Callable[[], C],
        account: str,
        *,
        pace: RateLimiter | None = None,
        sleep: Callable[[float], None] = time.sleep,
        retries: Retries = USUAL,
        explain: Callable[[str, SidelightError], SidelightError] | None = None,
    ) -> None:
        """`make` returns a boto3 client of the session, for each attempt, as credentials expire.

        It must allow botocore one attempt: its own retries would be calls that are not counted.
        `account`: whose role is assumed, or empty for the environment's own credentials. `pace`
        limits the rate of all attempts. `explain` may replace a call's final error; it gets AWS's
        error code too.
        """
        self._session = session
        self._make = make
        self._account = account
        self._pace = pace or Unlimited()
        self._sleep = sleep
        self._retries = retries
        self._explain = explain
        self.calls = 0

    def call(  # noqa: PLR0913 - the last four by keyword, each with a default
        self,
        call: Callable[[C], T],
        where: str,
        *,
        kind: str = "describe",
        attempts: int = 0,
        explained: bool = True,
        repeatable: bool = True,
    ) -> T:
        """Return what `call` returns for the client. Raises SidelightError at `where`.

        `kind` is the rate limiter's; `attempts` replaces the usual number. Unless `explained`, a
        final error is raised as it is. A call that is not `repeatable` is repeated after throttles
        alone: after every other failure AWS may have executed it.
        """
        attempts = attempts or self._retries.attempts
        attempt, renewed = 0, False

        def turn() -> None:
            self._pace.before(kind)
            self.calls += 1

        while True:
            client = self._make()
            try:
                with send_hook.waiting(turn):
                    return call(client)
            except CALL_FAILURES as error:
                code = code_of(error)
                if code in THROTTLES:
                    self._pace.throttled(kind)
                if code in EXPIRED and not renewed:
                    # AWS refused it before doing anything: not an attempt, even of a creation.
                    renewed = self._session.renew(self._account or None, client)
                    if renewed:
                        continue
                attempt += 1
                again = may_pass(error) or code in self._retries.codes
                if attempt >= attempts or not (again if repeatable else code in THROTTLES):
                    fault = translate(error, where=where)
                    if explained and self._explain is not None:
                        fault = self._explain(code, fault)
                    raise fault from error
            plan = self._retries
            self._sleep(delay(plan.first, attempt, plan.longest, fixed=plan.fixed))
