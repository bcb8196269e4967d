"""The checks of principals that access keys and users of the console have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from sidelight.model import Principal

MOST_ACCOUNTS: Final = 1000  # of one principal's scope
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


def check_principal(principal: Principal) -> None:
    """Raise UsageError unless a principal may have this name and these accounts."""
    if not _NAME.fullmatch(principal.name):
        raise UsageError(
            "a name has 1 to 64 letters, digits and ._@-, and begins with a letter or digit",
            where=principal.name[:64],
        )
    accounts = [principal.account_id, *(principal.accounts or ())]
    if len(accounts) > MOST_ACCOUNTS:
        raise UsageError(f"more than {MOST_ACCOUNTS} accounts", where=principal.name)
    for account in accounts:
        if not _ACCOUNT.fullmatch(account):
            raise UsageError("an account's id has 12 digits", where=account[:64])
