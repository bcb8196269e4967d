"""The accounts of the organization of which our account is the manager or a delegated admin."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sidelight.aws.answers import required
from sidelight.aws.paced_calls import PacedCalls, Retries
from sidelight.aws.pages import pages
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_organizations.type_defs import AccountTypeDef, OrganizationalUnitTypeDef

    from sidelight.aws.session import Session

ACTIVE = "ACTIVE"
# For minutes: Organizations allows an account few calls. The codes say that another change of the
# organization is in progress.
RETRIES: Final = Retries(
    attempts=12,
    first=0.5,
    longest=30.0,
    fixed=0.5,
    codes=frozenset({"ConcurrentModificationException", "ServiceException"}),
)
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

    def below(
        self, unit: str, listing: Callable[[], Iterable[OrganizationalUnitTypeDef]]
    ) -> list[str]:
        """Return the units directly below one; `listing` reads them if the cache is too old."""
        until, units = self._known.get(unit, (0.0, []))
        now = self._monotonic()
        if unit not in self._known or now >= until:
            where = f"organizations: units below {unit}"
            units = [str(required(child.get("Id"), "Id", where)) for child in listing()]
            self._known[unit] = now + UNITS_LAST, units
        return units


class _Calls:
    """The calls, each retried for minutes."""

    def __init__(self, session: Session, units: Units, sleep: Callable[[float], None]) -> None:
        self._units = units
        region = session.region or "us-east-1"
        self._client = PacedCalls(
            session,
            lambda: session.client("organizations", region=region, attempts=1),
            "",
            sleep=sleep,
            retries=RETRIES,
        )

    def management(self) -> str:
        """Return the organization's management account."""
        if not self._units.management:
            where = "organizations describe_organization"
            answer = self._client.call(lambda client: client.describe_organization(), where)
            described = required(answer.get("Organization"), "Organization", where)
            account_id = described.get("MasterAccountId")
            self._units.management = required(account_id, "MasterAccountId", where)
        return self._units.management

    def below(self, unit: str, seen: set[str], *, known: bool) -> Iterator[AccountTypeDef]:
        """Yield the accounts in and below a unit; nothing for a unit in `seen`.

        `known`: the unit was listed earlier, and may have been removed since.
        """
        if unit in seen:
            return
        seen.add(unit)
        try:
            members = list(self._accounts_in(unit))
        except CloudError as error:
            if not known or error.code != "ParentNotFoundException":
                raise
            return  # removed since it was listed
        yield from members
        for child in self._units.below(unit, partial(self._units_in, unit)):
            yield from self.below(child, seen, known=True)

    def accounts(self) -> Iterator[AccountTypeDef]:
        """Yield all accounts of the organization."""
        where = "organizations list_accounts"
        for answer in pages(
            lambda following: self._client.call(
                lambda client: client.list_accounts(**following), where
            ),
            where,
        ):
            yield from answer.get("Accounts") or ()

    def _accounts_in(self, unit: str) -> Iterator[AccountTypeDef]:
        where = f"organizations list_accounts_for_parent: {unit}"
        for answer in pages(
            lambda following: self._client.call(
                lambda client: client.list_accounts_for_parent(ParentId=unit, **following), where
            ),
            where,
        ):
            yield from answer.get("Accounts") or ()

    def _units_in(self, unit: str) -> Iterator[OrganizationalUnitTypeDef]:
        where = f"organizations list_organizational_units_for_parent: {unit}"
        for answer in pages(
            lambda following: self._client.call(
                lambda client: client.list_organizational_units_for_parent(
                    ParentId=unit, **following
                ),
                where,
            ),
            where,
        ):
            yield from answer.get("OrganizationalUnits") or ()


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
        described = list(calls.accounts())
    members = (_account(item, managing) for item in described)
    by_id = {item.id: item for item in members}
    return [by_id[key] for key in sorted(by_id)]


def _account(described: AccountTypeDef, managing: str) -> Account:
    # `State` replaces `Status`, which is deprecated.
    state = described.get("State") or described.get("Status", "")
    account_id = required(described.get("Id"), "Id", "organizations: an account")
    return Account(account_id, described.get("Name", ""), state, management=account_id == managing)
