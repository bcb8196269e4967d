"""The index from packages' names and versions to package sets: written with a set, or afterwards.

Names and versions are found by a digest, since a hostile name may be too long for an index.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, exists, select, update

from sidelight.store.base.column_types import storable
from sidelight.store.base.dialect import adding_new, parts
from sidelight.store.base.schema import (
    installed_names,
    installed_versions,
    package_sets,
    set_versions,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Select, Table, Update

    from sidelight.model import Package

FOLDED: Final = 200  # characters of a name that a search compares: an index entry has 2,700 bytes


def folded(name: str) -> str:
    """Return a name as searches compare it: its first characters, in lower case."""
    return storable(name.lower())[:FOLDED]


def index_set(connection: Connection, content: int, packages: Iterable[Package]) -> None:
    """Store which versions of which packages a set has. The set must not be deleted meanwhile."""
    names: dict[str, dict[str, object]] = {}
    versions: dict[str, tuple[str, str]] = {}  # digest -> digest of the name, version
    for package in packages:
        kind = package.type[:32]
        of_name = _digest(kind, package.name)
        names[of_name] = {
            "type": kind,
            "digest": of_name,
            "name": package.name,
            "folded": folded(package.name),
        }
        versions[_digest(of_name, package.version)] = (of_name, package.version)
    name_ids = _ids(connection, installed_names, names)
    version_ids = _ids(
        connection,
        installed_versions,
        {
            digest: {"name": name_ids[of_name], "digest": digest, "version": version}
            for digest, (of_name, version) in versions.items()
            if of_name in name_ids
        },
    )
    rows = [{"version": number, "content": content} for number in sorted(version_ids.values())]
    for part in parts(rows):
        connection.execute(adding_new(connection, set_versions), part)
    connection.execute(_indexed(), {"of_set": content})


def _ids(
    connection: Connection, table: Table, rows: Mapping[str, dict[str, object]]
) -> dict[str, int]:
    """Insert the rows that are not there; return the ids of all by digest."""
    known = _known(connection, table, rows)
    # In one order, so that two transactions that store the same names do not wait for each other.
    new = [rows[digest] for digest in sorted(rows.keys() - known.keys())]
    for part in parts(new):
        connection.execute(adding_new(connection, table), part)
    return known | _known(connection, table, sorted(rows.keys() - known.keys()))


def _known(connection: Connection, table: Table, digests: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts(list(digests)):
        rows = connection.execute(_ids_by_digest(table), {"digests": part})
        found.update((row.digest, row.id) for row in rows)
    return found


@cache
def _ids_by_digest(table: Table) -> Select[Any]:
    is_one = table.c.digest.in_(bindparam("digests", expanding=True))
    return select(table.c.digest, table.c.id).where(is_one)


@cache
def _indexed() -> Update:
    is_it = package_sets.c.id == bindparam("of_set")
    return update(package_sets).where(is_it).values(indexed=True)


def _digest(*texts: str) -> str:
    joined = "\0".join(texts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()


def remove_sets(connection: Connection, contents: Sequence[int]) -> None:
    """Remove deleted sets, and the versions and names that no other set has."""
    query = select(set_versions.c.version).where(set_versions.c.content.in_(contents)).distinct()
    versions = list(connection.execute(query).scalars())
    connection.execute(delete(set_versions).where(set_versions.c.content.in_(contents)))
    names: set[int] = set()
    for part in parts(versions):
        unused = installed_versions.c.id.in_(part) & ~exists().where(
            set_versions.c.version == installed_versions.c.id
        )
        gone = delete(installed_versions).where(unused).returning(installed_versions.c.name)
        names.update(connection.execute(gone).scalars())
    for part in parts(sorted(names)):
        unused = installed_names.c.id.in_(part) & ~exists().where(
            installed_versions.c.name == installed_names.c.id
        )
        connection.execute(delete(installed_names).where(unused))
