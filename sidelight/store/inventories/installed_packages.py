"""Where packages are installed: searched by name over all inventories of the fleet."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import case, func, or_, select, tuple_

from sidelight.errors import StoreError
from sidelight.store.base.counters import read_counter
from sidelight.store.base.ordered_join import Position, values_by_instance
from sidelight.store.base.positions import key_values
from sidelight.store.base.schema import (
    coverage,
    installed_names,
    installed_versions,
    inventories,
    package_sets,
    set_versions,
)
from sidelight.store.inventories.package_index import folded, index_set
from sidelight.store.inventories.package_sets import PACKAGES, load_set

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Subquery

    from sidelight.store.base.engine import Database

log = logging.getLogger(__name__)

SETS_AT_ONCE: Final = 20  # of some hundreds of packages each
MOST_NAMES: Final = 50


@dataclass(frozen=True, slots=True)
class InstalledName:
    """A package by its purl type and name, and on how many instances it is."""

    id: int
    type: str
    name: str
    instances: int


@dataclass(frozen=True, slots=True)
class InstalledVersion:
    """A version of a package, and on how many instances it is."""

    id: int
    version: str
    instances: int


class Installation(NamedTuple):
    """A version of a package on one instance. `label` is the instance's name."""

    account: str
    region: str
    instance: str
    label: str
    version_id: int
    version: str


@dataclass(frozen=True, slots=True)
class InstallationPage:
    """A page of installations; `position` as in FindingPage."""

    rows: Sequence[Installation]
    position: Mapping[str, object] | None = None


class InstalledPackages:
    """Searches the packages of inventories. `accounts` limits each search, None does not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def search(
        self, text: str, accounts: Collection[str] | None, limit: int = MOST_NAMES
    ) -> list[InstalledName]:
        """Return packages with this text in their names: equal names first, then beginnings."""
        wanted = folded(text.strip())
        if not wanted:
            return []
        column = installed_names.c.folded
        where = Position(column, wanted)
        rank = case((column == wanted, 0), (where == 1, 1), else_=2)
        query = (
            select(installed_names.c.id, installed_names.c.type, installed_names.c.name)
            .where(or_(column == wanted, where > 0))
            .order_by(rank, func.length(column), column, installed_names.c.id)
            .limit(min(limit, MOST_NAMES))
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            counts = _counts(connection, [row.id for row in rows], accounts)
        return [
            InstalledName(row.id, row.type, row.name, counts[row.id])
            for row in rows
            if row.id in counts
        ]

    def name(self, number: int, accounts: Collection[str] | None) -> InstalledName | None:
        """Return a package by its id; None if it is on no instance of these accounts."""
        query = select(installed_names.c.type, installed_names.c.name)
        with self._database.read() as connection:
            row = connection.execute(query.where(installed_names.c.id == number)).first()
            counts = _counts(connection, [number], accounts)
        if row is None or number not in counts:
            return None
        return InstalledName(number, row.type, row.name, counts[number])

    def versions(self, name: int, accounts: Collection[str] | None) -> list[InstalledVersion]:
        """Return the installed versions of a package, the most frequent first."""
        machines = _machines(accounts)
        total = func.sum(machines.c.count)
        query = (
            select(installed_versions.c.id, installed_versions.c.version, total.label("instances"))
            .join(set_versions, set_versions.c.version == installed_versions.c.id)
            .join(machines, machines.c.content == set_versions.c.content)
            .where(installed_versions.c.name == name)
            .group_by(installed_versions.c.id, installed_versions.c.version)
            .order_by(total.desc(), installed_versions.c.id)
        )
        with self._database.read() as connection:
            return [
                InstalledVersion(row.id, row.version, int(row.instances))
                for row in connection.execute(query)
            ]

    def installations(
        self,
        name: int,
        accounts: Collection[str] | None,
        *,
        version: int | None = None,
        after: Mapping[str, object] | None = None,
        limit: int = 50,
    ) -> InstallationPage:
        """Return instances with a package, or with one version, by account, id and version.

        Raises ValueError for a position of another search.
        """
        key = (inventories.c.account, inventories.c.instance, installed_versions.c.id)
        query = (
            select(*key, inventories.c.region, installed_versions.c.version)
            .join(set_versions, set_versions.c.content == inventories.c.content)
            .join(installed_versions, installed_versions.c.id == set_versions.c.version)
            .where(installed_versions.c.name == name, *_present(accounts))
            .order_by(*key)
            .limit(limit + 1)
        )
        if version is not None:
            query = query.where(installed_versions.c.id == version)
        if after is not None:
            query = query.where(tuple_(*key) > tuple_(*key_values(after, key)))
        with self._database.read() as connection:
            found = connection.execute(query).all()
            pairs = {(row.account, row.instance) for row in found[:limit]}
            labels = values_by_instance(connection, coverage, "name", pairs)
        rows = [
            Installation(
                row.account, row.region, row.instance,
                labels.get((row.account, row.instance), ""), row.id, row.version,
            )
            for row in found[:limit]
        ]  # fmt: skip
        if len(found) <= limit:
            return InstallationPage(rows)
        last = rows[-1]
        return InstallationPage(rows, {"key": [last.account, last.instance, last.version_id]})

    def unindexed(self) -> int:
        """Count the package sets whose packages are not searched yet."""
        query = select(func.count()).where(~package_sets.c.indexed)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def index(self, limit: int = SETS_AT_ONCE) -> int:
        """Index package sets from before this was kept; return how many, 0 if none is left.

        A set whose document is damaged is left out of searches; its inventory cannot be read
        either.
        """
        query = select(package_sets.c.id).where(~package_sets.c.indexed)
        with self._database.write() as connection:
            read_counter(connection, PACKAGES, share=True)  # no set is deleted meanwhile
            ids = list(connection.execute(query.order_by(package_sets.c.id).limit(limit)).scalars())
            for content in ids:
                try:
                    packages = load_set(connection, content).packages
                except StoreError as error:
                    log.warning("package set %d is not searched: %s", content, error)
                    packages = ()
                index_set(connection, content, packages)
        return len(ids)


def _present(accounts: Collection[str] | None) -> list[ColumnElement[bool]]:
    """Return the conditions of inventories of instances that exist."""
    conditions: list[ColumnElement[bool]] = [inventories.c.retired_at.is_(None)]
    if accounts is not None:
        conditions.append(inventories.c.account.in_(sorted(accounts)))
    return conditions


def _machines(accounts: Collection[str] | None) -> Subquery:
    """Return how many instances have each package set: far fewer rows than instances."""
    return (
        select(inventories.c.content, func.count().label("count"))
        .where(*_present(accounts))
        .group_by(inventories.c.content)
        .subquery()
    )


def _counts(
    connection: Connection, names: Sequence[int], accounts: Collection[str] | None
) -> dict[int, int]:
    """Count the instances with each of these packages; those without are left out."""
    machines = _machines(accounts)
    held = (
        select(installed_versions.c.name, set_versions.c.content)
        .join(set_versions, set_versions.c.version == installed_versions.c.id)
        .where(installed_versions.c.name.in_(names))
        .distinct()
        .subquery()
    )
    query = (
        select(held.c.name, func.sum(machines.c.count).label("instances"))
        .join(machines, machines.c.content == held.c.content)
        .group_by(held.c.name)
    )
    return {row.name: int(row.instances) for row in connection.execute(query)}
