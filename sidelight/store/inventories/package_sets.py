"""The packages of inventories, each stored once.

They are stored by set, since machines of one image have the same packages, and individually, for
matching. `set_software` and `software_names` are the index from an advisory's names to instances.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, select, update

from sidelight.matching import MachineLookups
from sidelight.model import OperatingSystem, Package
from sidelight.store.base import documents
from sidelight.store.base.column_types import storable
from sidelight.store.base.counters import read_counter
from sidelight.store.base.dialect import adding_new, insert, once, parts
from sidelight.store.base.schema import (
    package_names,
    package_sets,
    set_software,
    software,
    software_names,
)
from sidelight.store.inventories.package_index import index_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Select

    from sidelight.model import Inventory

    _Names = frozenset[tuple[str, str]]

# A deletion of packages increments this counter; a transaction that relies on packages locks it.
PACKAGES = "packages"
# The age at which the time of use is renewed; a set unused for longer may be deleted.
USE_IS_NOTED = timedelta(days=1)
_NO_OS = OperatingSystem()


@dataclass(frozen=True, slots=True)
class PackageSet:
    """The common data of machines of one image. `dependencies` are as those of `Inventory`."""

    os: OperatingSystem
    packages: tuple[Package, ...]
    dependencies: tuple[tuple[int, ...] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Software:
    """One package, and the operating system that decides which advisories apply to it.

    Without a package it is the operating system itself, for its end of life.
    """

    os: OperatingSystem
    package: Package | None


def store_set(connection: Connection, inventory: Inventory, now: datetime) -> int:
    """Store an inventory's packages, unless they are stored already; return the set's id."""
    document = _document_of(inventory)
    digest = hashlib.sha256(document.encode()).hexdigest()
    known = connection.execute(_known_set(), {"of_digest": digest}).first()
    if known is not None and (now - known.used_at < USE_IS_NOTED or _used(connection, known, now)):
        return int(known.id)
    read_counter(connection, PACKAGES, share=True)
    values = {"digest": digest, "used_at": now, "document": documents.compress(document)}
    content = connection.execute(_storing(connection), values).scalar_one()
    ids = store_software(connection, inventory)
    if ids:  # no advisory covers anything of an unknown system
        connection.execute(
            adding_new(connection, set_software),
            [{"content": content, "software": software_id} for software_id in sorted(ids)],
        )
    index_set(connection, content, inventory.packages)
    return int(content)


@cache
def _known_set() -> Select[Any]:
    query = select(package_sets.c.id, package_sets.c.used_at)
    return query.where(package_sets.c.digest == bindparam("of_digest"))


@once
def _storing(connection: Connection) -> Any:
    adding = insert(connection, package_sets)
    return adding.on_conflict_do_update(
        index_elements=["digest"], set_={"used_at": adding.excluded.used_at}
    ).returning(package_sets.c.id)


@cache
def _document_of_set() -> Select[Any]:
    return select(package_sets.c.document).where(package_sets.c.id == bindparam("of_set"))


@cache
def _ids_by_identity() -> Select[Any]:
    is_one = software.c.identity.in_(bindparam("identities", expanding=True))
    return select(software.c.identity, software.c.id).where(is_one)


@cache
def _ids_by_name() -> Select[Any]:
    is_one = package_names.c.name.in_(bindparam("names", expanding=True))
    query = select(package_names.c.id, package_names.c.name)
    return query.where(package_names.c.ecosystem == bindparam("of_ecosystem"), is_one)


def _document_of(inventory: Inventory) -> str:
    """Return a PackageSet as JSON. One without dependencies is as it was before these were kept."""
    members: dict[str, object] = {"os": inventory.os, "packages": inventory.packages}
    if inventory.dependencies:
        members["dependencies"] = inventory.dependencies
    return documents.dump(members)


def _used(connection: Connection, known: object, now: datetime) -> bool:
    """Record the use of a set; False if it was deleted concurrently."""
    statement = update(package_sets).where(package_sets.c.id == known.id).values(used_at=now)  # type: ignore[attr-defined] # a row
    return connection.execute(statement).rowcount == 1


def load_set(connection: Connection, content: int) -> PackageSet:
    """Return a set's packages. Raises StoreError for a damaged document."""
    document = connection.execute(_document_of_set(), {"of_set": content}).scalar_one()
    return documents.unpack(PackageSet, document)


def store_software(connection: Connection, inventory: Inventory) -> set[int]:
    """Store each package that advisories may cover, and the system; return their ids."""
    # Imported late: its package reads and builds feeds, which most commands do not need.
    from sidelight.advisories import ecosystems

    candidates: dict[str, tuple[str, _Names]] = {}
    system = replace(inventory.os, pretty_name="")
    if inventory.os.id:
        _add(candidates, Software(inventory.os, None), frozenset())
    machine = MachineLookups(inventory.os)
    for package in inventory.packages:
        names = machine.names_of(package)
        if names:
            of_system = package.type in ecosystems.OS_TYPES
            _add(candidates, Software(system if of_system else _NO_OS, package), names)
    known = _ids(connection, candidates)
    new = sorted(candidates.keys() - known.keys())
    if new:
        connection.execute(
            adding_new(connection, software),
            [
                {
                    "identity": identity,
                    "document": candidates[identity][0],
                    "dated": not candidates[identity][1],
                    "stale": True,
                    "matched": 0,
                    "touched": 0,
                }
                for identity in new
            ],
        )
        new_ids = _ids(connection, new)
        _store_names(connection, [(new_ids[i], candidates[i][1]) for i in new])
        known |= new_ids
    return set(known.values())


def _add(candidates: dict[str, tuple[str, _Names]], item: Software, names: _Names) -> None:
    document = documents.dump(item)
    candidates[hashlib.sha256(document.encode()).hexdigest()] = (document, names)


def _ids(connection: Connection, identities: Iterable[str]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for part in parts(list(identities)):
        rows = connection.execute(_ids_by_identity(), {"identities": part})
        ids.update((row.identity, row.id) for row in rows)
    return ids


def _store_names(connection: Connection, owners: Sequence[tuple[int, _Names]]) -> None:
    """Store the index: the names under which advisories may refer to these packages."""
    names = sorted({name for _owner, some in owners for name in some})
    if not names:
        return
    connection.execute(
        adding_new(connection, package_names),
        [{"ecosystem": ecosystem, "name": name} for ecosystem, name in names],
    )
    ids: dict[tuple[str, str], int] = {}
    for ecosystem in sorted({ecosystem for ecosystem, _name in names}):
        of_one = [storable(name) for other, name in names if other == ecosystem]
        for part in parts(of_one):
            rows = connection.execute(_ids_by_name(), {"of_ecosystem": ecosystem, "names": part})
            ids.update(((ecosystem, row.name), row.id) for row in rows)
    connection.execute(
        adding_new(connection, software_names),
        [
            {"software": owner, "name": ids[ecosystem, storable(name)]}
            for owner, some in owners
            for ecosystem, name in sorted(some)
        ],
    )
