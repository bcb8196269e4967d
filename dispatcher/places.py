"""Where a fleet is: accounts of an organization, and the regions that each has enabled.

What cannot be entered stops nothing else: it comes back as Unreachable, and coverage says why.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sidelight.aws import organizations, sts
from sidelight.aws.ec2 import Ec2
from sidelight.errors import AccessDeniedError, CloudError, SidelightError, UsageError
from sidelight.store import Coverage
from workers.budgets import BudgetSpentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sidelight.aws.session import Session

T = TypeVar("T")
AT_ONCE = 16  # accounts or regions looked at together: their answers take long, and little work
NO_STACK_SET = (
    "; a stack set puts no role into the organization's management account: make it there"
)


@dataclass(frozen=True, slots=True)
class Place:
    """An account and a region."""

    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A place, or with no region an account, that cannot be looked at, and why."""

    account: str
    region: str
    error: SidelightError
    name: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.error}{self.hint}"

    @property
    def denied(self) -> bool:
        """Whether it was refused, and is not only out of order."""
        return isinstance(self.error, AccessDeniedError)

    def coverage(self) -> Coverage:
        """Of all that may be there: its instance is `region:*`, or `*` for the account."""
        return Coverage(
            account=self.account,
            region=self.region,
            instance=all_of(self.region),
            name=self.name,
            status_code="INACTIVE",
            reason="ACCESS_DENIED" if self.denied else "INTERNAL_ERROR",
            detail=str(self),
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be looked at. Nothing given is the credentials' own account and region.

    `organization`: all its active accounts, or with `units` those in and below these OUs.
    `all_regions`: all that an account has enabled.
    """

    accounts: Sequence[str] = ()
    regions: Sequence[str] = ()
    organization: bool = False
    units: Sequence[str] = ()
    all_regions: bool = False


def all_of(region: str) -> str:
    """What stands for an instance where a whole place is meant."""
    return f"{region}:*" if region else "*"


def look_up(session: Session, wanted: Wanted) -> list[Place | Unreachable]:
    """Every account's regions, in the accounts' order.

    Raises UsageError without a region, AccessDeniedError or CloudError where not even our own
    account or organization can be told.
    """
    chosen = list(wanted.regions) or ([session.region] if session.region else [])
    if not chosen and not wanted.all_regions:
        raise UsageError("no AWS region: set AWS_REGION or give --region")
    owners = _accounts(session, wanted, chosen)
    if not wanted.all_regions:
        return [Place(owner.id, region) for owner in owners for region in chosen]
    first = chosen[0] if chosen else "us-east-1"

    def regions(owner: organizations.Account) -> list[Place | Unreachable]:
        try:
            enabled = Ec2(session, owner.id, first).regions()
        except (AccessDeniedError, CloudError) as error:
            hint = NO_STACK_SET if owner.management else ""
            return [Unreachable(owner.id, "", error, owner.name, hint)]
        return [Place(owner.id, region) for region in enabled]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [place for found in pool.map(regions, owners) for place in found]


def in_each(
    places: Sequence[Place], work: Callable[[Place], T], stopped: Callable[[], bool]
) -> Iterator[tuple[Place, T | Unreachable]]:
    """What the work gives in each place, in their order, some at once, until `stopped`."""

    def attempt(place: Place) -> T | Unreachable:
        try:
            return work(place)
        except (AccessDeniedError, CloudError, BudgetSpentError) as error:
            return Unreachable(place.account, place.region, error)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for place, found in zip(places, pool.map(attempt, places), strict=True):
            yield place, found
            if stopped():
                pool.shutdown(cancel_futures=True)
                return


def _accounts(
    session: Session, wanted: Wanted, chosen: Sequence[str]
) -> list[organizations.Account]:
    """Active ones: a suspended account answers nothing, and its instances are stopped."""
    if wanted.organization or wanted.units:
        if wanted.accounts:
            raise UsageError("give accounts or the organization, not both")
        members = organizations.accounts(session, units=wanted.units)
        return [member for member in members if member.active]
    own = wanted.accounts or [sts.account(session, region=chosen[0] if chosen else None)]
    return [organizations.Account(account, "", organizations.ACTIVE) for account in own]
