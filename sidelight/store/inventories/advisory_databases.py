"""The advisory database of the findings, and the changes of a new one for the stored software.

Databases are numbered in the order of registration. For each name of its stored software, and each
vulnerability of it, the store keeps the digest in the newest database. So the next database is
compared without the older file, and only for software that is on some machine.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sqlalchemy import Connection, Row, bindparam, func, select, update

from sidelight.store.base.counters import increment
from sidelight.store.base.dialect import parts
from sidelight.store.base.schema import (
    advisory_databases,
    finding_details,
    package_names,
    properties,
    software,
    software_names,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select

    from sidelight.store.base.engine import Database


CLOCKS_DIFFER = timedelta(days=1)


class AdvisoryDigests(Protocol):
    """An advisory database as the store uses it: to compare it with the one before.

    The store does not match: `sidelight.fleet.evaluation` does.
    """

    @property
    def sha256(self) -> str:
        """The database's SHA-256; "" for one that cannot be registered."""

    @property
    def newest(self) -> str:
        """The latest change of any of its advisories, ISO 8601; "" if none has a date."""

    @property
    def ecosystems(self) -> frozenset[str]:
        """The ecosystems with advisories, on which a machine's completeness depends."""

    def package_digest(self, ecosystem: str, name: str) -> str:
        """Return a digest of a package's rows, equal for equal rows; "" for no rows."""

    def vulnerability_digest(self, vulnerability: str) -> str:
        """Return a digest of a vulnerability's facts, equal for equal facts."""


class Registration(NamedTuple):
    """A database when it became the newest. `newest` is the latest change of its advisories."""

    number: int
    sha256: str
    registered_at: datetime
    newest: str


class RegisteredAdvisories:
    """The databases that were registered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, limit: int = 20) -> list[Registration]:
        """Return the last registrations, the newest first."""
        columns = [advisory_databases.c[name] for name in Registration._fields]
        query = select(*columns).order_by(advisory_databases.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            return [Registration(*row) for row in connection.execute(query)]


def newest(connection: Connection) -> int:
    """Return the number of the newest database, 0 if none is registered."""
    return int(connection.execute(_newest()).scalar() or 0)


@cache
def _newest() -> Select[Any]:
    return select(func.max(advisory_databases.c.number))


def number_of(connection: Connection, sha256: str) -> int:
    """Return the number of a database's last registration, 0 for an unregistered one."""
    return int(connection.execute(_last_number_of(), {"digest": sha256}).scalar() or 0)


@cache
def _last_number_of() -> Select[Any]:
    is_it = advisory_databases.c.sha256 == bindparam("digest")
    return select(func.max(advisory_databases.c.number)).where(is_it)


def is_older(connection: Connection, advisories: AdvisoryDigests, now: datetime) -> bool:
    """Return whether the database is older than the newest registered one.

    A database that was the newest before is older. For a new one, the latest changes of the
    advisories are compared. If they are equal, or one has no date, it counts as newer: it may
    differ in EPSS, or in a feed without dates.
    """
    if number_of(connection, advisories.sha256):
        return number_of(connection, advisories.sha256) < newest(connection)
    query = select(advisory_databases.c.newest).order_by(advisory_databases.c.number.desc())
    newest_time = _moment(connection.execute(query.limit(1)).scalar() or "", now)
    own_time = _moment(advisories.newest, now)
    return newest_time is not None and own_time is not None and own_time < newest_time


def _moment(text: str, now: datetime) -> datetime | None:
    """Parse a feed's time; None also for a future one, which would be the newest for ever."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return None if moment > now + CLOCKS_DIFFER else moment


def register(
    connection: Connection, advisories: AdvisoryDigests, now: datetime, *, older: bool = True
) -> int:
    """Register it as the newest and mark changed software as stale; return its number.

    Registering the newest again changes nothing. 0 for an older database, unless `older` allows it.
    """
    increment(connection, "advisories")  # one at a time
    number = newest(connection)
    if number and number_of(connection, advisories.sha256) == number:
        return number
    if not older and is_older(connection, advisories, now):
        return 0
    values = {"sha256": advisories.sha256, "registered_at": now, "newest": advisories.newest}
    inserted = connection.execute(advisory_databases.insert().values(values))
    assert inserted.inserted_primary_key is not None  # noqa: S101 - an INSERT has one
    digest = hashlib.sha256("\0".join(sorted(advisories.ecosystems)).encode()).hexdigest()
    entry = {"name": _covering(inserted.inserted_primary_key[0]), "value": digest}
    connection.execute(properties.insert().values(entry))
    _compare_names(connection, advisories)
    _compare_facts(connection, advisories)
    return int(inserted.inserted_primary_key[0])


def covers_alike(connection: Connection, older: int, number: int) -> bool:
    """Return whether two databases cover the same ecosystems; False if that is unknown."""
    query = select(properties.c.value).where(
        properties.c.name.in_([_covering(older), _covering(number)])
    )
    digests = connection.execute(query).scalars().all()
    return older == number or (len(digests) == 2 and digests[0] == digests[1])


def _covering(number: int) -> str:
    """Return the name of the property with the digest of a database's ecosystems."""
    return f"ecosystems-{number}"


def _compare_names(connection: Connection, advisories: AdvisoryDigests) -> None:
    """Mark software as stale if a name's digest changed. Unmatched software has no digest yet."""
    changed = []
    for row in connection.execute(select(package_names)).all():
        digest = advisories.package_digest(row.ecosystem, row.name)
        if digest != row.digest:
            changed.append({"row": row.id, "new": digest})
    if not changed:
        return
    connection.execute(
        update(package_names)
        .where(package_names.c.id == bindparam("row"))
        .values(digest=bindparam("new")),
        changed,
    )
    for part in parts(changed):
        owners = select(software_names.c.software).where(
            software_names.c.name.in_([item["row"] for item in part])
        )
        connection.execute(update(software).where(software.c.id.in_(owners)).values(stale=True))


def _compare_facts(connection: Connection, advisories: AdvisoryDigests) -> None:
    query = (
        select(finding_details.c.vulnerability, finding_details.c.facts)
        .where(finding_details.c.current, finding_details.c.software > 0)
        .distinct()
    )
    changed = sorted(
        {
            row.vulnerability
            for row in connection.execute(query)
            if advisories.vulnerability_digest(row.vulnerability) != row.facts
        }
    )
    for part in parts(changed):
        owners = select(finding_details.c.software).where(
            finding_details.c.vulnerability.in_(part), finding_details.c.current
        )
        connection.execute(update(software).where(software.c.id.in_(owners)).values(stale=True))


def fill_names(connection: Connection, ids: Sequence[int], advisories: AdvisoryDigests) -> None:
    """Store digests for the names of software that was first matched, with the newest database."""
    rows: list[Row[object]] = []
    for part in parts(list(ids)):
        query = (
            select(package_names)
            .join(software_names, software_names.c.name == package_names.c.id)
            .where(software_names.c.software.in_(part), package_names.c.digest.is_(None))
            .distinct()
        )
        rows += connection.execute(query).all()
    if rows:
        connection.execute(
            update(package_names)
            .where(package_names.c.id == bindparam("row"), package_names.c.digest.is_(None))
            .values(digest=bindparam("new")),
            [
                {"row": row.id, "new": advisories.package_digest(row.ecosystem, row.name)}
                for row in sorted(rows, key=lambda row: row.id)
            ],
        )
