"""The newest inventory of an instance, with where it is from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from sidelight.model import Inventory
from sidelight.store.base import documents
from sidelight.store.base.schema import inventories, package_sets
from sidelight.store.inventories.inventories import InventoryOrigin
from sidelight.store.inventories.package_sets import PackageSet

if TYPE_CHECKING:
    from sidelight.store.base.engine import Database


@dataclass(frozen=True, slots=True)
class TakenInventory:
    """An inventory and its origin."""

    origin: InventoryOrigin
    inventory: Inventory


class TakenInventories:
    """Inventories that are not retired, by account and instance."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, account: str, instance: str) -> TakenInventory | None:
        """Return an instance's inventory; None if it has none. Raises StoreError if damaged."""
        query = (
            select(inventories, package_sets.c.document.label("packages_document"))
            .join(package_sets, package_sets.c.id == inventories.c.content)
            .where(
                inventories.c.account == account,
                inventories.c.instance == instance,
                inventories.c.retired_at.is_(None),
            )
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        origin = InventoryOrigin(account, row.region, instance, row.scan, row.taken_at)
        software = documents.unpack(PackageSet, row.packages_document)
        inventory = documents.unpack(Inventory, row.document)
        whole = replace(inventory, packages=software.packages, dependencies=software.dependencies)
        return TakenInventory(origin, whole)
