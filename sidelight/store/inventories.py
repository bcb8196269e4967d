"""What was found on machines: one row an instance, its packages shared with others of its kind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, select, update

from sidelight.errors import StoreError
from sidelight.model import Inventory
from sidelight.store import codec
from sidelight.store.schema import instances, inventories
from sidelight.store.software import load_set, store_set
from sidelight.store.statements import insert, once

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.store.rows import Scan


def store_inventory(
    connection: Connection, scan: Scan, inventory: Inventory, now: datetime
) -> None:
    """Replace an instance's inventory; its findings are by no database yet."""
    values = {
        "account": scan.account,
        "instance": scan.instance,
        "region": scan.region,
        "scan": scan.id,
        "status": inventory.status.value,
        "packages": len(inventory.packages),
        "taken_at": scan.created_at,
        "evaluated_at": None,
        "retired_at": None,
        "content": store_set(connection, inventory, now),
        "advisories": 0,
        "document": codec.pack(replace(inventory, packages=())),
    }
    connection.execute(_storing(connection), values)


@once
def _storing(connection: Connection) -> Any:
    adding = insert(connection, inventories)
    keys = ("account", "instance")
    changed = {c.name: adding.excluded[c.name] for c in inventories.c if c.name not in keys}
    return adding.on_conflict_do_update(index_elements=keys, set_=changed)


def load_inventory(connection: Connection, account: str, instance: str) -> Inventory:
    """The newest inventory of an instance. Raises StoreError where there is none."""
    query = select(inventories.c.document, inventories.c.content).where(
        inventories.c.account == account, inventories.c.instance == instance
    )
    row = connection.execute(query).first()
    if row is None:
        raise StoreError("has no inventory yet", where=instance)
    inventory = codec.unpack(Inventory, row.document)
    return replace(inventory, packages=load_set(connection, row.content).packages)


def hold(connection: Connection, account: str, instance: str) -> Row[Any] | None:
    """Lock an instance's inventory: who changes its findings does so first."""
    query = select(inventories).where(
        inventories.c.account == account, inventories.c.instance == instance
    )
    return connection.execute(query.with_for_update()).first()


def is_gone(connection: Connection, account: str, instance: str) -> bool:
    """Whether discovery has missed the instance."""
    query = select(instances.c.gone_at).where(
        instances.c.account == account, instances.c.instance == instance
    )
    return connection.execute(query).scalar() is not None


def note_evaluated(
    connection: Connection, account: str, instance: str, number: int, now: datetime
) -> None:
    """Its findings are by the database of this number now."""
    connection.execute(
        update(inventories)
        .where(inventories.c.account == account, inventories.c.instance == instance)
        .values(evaluated_at=now, advisories=number)
    )
