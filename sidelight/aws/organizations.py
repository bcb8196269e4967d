"""The accounts of the organization of which our account is the manager or a delegated admin."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sidelight.aws.answers import member
from sidelight.aws.faults import THROTTLES, code_of, status_of, translate
from sidelight.backoff import delay
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sidelight.aws.session import Session

ACTIVE = "ACTIVE"
ATTEMPTS = 12
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds; doubles with each attempt, half of it jitter
UNITS_LAST = 6 * 3600.0  # seconds for which a unit's list of child units is cached


@dataclass(frozen=True, slots=True)
class Account:
    """A member account. `management`: the management account, where stack sets create no role."""

    id: str
    name: str
    state: str
    management: bool = False

    @property
    def active(self) -> bool:
        """Whether it can be accessed: not suspended, closed, or still in creation."""
        return self.state == ACTIVE


class Units:
    """A cache of the organizational units below others: they change rarely, and calls are scarce.

    Keep one instance for the lifetime of a process. Not safe for several threads.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, list[str]]] = {}
        self.management = ""  # the management account, which never changes

    def below(self, unit: str, listing: Callable[[], Iterable[dict[str, Any]]]) -> list[str]:
        """Return the units directly below one; `listing` reads them if the cache is too old."""
        until, units = self._known.get(unit, (0.0, []))
        now = self._monotonic()
        if unit not in self._known or now >= until:
            where = f"organizations: units below {unit}"
            units = [str(member(child, "Id", where)) for child in listing()]
            self._known[unit] = now + UNITS_LAST, units
        return units


class _Calls:
    """The calls, each retried for minutes: Organizations allows an account few calls."""

    def __init__(self, session: Session, units: Units, sleep: Callable[[float], None]) -> None:
        self._session, self._units, self._sleep = session, units, sleep

    def management(self) -> str:
        """Return the organization's management account."""
        if not self._units.management:
            where = "organizations describe_organization"
            described = member(self.call("describe_organization"), "Organization", where)
            self._units.management = str(member(described, "MasterAccountId", where))
        return self._units.management

    def below(self, unit: str, seen: set[str], *, known: bool) -> Iterator[dict[str, Any]]:
        """Yield the accounts in and below a unit; nothing for a unit in `seen`.

        `known`: the unit was listed earlier, and may have been removed since.
        """
        if unit in seen:
            return
        seen.add(unit)
        try:
            members = list(self.pages("list_accounts_for_parent", "Accounts", ParentId=unit))
        except CloudError as error:
            if not known or error.code != "ParentNotFoundException":
                raise
            return  # removed since it was listed
        yield from members
        listing = partial(
            self.pages, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=unit
        )
        for child in self._units.below(unit, listing):
            yield from self.below(child, seen, known=True)

    def pages(self, operation: str, items: str, **request: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of all pages; another page may follow an empty one."""
        while True:
            answer = self.call(operation, **request)
            yield from answer.get(items) or ()
            if not answer.get("NextToken"):
                return
            request["NextToken"] = answer["NextToken"]

    def call(self, operation: str, **request: Any) -> Any:
        """Make one call. Raises AccessDeniedError, CloudError."""
        where = ": ".join(filter(None, (f"organizations {operation}", request.get("ParentId", ""))))
        region = self._session.region or "us-east-1"
        for attempt in range(1, ATTEMPTS + 1):
            # botocore tries once: its waits are far too short for this service.
            client = self._session.client("organizations", region=region, attempts=1)
            try:
                return getattr(client, operation)(**request)
            except (ClientError, BotoCoreError, OSError) as error:
                fault = translate(error, where=where)
                if attempt == ATTEMPTS or not _may_pass(error, fault):
                    raise fault from error
            self._sleep(delay(FIRST_WAIT, attempt, LONGEST_WAIT, fixed=0.5))
        raise CloudError("was not tried", where=where)


def accounts(
    session: Session,
    *,
    units: Sequence[str] = (),
    known: Units | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Account]:
    """Return all accounts sorted by id, also suspended ones; with `units`, those below these OUs.

    A unit is `ou-…` or a root, `r-…`; `known` caches units that were listed before. A throttled
    call is retried for up to four minutes. Raises AccessDeniedError, CloudError.
    """
    calls = _Calls(session, known or Units(), sleep)
    managing = calls.management()
    seen: set[str] = set()
    if units:
        described = [item for unit in units for item in calls.below(unit, seen, known=False)]
    else:
        described = list(calls.pages("list_accounts", "Accounts"))
    members = (_account(item, managing) for item in described)
    by_id = {item.id: item for item in members}
    return [by_id[key] for key in sorted(by_id)]


def _may_pass(error: Exception, fault: Exception) -> bool:
    """Whether a retry of the call may succeed."""
    if not isinstance(fault, CloudError):
        return False
    if not isinstance(error, ClientError):
        return True
    code = code_of(error)
    # Another change of the organization is in progress.
    waits = THROTTLES | {"ConcurrentModificationException", "ServiceException"}
    return code in waits or status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR


def _account(described: dict[str, Any], managing: str) -> Account:
    # `State` replaces `Status`, which is deprecated.
    state = described.get("State") or described.get("Status", "")
    account_id = member(described, "Id", "organizations: an account")
    return Account(account_id, described.get("Name", ""), state, management=account_id == managing)
