"""What scans cost: calls, blocks, bytes, seconds and dollars, over all attempts of a scan."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select, union_all

from sidelight.store.rows import Cost, CostSum
from sidelight.store.schema import costs, scans
from sidelight.store.statements import insert, once

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sidelight.store.engine import Database

_SUMS = [costs.c[name] for name in Cost.__dataclass_fields__ if name != "scan"]


# What costs are summed by, the widest first.
BY = ("day", "account", "region", "instance")


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
        """Dollars of the scans of an account that are live, or ended since then.

        By their end: a scan that waits for money may have been made days before it is read.
        """
        lately = [
            select(func.coalesce(func.sum(costs.c.usd), 0.0).label("usd"))
            .join(scans, scans.c.id == costs.c.scan)
            .where(scans.c.account == account, part)
            # Apart from each other an index finds both; SQLite would look at all of the account.
            for part in (scans.c.finished_at.is_(None), scans.c.finished_at >= since)
        ]
        query = select(func.sum(union_all(*lately).subquery().c.usd))
        with self._database.read() as connection:
            return float(connection.execute(query).scalar_one())

    def sums(self, by: Collection[str] = (), since: datetime | None = None) -> list[CostSum]:
        """Sums by some of BY, in their order; of scans that were made since then.

        A scan that has cost nothing counts as a scan. Raises ValueError for what is not in BY.
        """
        chosen = [(name, self._group(name)) for name in BY if name in by]
        if len(chosen) != len(set(by)):
            raise ValueError(f"costs are summed by {', '.join(BY)}, not by {', '.join(by)}")
        groups = [column for _, column in chosen]
        query = (
            select(
                *(column.label(name) for name, column in chosen),
                func.count().label("scans"),
                *(func.coalesce(func.sum(column), 0).label(column.name) for column in _SUMS),
            )
            .select_from(scans.outerjoin(costs, scans.c.id == costs.c.scan))
            .group_by(*groups)
            .order_by(*groups)
        )
        if since is not None:
            query = query.where(scans.c.created_at >= since)
        with self._database.read() as connection:
            return [_cost_sum(row) for row in connection.execute(query)]

    def _group(self, name: str) -> Any:
        if name != "day":
            return scans.c[name]
        if self._database.engine.dialect.name == "sqlite":
            return func.date(scans.c.created_at)
        return func.to_char(func.timezone("UTC", scans.c.created_at), "YYYY-MM-DD")


def _cost_sum(row: Any) -> CostSum:
    # PostgreSQL sums integers to decimals.
    kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(CostSum)}
    return CostSum(**{name: kinds[name](value) for name, value in row._mapping.items()})  # noqa: SLF001 - SQLAlchemy's public way


def add_cost(connection: Connection, cost: Cost) -> None:
    """Add within a transaction."""
    connection.execute(_adding(connection), asdict(cost))


@once
def _adding(connection: Connection) -> Any:
    adding = insert(connection, costs)
    return adding.on_conflict_do_update(
        index_elements=["scan"],
        set_={column.name: column + adding.excluded[column.name] for column in _SUMS},
    )
