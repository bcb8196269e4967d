"""Which advisory database the findings are by, and what a new one changes for the software here.

Databases are numbered as they are registered. The store keeps, for each name by which its own
software is known and each vulnerability that it has, the digest in the newest: so the next one
is compared without the older file, and only with what is on some machine.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection, Row, bindparam, func, select, update

from sidelight.store.schema import (
    advisory_databases,
    finding_details,
    package_names,
    software,
    software_names,
)
from sidelight.store.statements import parts, raised

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from sidelight.model import Finding, Inventory, OperatingSystem


CLOCKS_DIFFER = timedelta(days=1)


class Advisories(Protocol):
    """An advisory database as the store uses it."""

    @property
    def sha256(self) -> str:
        """Which database this is; "" for one that cannot be registered."""

    @property
    def newest(self) -> str:
        """The latest change that any of its advisories tells, ISO 8601; "" where none tells."""

    def match(self, inventory: Inventory) -> Sequence[Finding]:
        """What it says of packages; each by itself, whatever others there are."""

    def discontinued(self, os: OperatingSystem, today: date) -> Sequence[Finding]:
        """That a system gets no updates any more, if it is so on that day."""

    def package_digest(self, ecosystem: str, name: str) -> str:
        """Equal in two databases that say the same of a package; "" where this says nothing."""

    def vulnerability_digest(self, vulnerability: str) -> str:
        """Equal in two databases that say the same of a vulnerability."""


def newest(connection: Connection) -> int:
    """The number of the newest database, 0 where none is registered."""
    query = select(func.max(advisory_databases.c.number))
    return int(connection.execute(query).scalar() or 0)


def number_of(connection: Connection, sha256: str) -> int:
    """The number under which a database was registered last, 0 for one that was not."""
    query = select(func.max(advisory_databases.c.number)).where(
        advisory_databases.c.sha256 == sha256
    )
    return int(connection.execute(query).scalar() or 0)


def is_older(connection: Connection, advisories: Advisories, now: datetime) -> bool:
    """Whether it comes before the newest.

    So does one that was the newest before; of one that was never seen, the latest change that its
    advisories tell says it. Where the two tell the same, or one tells nothing, it is taken for
    newer: it may differ in EPSS, or in a feed without dates.
    """
    if number_of(connection, advisories.sha256):
        return number_of(connection, advisories.sha256) < newest(connection)
    query = select(advisory_databases.c.newest).order_by(advisory_databases.c.number.desc())
    told = _moment(connection.execute(query.limit(1)).scalar() or "", now)
    ours = _moment(advisories.newest, now)
    return told is not None and ours is not None and ours < told


def _moment(text: str, now: datetime) -> datetime | None:
    """What a feed wrote; None also for one that lies ahead, which would be the newest for ever."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return None if moment > now + CLOCKS_DIFFER else moment


def register(
    connection: Connection, advisories: Advisories, now: datetime, *, older: bool = True
) -> int:
    """Make it the newest, and what it changes stale; its number. The newest stays what it is.

    0 where it would take the findings back, unless `older` allows that.
    """
    raised(connection, "advisories")  # one at a time
    number = newest(connection)
    if number and number_of(connection, advisories.sha256) == number:
        return number
    if not older and is_older(connection, advisories, now):
        return 0
    values = {"sha256": advisories.sha256, "registered_at": now, "newest": advisories.newest}
    made = connection.execute(advisory_databases.insert().values(values))
    assert made.inserted_primary_key is not None  # noqa: S101 - an INSERT has one
    _compare_names(connection, advisories)
    _compare_facts(connection, advisories)
    return int(made.inserted_primary_key[0])


def _compare_names(connection: Connection, advisories: Advisories) -> None:
    """Of a name without a digest nothing is known, as its software is not matched yet."""
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


def _compare_facts(connection: Connection, advisories: Advisories) -> None:
    query = (
        select(finding_details.c.vulnerability, finding_details.c.facts)
        .where(finding_details.c.current)
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


def fill_names(connection: Connection, ids: Sequence[int], advisories: Advisories) -> None:
    """Digests for names of software that was matched for the first time, with the newest."""
    rows: list[Row[Any]] = []
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
