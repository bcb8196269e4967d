"""Whether accounts are enabled, for transactions that write what only enabled accounts have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from sidelight.model import AccountStatus
from sidelight.store.base.schema import account_configurations

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection


def not_enabled(connection: Connection, accounts: Collection[str]) -> dict[str, AccountStatus]:
    """Return the status of those of these accounts that are not enabled, and lock it.

    A disabling waits for the end of the transaction, and then finds what it wrote. An account that
    was never configured is enabled.
    """
    table = account_configurations
    query = select(table.c.account, table.c.status).where(table.c.account.in_(sorted(accounts)))
    return {
        account: AccountStatus(status)
        for account, status in connection.execute(query.with_for_update(read=True))
        if status != AccountStatus.ENABLED.value
    }
