"""A principal in the columns that access keys and users of the console have: role to accounts.

`accounts` is a JSON list; NULL is every account. The column of the name differs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sidelight.errors import StoreError
from sidelight.model import Principal, Role

if TYPE_CHECKING:
    from sqlalchemy import Row


def principal_values(principal: Principal) -> dict[str, str | None]:
    """Return the values of a principal's columns, without its name."""
    accounts = None if principal.accounts is None else json.dumps(sorted(principal.accounts))
    return {"role": principal.role.value, "account": principal.account_id, "accounts": accounts}


def principal_of(name: str, row: Row[tuple[object, ...]]) -> Principal:
    """Return the principal of a row. Raises StoreError, with the name, if it is damaged."""
    try:
        accounts = None if row.accounts is None else frozenset(json.loads(row.accounts))
        return Principal(name, Role(row.role), row.account, accounts)
    except (ValueError, TypeError) as error:
        raise StoreError(f"not a stored principal: {error}", where=name) from error
