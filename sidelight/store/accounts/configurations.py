"""The accounts' and organizations' own configurations.

A change reads the row, applies a function and writes the result in one transaction, with the row
locked: two changes at once are applied one after the other, and what was set reads back at once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from sidelight.errors import StoreError
from sidelight.model import (
    AccountConfiguration,
    AccountStatus,
    Ec2ScanMode,
    OrganizationConfiguration,
)
from sidelight.store.base.dialect import insert, parts
from sidelight.store.base.schema import account_configurations, organization_configurations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection, RowMapping, Table

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database


class Configurations:
    """Accounts' and organizations' configurations by id."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def account(self, account: str) -> AccountConfiguration | None:
        """Return an account's own configuration; None if it never had one."""
        return next(iter(self.accounts([account])), None)

    def accounts(self, ids: Collection[str] | None = None) -> list[AccountConfiguration]:
        """Return the own configurations of these accounts, or of all, by account."""
        query = select(account_configurations).order_by(account_configurations.c.account)
        with self._database.read() as connection:
            if ids is None:
                return [_account(row) for row in connection.execute(query).mappings()]
            column = account_configurations.c.account
            return [
                _account(row)
                for part in parts(sorted(ids))
                for row in connection.execute(query.where(column.in_(part))).mappings()
            ]

    def organization(self, organization: str) -> OrganizationConfiguration | None:
        """Return an organization's configuration; None if it has none."""
        found = (item for item in self.organizations() if item.id == organization)
        return next(found, None)

    def organizations(self) -> list[OrganizationConfiguration]:
        """Return all configured organizations, by id."""
        query = select(organization_configurations).order_by(organization_configurations.c.id)
        with self._database.read() as connection:
            return [_organization(row) for row in connection.execute(query).mappings()]

    def change(
        self,
        account: str,
        apply: Callable[[AccountConfiguration | None], AccountConfiguration | None],
    ) -> AccountConfiguration | None:
        """Set what `apply` returns for the present configuration; None leaves it as it is.

        Returns the configuration as it is after that. What `apply` raises changes nothing.
        """
        table = account_configurations
        query = select(table).where(table.c.account == account).with_for_update()
        with self._database.write() as connection:
            row = connection.execute(query).mappings().first()
            present = None if row is None else _account(row)
            wanted = apply(present)
            if wanted is None or wanted == present:
                return present
            wanted = replace(wanted, account=account, updated_at=self._clock())
            _put(connection, table, "account", asdict(wanted))
            return wanted

    def change_organization(
        self,
        organization: str,
        apply: Callable[[OrganizationConfiguration | None], OrganizationConfiguration],
    ) -> OrganizationConfiguration:
        """As `change`, for an organization."""
        table = organization_configurations
        query = select(table).where(table.c.id == organization).with_for_update()
        with self._database.write() as connection:
            row = connection.execute(query).mappings().first()
            wanted = apply(None if row is None else _organization(row))
            wanted = replace(wanted, id=organization, updated_at=self._clock())
            _put(connection, table, "id", asdict(wanted))
            return wanted

    def remove_organization(self, organization: str) -> bool:
        """Delete an organization's configuration; its members keep their own. False if unknown."""
        members = account_configurations
        with self._database.write() as connection:
            leave = update(members).where(members.c.organization == organization)
            connection.execute(leave.values(organization="", updated_at=self._clock()))
            table = organization_configurations
            gone = connection.execute(delete(table).where(table.c.id == organization))
            return bool(gone.rowcount)


def _put(connection: Connection, table: Table, key: str, values: dict[str, Any]) -> None:
    values["package_paths"] = json.dumps(values["package_paths"])
    adding = insert(connection, table)
    changed = {name: adding.excluded[name] for name in values if name != key}
    connection.execute(adding.on_conflict_do_update(index_elements=[key], set_=changed), values)


def _account(row: RowMapping) -> AccountConfiguration:
    where, mode = row["account"], row["mode"]
    try:
        converted = {
            "mode": None if mode is None else Ec2ScanMode(mode),
            "status": AccountStatus(row["status"]),
            "package_paths": _paths(row["package_paths"], where),
        }
    except ValueError as error:
        raise StoreError(f"not a stored configuration: {error}", where=where) from error
    return AccountConfiguration(**{**row, **converted})


def _organization(row: RowMapping) -> OrganizationConfiguration:
    paths = _paths(row["package_paths"], row["id"])
    return OrganizationConfiguration(**{**row, "package_paths": paths})


def _paths(text: str, where: str) -> tuple[str, ...]:
    try:
        return tuple(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"not a stored list of paths: {error}", where=where) from error
