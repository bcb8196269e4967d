"""The versions, digests and times of the inventories that SSM's agents sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, and_, select

from sidelight.model import FindingStatus, SeenInventory
from sidelight.store.base.column_types import storable
from sidelight.store.base.dialect import insert, once
from sidelight.store.base.ordered_join import same_instance
from sidelight.store.base.schema import (
    agent_inventories,
    finding_details,
    findings,
    inventories,
    software,
)
from sidelight.store.inventories.package_sets import load_set

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.model import InstanceRef, Package
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

MOST_SETS: Final = 50  # sets of packages whose sources are looked at


class AgentInventories:
    """Inventories over SSM by account and Region."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def seen(self, account: str, region: str) -> dict[str, SeenInventory]:
        """Return the stored state by instance, of those whose present inventory is their agent's.

        An instance that was read by a snapshot since is not among them, so that its agent's
        inventory is evaluated again.
        """
        table = agent_inventories
        same = and_(same_instance(inventories, table), inventories.c.scan == "")
        query = (
            select(table)
            .join(inventories, same)
            .where(table.c.account == account, table.c.region == region)
        )
        with self._database.read() as connection:
            return {
                row.instance: SeenInventory(row.version, row.digest, row.captured_at)
                for row in connection.execute(query)
            }

    def note(self, place: InstanceRef, seen: SeenInventory) -> None:
        """Record that an instance's agent sent the same content again."""
        with self._database.write() as connection:
            note_seen(connection, place, seen, self._clock())

    def lacking(self, account: str, region: str, vulnerability: str) -> set[str]:
        """Return the instances with their agents' inventories and no such finding that is open.

        `vulnerability` is of an operating system, as the end of its support is.
        """
        present = select(inventories.c.instance).where(
            inventories.c.account == account,
            inventories.c.region == region,
            inventories.c.scan == "",
            inventories.c.retired_at.is_(None),
        )
        # By the few systems: details have an index on software and vulnerability.
        details = (
            select(finding_details.c.id)
            .join(software, software.c.id == finding_details.c.software)
            .where(software.c.dated, finding_details.c.vulnerability == storable(vulnerability))
        )
        found = select(findings.c.instance).where(
            findings.c.account == account,
            findings.c.region == region,
            findings.c.detail.in_(details),
            findings.c.status != FindingStatus.CLOSED.value,
        )
        with self._database.read() as connection:
            has_finding = set(connection.execute(found).scalars())
            return set(connection.execute(present).scalars()) - has_finding

    def packages_of_disks(self, os_id: str, version_id: str) -> list[Package]:
        """Return packages of machines of one release whose disks were read, the newest first.

        Of MOST_SETS sets of packages at most: machines of one image share a set.
        """
        query = (
            select(inventories.c.content)
            .where(inventories.c.scan != "")
            .group_by(inventories.c.content)
            .order_by(inventories.c.content.desc())
            .limit(MOST_SETS)
        )
        found: list[Package] = []
        with self._database.read() as connection:
            for content in connection.execute(query).scalars().all():
                known = load_set(connection, content)
                if (known.os.id, known.os.version_id) == (os_id, version_id):
                    found += known.packages
        return found


def note_seen(
    connection: Connection, place: InstanceRef, seen: SeenInventory, now: datetime
) -> None:
    """Record the state of an instance's inventory."""
    connection.execute(
        _noting(connection),
        {
            "account": place.account,
            "instance": place.instance,
            "region": place.region,
            "version": seen.version,
            "digest": seen.digest,
            "captured_at": seen.captured_at,
            "seen_at": now,
        },
    )


@once
def _noting(connection: Connection) -> Any:
    adding = insert(connection, agent_inventories)
    keys = ("account", "instance")
    changed = {c.name: adding.excluded[c.name] for c in agent_inventories.c if c.name not in keys}
    return adding.on_conflict_do_update(index_elements=keys, set_=changed)
