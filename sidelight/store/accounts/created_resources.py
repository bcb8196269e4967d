"""The resources that Sidelight creates in accounts, recorded before they are created.

So that disabling removes it, also where the settings that let Sidelight create it have changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from sidelight.model import CreatedResource, ResourceKind
from sidelight.store.base.dialect import insert
from sidelight.store.base.schema import created_resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database


class CreatedResources:
    """The record by account, Region, kind and name."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(self, resource: CreatedResource) -> None:
        """Record that this is about to be created; twice is as good as once."""
        row = {
            "account": resource.account,
            "region": resource.region,
            "kind": resource.kind.value,
            "name": resource.name,
            "recorded_at": self._clock(),
        }
        with self._database.write() as connection:
            adding = insert(connection, created_resources).values(**row)
            connection.execute(adding.on_conflict_do_nothing())

    def accounts(self) -> set[str]:
        """Return the accounts in which something is recorded."""
        with self._database.read() as connection:
            return set(connection.execute(select(created_resources.c.account).distinct()).scalars())

    def of(self, account: str) -> list[CreatedResource]:
        """Return an account's recorded resources, by Region, kind and name."""
        table = created_resources
        query = (
            select(table.c.account, table.c.region, table.c.kind, table.c.name)
            .where(table.c.account == account)
            .order_by(table.c.region, table.c.kind, table.c.name)
        )
        with self._database.read() as connection:
            return [
                CreatedResource(row.account, row.region, ResourceKind(row.kind), row.name)
                for row in connection.execute(query)
            ]

    def forget(self, resources: Sequence[CreatedResource]) -> None:
        """Delete the record of resources that are removed."""
        table = created_resources
        with self._database.write() as connection:
            for one in resources:
                connection.execute(
                    delete(table).where(
                        table.c.account == one.account,
                        table.c.region == one.region,
                        table.c.kind == one.kind.value,
                        table.c.name == one.name,
                    )
                )
