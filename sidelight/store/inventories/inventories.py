"""Inventories of machines: one row per instance; machines of one image share their packages."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from sidelight.errors import StoreError
from sidelight.model import Inventory, platform_name
from sidelight.store.base import documents
from sidelight.store.base.dialect import insert, once
from sidelight.store.base.ordered_join import is_instance
from sidelight.store.base.schema import instance_platforms, inventories
from sidelight.store.inventories.package_sets import load_set, store_set

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select, Update

    from sidelight.model import Scan


class InventoryOrigin(NamedTuple):
    """The instance of an inventory, and where it is from: a scan's id, or "" for its agent."""

    account: str
    region: str
    instance: str
    scan: str
    taken_at: datetime


def of_scan(scan: Scan) -> InventoryOrigin:
    """Return the origin of an inventory that a scan read."""
    return InventoryOrigin(scan.account, scan.region, scan.instance, scan.id, scan.created_at)


def store_inventory(
    connection: Connection, origin: InventoryOrigin, inventory: Inventory, now: datetime
) -> None:
    """Replace an instance's inventory, which is not evaluated with any database yet."""
    values = {
        "account": origin.account,
        "instance": origin.instance,
        "region": origin.region,
        "scan": origin.scan,
        "status": inventory.status.value,
        "packages": len(inventory.packages),
        "taken_at": origin.taken_at,
        "evaluated_at": None,
        "retired_at": None,
        "content": store_set(connection, inventory, now),
        "advisories": 0,
        "document": documents.pack(replace(inventory, packages=(), dependencies=())),
    }
    connection.execute(_storing(connection), values)
    platform = {
        "account": origin.account,
        "instance": origin.instance,
        "platform": platform_name(inventory.os),
    }
    connection.execute(_naming(connection), platform)


@once
def _storing(connection: Connection) -> Any:
    adding = insert(connection, inventories)
    keys = ("account", "instance")
    # Findings are still those of the inventory before, until this one is evaluated.
    kept = (*keys, "observed_at")
    changed = {c.name: adding.excluded[c.name] for c in inventories.c if c.name not in kept}
    return adding.on_conflict_do_update(index_elements=keys, set_=changed)


@once
def _naming(connection: Connection) -> Any:
    adding = insert(connection, instance_platforms)
    changed = {"platform": adding.excluded.platform}
    return adding.on_conflict_do_update(index_elements=("account", "instance"), set_=changed)


def load_inventory(connection: Connection, account: str, instance: str) -> Inventory:
    """Return the newest inventory of an instance. Raises StoreError if it has none."""
    key = {"of_account": account, "of_instance": instance}
    row = connection.execute(_stored(), key).first()
    if row is None:
        raise StoreError("has no inventory yet", where=instance)
    inventory = documents.unpack(Inventory, row.document)
    software = load_set(connection, row.content)
    return replace(inventory, packages=software.packages, dependencies=software.dependencies)


def hold(connection: Connection, account: str, instance: str) -> Row[object] | None:
    """Lock an instance's inventory, as every change of its findings must do first."""
    key = {"of_account": account, "of_instance": instance}
    return connection.execute(_locking(), key).first()


@cache
def _stored() -> Select[Any]:
    return select(inventories.c.document, inventories.c.content).where(is_instance(inventories))


@cache
def _locking() -> Select[Any]:
    return select(inventories).where(is_instance(inventories)).with_for_update()


def note_evaluated(
    connection: Connection, account: str, instance: str, number: int, now: datetime
) -> None:
    """Record that an instance's new inventory is evaluated with the database of this number."""
    key = {"of_account": account, "of_instance": instance}
    values = {"evaluated_at": now, "observed_at": now, "advisories": number}
    connection.execute(_changing(), key | values)


@cache
def _changing() -> Update:
    return update(inventories).where(is_instance(inventories))
