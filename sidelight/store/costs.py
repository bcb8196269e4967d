"""What scans cost: calls, blocks, bytes, seconds and dollars, over all attempts of a scan."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from sidelight.store.rows import Cost
from sidelight.store.schema import costs, scans

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sidelight.store.engine import Database

_SUMS = [costs.c[name] for name in Cost.__dataclass_fields__ if name != "scan"]


class Costs:
    """The costs of scans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, cost: Cost) -> None:
        """Add to what the scan has cost so far."""
        with self._database.write() as connection:
            add_cost(connection, cost)

    def of(self, scan_ids: Collection[str]) -> dict[str, Cost]:
        """By scan; one that has cost nothing yet is absent."""
        query = select(costs).where(costs.c.scan.in_(list(scan_ids)))
        with self._database.read() as connection:
            rows = [Cost(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - public
        return {cost.scan: cost for cost in rows}

    def spent(self, account: str, since: datetime) -> float:
        """Dollars of the scans of an account that began since then."""
        query = (
            select(func.coalesce(func.sum(costs.c.usd), 0.0))
            .join(scans, scans.c.id == costs.c.scan)
            .where(scans.c.account == account, scans.c.created_at >= since)
        )
        with self._database.read() as connection:
            return float(connection.execute(query).scalar_one())

    def by_account(self) -> dict[str, Cost]:
        """Sums over all scans of an account; `scan` is empty."""
        query = (
            select(scans.c.account, *(func.sum(column).label(column.name) for column in _SUMS))
            .join(scans, scans.c.id == costs.c.scan)
            .group_by(scans.c.account)
        )
        with self._database.read() as connection:
            return {
                row.account: Cost("", **{c.name: getattr(row, c.name) for c in _SUMS})
                for row in connection.execute(query)
            }


def add_cost(connection: Connection, cost: Cost) -> None:
    """Add within a transaction."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(costs)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["scan"],
            set_={column.name: column + insert.excluded[column.name] for column in _SUMS},
        ),
        asdict(cost),
    )
