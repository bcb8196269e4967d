"""The packages of inventories, each kept once.

By set, as machines of one image have the same; and by itself, as advisories are asked about it.
`set_software` and `software_names` are the index from what an advisory names to the instances.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from sidelight.advisories import ecosystems
from sidelight.matching import asked
from sidelight.model import OperatingSystem, Package
from sidelight.store import codec
from sidelight.store.columns import storable
from sidelight.store.schema import (
    package_names,
    package_sets,
    set_software,
    software,
    software_names,
)
from sidelight.store.statements import insert, parts, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sidelight.model import Inventory

    _Names = frozenset[tuple[str, str]]

# The counter that whoever deletes packages raises, and whoever relies on one holds.
PACKAGES = "packages"
# How old a mark of use gets before it is renewed; what is unused for longer may be deleted.
USE_IS_NOTED = timedelta(days=1)
_NO_OS = OperatingSystem()


@dataclass(frozen=True, slots=True)
class PackageSet:
    """What machines of one image have in common."""

    os: OperatingSystem
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class Software:
    """One package, and the system that decides whose advisories speak of it.

    Without a package it is the system itself, which comes to its end one day.
    """

    os: OperatingSystem
    package: Package | None


def store_set(connection: Connection, inventory: Inventory, now: datetime) -> int:
    """Keep an inventory's packages, unless they are kept already; the set's id."""
    document = codec.dump(PackageSet(inventory.os, inventory.packages))
    digest = hashlib.sha256(document.encode()).hexdigest()
    query = select(package_sets.c.id, package_sets.c.used_at).where(package_sets.c.digest == digest)
    known = connection.execute(query).first()
    if known is not None and (now - known.used_at < USE_IS_NOTED or _used(connection, known, now)):
        return int(known.id)
    value(connection, PACKAGES, share=True)
    statement = insert(connection, package_sets).on_conflict_do_update(
        index_elements=["digest"], set_={"used_at": now}
    )
    values = {"digest": digest, "used_at": now, "document": codec.compress(document)}
    content = connection.execute(statement.returning(package_sets.c.id), values).scalar_one()
    ids = store_software(connection, inventory)
    connection.execute(
        insert(connection, set_software).on_conflict_do_nothing(),
        [{"content": content, "software": one} for one in sorted(ids)],
    )
    return int(content)


def _used(connection: Connection, known: object, now: datetime) -> bool:
    """Note the use; False where the set was deleted meanwhile."""
    statement = update(package_sets).where(package_sets.c.id == known.id).values(used_at=now)  # type: ignore[attr-defined] # a row
    return connection.execute(statement).rowcount == 1


def load_set(connection: Connection, content: int) -> PackageSet:
    """A set's packages. Raises StoreError for a damaged document."""
    query = select(package_sets.c.document).where(package_sets.c.id == content)
    return codec.unpack(PackageSet, connection.execute(query).scalar_one())


def store_software(connection: Connection, inventory: Inventory) -> set[int]:
    """Keep each package of which an advisory may speak, and the system; their ids."""
    found: dict[str, tuple[str, _Names]] = {}
    system = replace(inventory.os, pretty_name="")
    if inventory.os.id:
        _add(found, Software(inventory.os, None), frozenset())
    for package in inventory.packages:
        names = asked(package, inventory.os)
        if names:
            of_system = package.type in ecosystems.OS_TYPES
            _add(found, Software(system if of_system else _NO_OS, package), names)
    known = _ids(connection, found)
    new = sorted(found.keys() - known.keys())
    if new:
        connection.execute(
            insert(connection, software).on_conflict_do_nothing(),
            [
                {
                    "identity": identity,
                    "document": found[identity][0],
                    "dated": not found[identity][1],
                    "stale": True,
                    "matched": 0,
                    "touched": 0,
                }
                for identity in new
            ],
        )
        made = _ids(connection, new)
        _store_names(connection, [(made[i], found[i][1]) for i in new])
        known |= made
    return set(known.values())


def _add(found: dict[str, tuple[str, _Names]], one: Software, names: _Names) -> None:
    document = codec.dump(one)
    found[hashlib.sha256(document.encode()).hexdigest()] = (document, names)


def _ids(connection: Connection, identities: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts(list(identities)):
        query = select(software.c.identity, software.c.id).where(software.c.identity.in_(part))
        found.update((row.identity, row.id) for row in connection.execute(query))
    return found


def _store_names(connection: Connection, owners: Sequence[tuple[int, _Names]]) -> None:
    """The index: under which names advisories would speak of these."""
    names = sorted({name for _owner, some in owners for name in some})
    if not names:
        return
    connection.execute(
        insert(connection, package_names).on_conflict_do_nothing(),
        [{"ecosystem": ecosystem, "name": name} for ecosystem, name in names],
    )
    ids: dict[tuple[str, str], int] = {}
    for ecosystem in sorted({ecosystem for ecosystem, _name in names}):
        of_one = [storable(name) for other, name in names if other == ecosystem]
        for part in parts(of_one):
            query = select(package_names.c.id, package_names.c.name).where(
                package_names.c.ecosystem == ecosystem, package_names.c.name.in_(part)
            )
            ids.update(((ecosystem, row.name), row.id) for row in connection.execute(query))
    connection.execute(
        insert(connection, software_names).on_conflict_do_nothing(),
        [
            {"software": owner, "name": ids[ecosystem, storable(name)]}
            for owner, some in owners
            for ecosystem, name in sorted(some)
        ],
    )
