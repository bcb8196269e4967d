"""The costs of scans: calls, blocks, bytes, seconds and dollars, over all attempts of a scan."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, func, select, union_all

from sidelight.model import Cost, CostSum
from sidelight.store.base.dialect import insert, once, parts
from sidelight.store.base.schema import cost_days, costs, scans

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Select

    from sidelight.store.base.engine import Database

_NAMES = [name for name in Cost.__dataclass_fields__ if name != "scan"]
_SUMS = [costs.c[name] for name in _NAMES]
_COUNTED = ("scans", *_NAMES)
_DAY_KEYS = ("day", "account", "region")


# The columns that costs can be grouped by, the widest first.
COST_KEYS = ("day", "account", "region", "instance")


class Costs:
    """The costs of scans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, cost: Cost) -> None:
        """Add to the cost of the scan."""
        with self._database.write() as connection:
            add_cost(connection, cost)

    def of(self, scan_ids: Collection[str]) -> dict[str, Cost]:
        """Return the costs by scan id; a scan without costs is absent."""
        query = select(costs).where(costs.c.scan.in_(list(scan_ids)))
        with self._database.read() as connection:
            rows = [Cost(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - public
        return {cost.scan: cost for cost in rows}

    def spent(self, account: str, since: datetime) -> float:
        """Return the dollars of an account's scans that are live, or ended since then.

        The end counts: a scan that waits for the budget may be created days before it is read.
        """
        values = {"of_account": account, "since": since}
        with self._database.read() as connection:
            return float(connection.execute(_spent(), values).scalar_one())

    def sums(self, by: Collection[str] = (), since: datetime | None = None) -> list[CostSum]:
        """Sum the costs of scans created since then by some of COST_KEYS, in their order.

        A scan without costs counts as a scan. For scans that retention deleted (see retention.py)
        only sums of whole days are known, without instances. Raises ValueError for a name that is
        not in COST_KEYS.
        """
        chosen = [(name, self._group(name)) for name in COST_KEYS if name in by]
        if len(chosen) != len(set(by)):
            raise ValueError(f"costs are summed by {', '.join(COST_KEYS)}, not by {', '.join(by)}")
        groups = [column for _, column in chosen]
        query = (
            select(
                *(column.label(name) for name, column in chosen),
                func.count().label("scans"),
                *(func.coalesce(func.sum(column), 0).label(column.name) for column in _SUMS),
            )
            .select_from(scans.outerjoin(costs, scans.c.id == costs.c.scan))
            .group_by(*groups)
        )
        days = _of_days([name for name, _ in chosen])
        if since is not None:
            query = query.where(scans.c.created_at >= since)
            days = days.where(cost_days.c.day >= since.astimezone(UTC).date().isoformat())
        with self._database.read() as connection:
            cost_sums = [_cost_sum(row) for row in connection.execute(query)]
            if "instance" not in by:
                cost_sums += [_cost_sum(row) for row in connection.execute(days)]
        return _added(cost_sums)

    def _group(self, name: str) -> Any:
        if name != "day":
            return scans.c[name]
        if self._database.engine.dialect.name == "sqlite":
            return func.date(scans.c.created_at)
        return func.to_char(func.timezone("UTC", scans.c.created_at), "YYYY-MM-DD")


@cache
def _spent() -> Select[Any]:
    lately = [
        select(func.coalesce(func.sum(costs.c.usd), 0.0).label("usd"))
        .join(scans, scans.c.id == costs.c.scan)
        .where(scans.c.account == bindparam("of_account"), part)
        # As two queries each uses an index; for one query SQLite scans the whole account.
        for part in (scans.c.finished_at.is_(None), scans.c.finished_at >= bindparam("since"))
    ]
    return select(func.sum(union_all(*lately).subquery().c.usd))


def _of_days(by: Sequence[str]) -> Select[Any]:
    groups = [cost_days.c[name] for name in by if name != "instance"]
    sums = [func.sum(cost_days.c[name]).label(name) for name in _COUNTED]
    # Without groups, the sum of no rows would be a row of NULLs.
    return select(*groups, *sums).group_by(*groups).having(func.count() > 0)


def _added(cost_sums: Iterable[CostSum]) -> list[CostSum]:
    """Add up the sums of each group, in order."""
    groups: dict[tuple[str, ...], list[CostSum]] = {}
    for cost_sum in cost_sums:
        groups.setdefault(
            (cost_sum.day, cost_sum.account, cost_sum.region, cost_sum.instance), []
        ).append(cost_sum)
    return [
        replace(
            some[0],
            **{name: sum(getattr(cost_sum, name) for cost_sum in some) for name in _COUNTED},
        )
        for _, some in sorted(groups.items())
    ]


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


def add_up(connection: Connection, ended: Sequence[Any]) -> None:
    """Replace the costs of scans (rows `id`, `account`, `region`, `created_at`) by sums per day.

    Call it within the transaction that deletes the scans.
    """
    sums: dict[tuple[str, str, str], dict[str, Any]] = {}
    known: dict[str, Any] = {}
    ids = [row.id for row in ended]
    for part in parts(ids):
        rows = connection.execute(select(costs).where(costs.c.scan.in_(part)))
        known |= {row.scan: row for row in rows}
        connection.execute(delete(costs).where(costs.c.scan.in_(part)))
    for row in ended:
        key = (row.created_at.date().isoformat(), row.account, row.region)
        added = sums.setdefault(key, dict.fromkeys(_COUNTED, 0))
        added["scans"] += 1
        if row.id in known:
            for name in _NAMES:
                added[name] += getattr(known[row.id], name)
    for key in sorted(sums):
        values = dict(zip(_DAY_KEYS, key, strict=True))
        connection.execute(_adding_up(connection), values | sums[key])


@once
def _adding_up(connection: Connection) -> Any:
    adding = insert(connection, cost_days)
    return adding.on_conflict_do_update(
        index_elements=_DAY_KEYS,
        set_={name: cost_days.c[name] + adding.excluded[name] for name in _COUNTED},
    )
