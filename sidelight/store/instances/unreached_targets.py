"""Accounts and Regions whose instances are unknown, because discovery could not list them.

Coverage has an entry for each: its instance is `*` for an account and `REGION:*` for a Region
(`dispatcher.discovery`). It is about no machine, so lists and counts of machines leave it out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, literal_column, select

from sidelight.model import ScanType
from sidelight.store.base.dialect import insert
from sidelight.store.base.schema import coverage, coverage_changes, properties

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

# As the index of these entries has it, so that it is used.
IS_TARGET: Final[ColumnElement[bool]] = coverage.c.instance.like(literal_column("'%*'"))
IS_MACHINE: Final[ColumnElement[bool]] = coverage.c.instance.not_like(literal_column("'%*'"))
_FAILURE: Final = "discovery failure"  # of `properties`


def is_target(instance: str) -> bool:
    """Whether an entry's instance denotes all instances of an account or a Region."""
    return instance.endswith("*")


@dataclass(frozen=True, slots=True)
class UnreachedTarget:
    """An account whose instances cannot be listed, in one Region or, where it is empty, in all.

    `since` is when this reason began, `tried_at` the last attempt. `scan_mode` is that of the
    method that fails, empty where it is the discovery of instances.
    """

    account: str
    region: str
    reason: str
    detail: str
    scan_mode: str
    since: datetime
    tried_at: datetime


@dataclass(frozen=True, slots=True)
class DiscoveryFailure:
    """Why the fleet's accounts cannot be listed at all; since when, and the last attempt."""

    error: str
    since: datetime
    tried_at: datetime


class UnreachedTargets:
    """Reads these entries, and keeps why the last listing of accounts failed as a whole."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def all(
        self, accounts: Collection[str] | None = None, region: str = ""
    ) -> list[UnreachedTarget]:
        """Return the targets of these accounts, or of all, by account and Region.

        With a Region also whole accounts: they have instances there as well, for all that is known.
        """
        query = select(
            coverage.c.account, coverage.c.region, coverage.c.instance, coverage.c.reason,
            coverage.c.detail, coverage.c.scan_mode, coverage.c.updated_at,
        ).where(IS_TARGET, coverage.c.scan_type == ScanType.PACKAGE.value)  # fmt: skip
        if accounts is not None:
            query = query.where(coverage.c.account.in_(sorted(accounts)))
        if region:
            query = query.where(coverage.c.region.in_(("", region)))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(coverage.c.account, coverage.c.region)).all()
            since = {
                (row.account, row.instance): row.at
                for row in connection.execute(
                    select(
                        coverage_changes.c.account, coverage_changes.c.instance,
                        func.max(coverage_changes.c.at).label("at"),
                    )
                    .where(
                        coverage_changes.c.account.in_({row.account for row in rows}),
                        coverage_changes.c.instance.in_({row.instance for row in rows}),
                        coverage_changes.c.scan_type == ScanType.PACKAGE.value,
                    )
                    .group_by(coverage_changes.c.account, coverage_changes.c.instance)
                )
            } if rows else {}  # fmt: skip
        return [
            UnreachedTarget(
                row.account, row.region, row.reason, row.detail, row.scan_mode,
                since.get((row.account, row.instance), row.updated_at), row.updated_at,
            )
            for row in rows
        ]  # fmt: skip

    def keep_accounts(self, accounts: Collection[str]) -> None:
        """Delete the entries of all other accounts: they are not the fleet's any more."""
        with self._database.write() as connection:
            known = set(connection.execute(select(coverage.c.account).where(IS_TARGET)).scalars())
            for account in sorted(known - set(accounts)):
                connection.execute(delete(coverage).where(IS_TARGET, coverage.c.account == account))

    def note_failure(self, error: str) -> None:
        """Record that the accounts of the fleet could not be listed."""
        now = self._clock()
        before = self.failure()
        since = before.since if before is not None else now
        self._write({"error": error, "since": since.isoformat(), "tried_at": now.isoformat()})

    def clear_failure(self) -> None:
        """Record that they could."""
        if self.failure() is not None:
            self._write(None)

    def failure(self) -> DiscoveryFailure | None:
        """Return why they could not be listed the last time; None where they could."""
        query = select(properties.c.value).where(properties.c.name == _FAILURE)
        with self._database.read() as connection:
            kept = json.loads(connection.execute(query).scalar() or "null")
        if kept is None:
            return None
        times = (datetime.fromisoformat(kept[name]) for name in ("since", "tried_at"))
        return DiscoveryFailure(kept["error"], *times)

    def _write(self, value: dict[str, str] | None) -> None:
        with self._database.write() as connection:
            adding = insert(connection, properties)
            connection.execute(
                adding.on_conflict_do_update(
                    index_elements=["name"], set_={"value": adding.excluded.value}
                ),
                {"name": _FAILURE, "value": json.dumps(value)},
            )
