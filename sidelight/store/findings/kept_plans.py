"""Remediation plans that are kept: one for the whole fleet, and one for each account.

The row before a plan's first has no action: the fleet's says when all plans were last computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select

from sidelight.model import FindingStatus
from sidelight.remediation import UpgradeAction
from sidelight.store.base import documents
from sidelight.store.base.dialect import insert, parts
from sidelight.store.base.schema import findings, remediation_actions

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Executable

    from sidelight.store.base.engine import Database

WHOLE_FLEET: Final = ""
_MARK: Final = -1  # the position of the row that says when plans were computed


class KeptPlans:
    """The plans that were last computed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def accounts_with_findings(self) -> list[str]:
        """Return the accounts that have active findings."""
        status = findings.c.status == FindingStatus.ACTIVE.value
        query = select(findings.c.account).where(status).distinct()
        with self._database.read() as connection:
            return sorted(connection.execute(query).scalars())

    def put(self, account: str, actions: Sequence[UpgradeAction], now: datetime) -> None:
        """Keep a plan in the order of its actions. Only rows that differ are written."""
        table = remediation_actions
        texts = [documents.dump(action) for action in actions]
        own = (table.c.account == account) & (table.c.position > _MARK)
        with self._database.read() as connection:
            query = select(table.c.position, table.c.document).where(own)
            known = {row.position: row.document for row in connection.execute(query)}
        changed = [
            {"account": account, "position": position, "document": text, "counted_at": now}
            for position, text in enumerate(texts)
            if known.get(position) != text
        ]
        if not changed and len(known) == len(texts):
            return
        with self._database.write() as connection:
            for part in parts(changed):
                connection.execute(_adding(connection), part)
            connection.execute(delete(table).where(own, table.c.position >= len(texts)))

    def complete(self, accounts: Collection[str], now: datetime) -> None:
        """Note the time of a complete run, and forget the plans of other accounts."""
        table = remediation_actions
        mark = {"account": WHOLE_FLEET, "position": _MARK, "document": "", "counted_at": now}
        with self._database.write() as connection:
            kept = set(connection.execute(select(table.c.account).distinct()).scalars())
            for account in kept - set(accounts) - {WHOLE_FLEET}:
                connection.execute(delete(table).where(table.c.account == account))
            connection.execute(_adding(connection), [mark])

    def counted_at(self) -> datetime | None:
        """Return when all plans were last computed; None if they never were."""
        table = remediation_actions
        query = select(table.c.counted_at).where(
            table.c.account == WHOLE_FLEET, table.c.position == _MARK
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def actions(self, account: str, limit: int | None = None) -> list[UpgradeAction]:
        """Return the kept actions of an account or the fleet, the heaviest first."""
        table = remediation_actions
        query = (
            select(table.c.document)
            .where(table.c.account == account, table.c.position > _MARK)
            .order_by(table.c.position)
            .limit(limit)
        )
        with self._database.read() as connection:
            texts = connection.execute(query).scalars().all()
        return [documents.load(UpgradeAction, text) for text in texts]


def _adding(connection: Connection) -> Executable:
    adding = insert(connection, remediation_actions)
    changed = {name: adding.excluded[name] for name in ("document", "counted_at")}
    keys = ["account", "position"]
    statement: Executable = adding.on_conflict_do_update(index_elements=keys, set_=changed)
    return statement
