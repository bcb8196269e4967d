"""Remediation plans that are kept: of the whole fleet, of each account, and of scopes of several.

A scope is kept from when it was first asked for until nobody did for SCOPE_KEPT. The row before a
plan's first has no action: the fleet's says when all plans were last computed, a scope's has its
accounts and the day on which it was last asked for.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, select, update

from sidelight.model import FindingStatus
from sidelight.remediation import UpgradeAction
from sidelight.store.base import documents
from sidelight.store.base.dialect import insert, parts
from sidelight.store.base.schema import findings, remediation_actions
from sidelight.store.findings.active_counts import are_kept, of_details

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Executable

    from sidelight.store.base.engine import Database

WHOLE_FLEET: Final = ""
SCOPE_KEPT: Final = timedelta(days=7)
MOST_SCOPES: Final = 100
_NOTED: Final = timedelta(days=1)  # how old a scope's time may be: pages seldom write
_MARK: Final = -1  # the position of the row that says when plans were computed


def scope_name(accounts: Collection[str]) -> str:
    """Return what a plan of several accounts is kept under; no account has such a name."""
    digest = hashlib.sha256("\n".join(sorted(accounts)).encode()).hexdigest()
    return f"scope {digest[:40]}"


class KeptPlans:
    """The plans that were last computed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def accounts_with_findings(self) -> list[str]:
        """Return the accounts that have active findings."""
        status = findings.c.status == FindingStatus.ACTIVE.value
        query = select(findings.c.account).where(status).distinct()
        kept = of_details()
        total = func.sum(kept.c.active)
        counted = select(kept.c.account).group_by(kept.c.account).having(total > 0)
        with self._database.read() as connection:
            found = connection.execute(counted if are_kept(connection) else query)
            return sorted(found.scalars())

    def has_scope(self, accounts: Collection[str], now: datetime) -> bool:
        """Return whether the plan of several accounts is kept, and note that it is asked for."""
        table = remediation_actions
        own = (table.c.account == scope_name(accounts)) & (table.c.position == _MARK)
        with self._database.read() as connection:
            requested_at: datetime | None = connection.execute(
                select(table.c.counted_at).where(own)
            ).scalar()
        if requested_at is not None and requested_at < now - _NOTED:
            with self._database.write() as connection:
                connection.execute(update(table).where(own).values(counted_at=now))
        return requested_at is not None

    def scopes(self, now: datetime) -> dict[str, list[str]]:
        """Return the accounts of the scopes to keep, by name: those that were asked for last."""
        table = remediation_actions
        query = (
            select(table.c.account, table.c.document)
            .where(table.c.account != WHOLE_FLEET, table.c.position == _MARK)
            .where(table.c.counted_at > now - SCOPE_KEPT)
            .order_by(table.c.counted_at.desc(), table.c.account)
            .limit(MOST_SCOPES)
        )
        with self._database.read() as connection:
            return {name: json.loads(text) for name, text in connection.execute(query)}

    def put(
        self,
        account: str,
        actions: Sequence[UpgradeAction],
        now: datetime,
        *,
        scope: Collection[str] = (),
    ) -> None:
        """Keep a plan in the order of its actions. Only rows that differ are written.

        `scope` has the accounts of a scope that is kept from now on.
        """
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
        if not changed and len(known) == len(texts) and not scope:
            return
        if scope:
            mark = {"account": account, "position": _MARK, "document": json.dumps(sorted(scope))}
            changed.append(mark | {"counted_at": now})
        with self._database.write() as connection:
            for part in parts(changed):
                connection.execute(_adding(connection), part)
            connection.execute(delete(table).where(own, table.c.position >= len(texts)))

    def complete(self, accounts: Collection[str], now: datetime) -> None:
        """Note the time of a complete run, and forget the plans of other accounts and scopes.

        Scopes that were first asked for during the run stay.
        """
        table = remediation_actions
        mark = {"account": WHOLE_FLEET, "position": _MARK, "document": "", "counted_at": now}
        with self._database.write() as connection:
            late = select(table.c.account).where(
                table.c.position == _MARK, table.c.counted_at >= now
            )
            known = select(table.c.account).where(table.c.account.not_in(late)).distinct()
            kept = set(connection.execute(known).scalars())
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
