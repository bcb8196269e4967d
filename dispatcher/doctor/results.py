"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dispatcher.discovery.accounts import AccountRegion, UnreachableTarget


class CheckStatus(StrEnum):
    """NOT_CHECKED: the check was not possible, or could not decide."""

    OK = "OK"
    WARNING = "WARNING"
    ERROR = "ERROR"
    NOT_CHECKED = "NOT_CHECKED"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was found, and how to fix it."""

    group: str
    name: str
    status: CheckStatus
    detail: str
    remedy: str = ""
    account: str = ""
    region: str = ""

    @property
    def where(self) -> str:
        """The account-region; empty for what is not in one."""
        return "/".join(filter(None, (self.account, self.region)))


def check(  # noqa: PLR0913, PLR0917 - the members of a check
    status: CheckStatus,
    group: str,
    name: str,
    detail: str,
    remedy: str,
    target: AccountRegion | UnreachableTarget | None = None,
) -> Check:
    """Return a check, of an account-region if it is in one."""
    account, region = (target.account, target.region) if target else ("", "")
    return Check(group, name, status, detail, remedy, account, region)


# What works, but not as well as it should; and what does not work.
warning: Final = partial(check, CheckStatus.WARNING)
fault: Final = partial(check, CheckStatus.ERROR)


def ok(
    group: str, name: str, detail: str, target: AccountRegion | UnreachableTarget | None = None
) -> Check:
    """Return a check without a fault."""
    return check(CheckStatus.OK, group, name, detail, "", target)


def unchecked(
    group: str,
    name: str,
    detail: str,
    remedy: str = "",
    target: AccountRegion | UnreachableTarget | None = None,
) -> Check:
    """Return a check that was not possible."""
    return check(CheckStatus.NOT_CHECKED, group, name, detail, remedy, target)
