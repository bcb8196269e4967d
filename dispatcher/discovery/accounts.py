"""Find a fleet's account-regions: an organization's accounts and the regions each has enabled.

An account or region that cannot be reached stops no other. It is returned as UnreachableTarget,
and coverage records why.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sidelight.aws import organizations, sts
from sidelight.aws.ec2 import Ec2
from sidelight.errors import (
    AccessDeniedError,
    ClockSkewError,
    CloudError,
    OwnCredentialsError,
    RegionDisabledError,
    SidelightError,
    UsageError,
)
from sidelight.fleet.rate_limit.limiter import RateLimitedError
from sidelight.fleet.stages.final_errors import REGION_NOT_ENABLED
from sidelight.model import Coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sidelight.aws.session import Session

T = TypeVar("T")
AT_ONCE = 16  # accounts or regions in parallel: AWS's answers take long and need little CPU
NO_STACK_SET = (
    "; a stack set puts no role into the organization's management account: make it there"
)


@dataclass(frozen=True, slots=True)
class AccountRegion:
    """One account in one AWS region."""

    account: str
    region: str

    def __str__(self) -> str:
        return f"{self.account}/{self.region}"


@dataclass(frozen=True, slots=True)
class UnreachableTarget:
    """An account-region that cannot be reached, and why; without a region, a whole account.

    A `suspended` account's instances are stopped by AWS: that is not a failure of a scan.
    """

    account: str
    region: str
    error: SidelightError
    name: str = ""
    hint: str = ""
    suspended: bool = False

    def __str__(self) -> str:
        return f"{self.error}{self.hint}"

    @property
    def denied(self) -> bool:
        """Whether AWS denied access, as opposed to a passing failure, or one of ours."""
        own = isinstance(self.error, OwnCredentialsError)
        return isinstance(self.error, AccessDeniedError) and not own

    def coverage(self) -> Coverage:
        """Return coverage for all its instances: `region:*`, or `*` for a whole account."""
        return Coverage(
            account=self.account,
            region=self.region,
            instance=all_of(self.region),
            name=self.name,
            status_code="INACTIVE",
            reason=self._reason(),
            detail=str(self),
        )

    def _reason(self) -> str:
        if isinstance(self.error, RegionDisabledError):
            return REGION_NOT_ENABLED
        return "ACCESS_DENIED" if self.denied else "INTERNAL_ERROR"


@dataclass(frozen=True, slots=True)
class ScanScope:
    """The accounts and regions to scan. Default: the credentials' own account and region.

    `organization`: all its active accounts, or with `units` those in and below these OUs.
    `all_regions`: all regions that an account has enabled.
    """

    accounts: Sequence[str] = ()
    regions: Sequence[str] = ()
    organization: bool = False
    units: Sequence[str] = ()
    all_regions: bool = False


def all_of(region: str) -> str:
    """Return the instance id that denotes all instances of a region or of an account."""
    return f"{region}:*" if region else "*"


def look_up(
    session: Session, wanted: ScanScope, units: organizations.Units | None = None
) -> list[AccountRegion | UnreachableTarget]:
    """Return every account's regions, in the accounts' order, then suspended accounts.

    `units` caches the known OUs.
    Raises UsageError without a region, AccessDeniedError or CloudError where not even our own
    account or organization can be read.
    """
    chosen = list(wanted.regions) or ([session.region] if session.region else [])
    if not chosen and not wanted.all_regions:
        raise UsageError("no AWS region: set AWS_REGION or give --region")
    members = _accounts(session, wanted, chosen, units)
    owners = [member for member in members if member.active]
    suspended = [_suspended(member) for member in members if not member.active]
    if not wanted.all_regions:
        here = [AccountRegion(owner.id, region) for owner in owners for region in chosen]
        return [*here, *suspended]
    first = chosen[0] if chosen else "us-east-1"

    def regions(owner: organizations.Account) -> list[AccountRegion | UnreachableTarget]:
        try:
            enabled = _enabled(session, owner.id, first)
        except (AccessDeniedError, ClockSkewError, CloudError) as error:
            hint = NO_STACK_SET if owner.management else ""
            return [UnreachableTarget(owner.id, "", error, owner.name, hint)]
        return [AccountRegion(owner.id, region) for region in enabled]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [target for targets in pool.map(regions, owners) for target in targets]
    return [*found, *suspended]


def _suspended(member: organizations.Account) -> UnreachableTarget:
    """Return the target of an account that answers no call, and whose instances are stopped."""
    what = f"the account is {member.state or 'not active'} in its organization"
    error = AccessDeniedError(what, where=member.id)
    return UnreachableTarget(member.id, "", error, member.name, suspended=True)


def _enabled(session: Session, account: str, first: str) -> list[str]:
    """Return the account's enabled regions.

    EC2 in a region that the account has not enabled denies access; another region is asked then.
    Raises AccessDeniedError, ClockSkewError, CloudError.
    """
    region, *others = session.regions_to_ask(first)
    try:
        return Ec2(session, account, region).regions()
    except AccessDeniedError:
        for other in others:
            with suppress(AccessDeniedError, ClockSkewError, CloudError):
                return Ec2(session, account, other).regions()
        raise


def in_each(
    account_regions: Sequence[AccountRegion],
    work: Callable[[AccountRegion], T],
    stopped: Callable[[], bool],
) -> Iterator[tuple[AccountRegion, T | UnreachableTarget]]:
    """Yield the result of `work` for each account-region, in their order, until `stopped`.

    AT_ONCE calls run in parallel.
    """

    def attempt(account_region: AccountRegion) -> T | UnreachableTarget:
        try:
            return work(account_region)
        except (AccessDeniedError, ClockSkewError, CloudError, RateLimitedError) as error:
            return UnreachableTarget(account_region.account, account_region.region, error)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for account_region, result in zip(
            account_regions, pool.map(attempt, account_regions), strict=True
        ):
            yield account_region, result
            if stopped():
                pool.shutdown(cancel_futures=True)
                return


def partition(
    targets: Iterable[AccountRegion | UnreachableTarget],
) -> tuple[list[AccountRegion], list[UnreachableTarget]]:
    """Return the account-regions to work on, and the targets that cannot be reached.

    Suspended accounts are neither.
    """
    open_: list[AccountRegion] = []
    closed: list[UnreachableTarget] = []
    for target in targets:
        if isinstance(target, UnreachableTarget):
            closed += [] if target.suspended else [target]
        else:
            open_.append(target)
    return open_, closed


def in_all(
    targets: Iterable[AccountRegion | UnreachableTarget],
    work: Callable[[AccountRegion], T],
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[list[tuple[AccountRegion, T]], list[UnreachableTarget]]:
    """Do `work` as `in_each`; return (results, unreachable), those of the targets included."""
    open_, closed = partition(targets)
    done: list[tuple[AccountRegion, T]] = []
    for place, result in in_each(open_, work, stopped):
        if isinstance(result, UnreachableTarget):
            closed.append(result)
        else:
            done.append((place, result))
    return done, closed


def _accounts(
    session: Session, wanted: ScanScope, chosen: Sequence[str], units: organizations.Units | None
) -> list[organizations.Account]:
    """Return the accounts of the scope, suspended ones too."""
    if wanted.organization or wanted.units:
        if wanted.accounts:
            raise UsageError("give accounts or the organization, not both")
        return organizations.accounts(session, units=wanted.units, known=units)
    own = wanted.accounts or [sts.account(session, region=chosen[0] if chosen else None)]
    return [organizations.Account(account, "", organizations.ACTIVE) for account in own]
