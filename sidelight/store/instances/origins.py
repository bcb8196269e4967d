"""The store's data on the scans of snapshots: the evidence for the ownership of a snapshot."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, select

from sidelight.model import LIVE, TERMINAL, Instance, Origin, State
from sidelight.store.base import documents
from sidelight.store.base.dialect import parts
from sidelight.store.base.ordered_join import ordered_join, same_instance
from sidelight.store.base.schema import instances, scans, snapshots

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from sidelight.store.base.engine import Database


class Origins:
    """The scans, with the fields that prove the ownership of a snapshot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, scan_ids: Collection[str]) -> dict[str, Origin]:
        """Return the known scans among these, by id."""
        origins: dict[str, Origin] = {}
        with self._database.read() as connection:
            for part in parts(sorted(scan_ids)):
                snapshots_by_scan = _stored_volumes(connection, part)
                for row in connection.execute(_stored_scans(), {"ids": part}):
                    scan = _StoredScan._make(row)
                    origins[scan.id] = _origin(scan, snapshots_by_scan.get(scan.id, {}))
        return origins

    def undeleted(self, account: str, region: str) -> dict[str, str]:
        """Return the undeleted snapshots of ended scans of this account-region: id to scan.

        They are of scans that failed because they could not delete them.
        """
        query = (
            select(snapshots.c.id, snapshots.c.scan)
            .select_from(ordered_join(snapshots, scans, scans.c.id == snapshots.c.scan))
            .where(
                snapshots.c.deleted_at.is_(None),
                scans.c.state.in_(TERMINAL),
                scans.c.account == account,
                scans.c.region == region,
            )
        )
        with self._database.read() as connection:
            return {row.id: row.scan for row in connection.execute(query)}


def _stored_volumes(connection: Connection, scan_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """Return each scan's stored snapshots: volume ids by snapshot id."""
    volumes: dict[str, dict[str, str]] = {}
    for row in connection.execute(_snapshots_of(), {"ids": list(scan_ids)}):
        volumes.setdefault(row.scan, {})[row.id] = row.volume
    return volumes


@cache
def _snapshots_of() -> Select[Any]:
    query = select(snapshots.c.scan, snapshots.c.id, snapshots.c.volume)
    return query.where(snapshots.c.scan.in_(bindparam("ids", expanding=True)))


@cache
def _stored_scans() -> Select[Any]:
    columns = (scans.c[name] for name in _StoredScan._fields[:-1])
    query = select(*columns, instances.c.document)
    query = query.outerjoin(instances, same_instance(instances, scans))
    return query.where(scans.c.id.in_(bindparam("ids", expanding=True)))


class _StoredScan(NamedTuple):
    """A scan's row, and the document of its instance if the instance is known.

    `volumes` has ids with spaces between; None for a scan that was stored without them.
    """

    id: str
    deployment: str
    account: str
    region: str
    instance: str
    state: str
    created_at: datetime
    finished_at: datetime | None
    volumes: str | None
    document: str | None


def _origin(scan: _StoredScan, volume_by_snapshot: dict[str, str]) -> Origin:
    return Origin(
        scan=scan.id,
        deployment=scan.deployment,
        account=scan.account,
        region=scan.region,
        instance=scan.instance,
        live=State(scan.state) in LIVE,
        created_at=scan.created_at,
        finished_at=scan.finished_at,
        snapshots=volume_by_snapshot,
        volumes=_volumes(scan, volume_by_snapshot),
    )


def _volumes(scan: _StoredScan, volume_by_snapshot: dict[str, str]) -> frozenset[str] | None:
    """Return the volumes that its snapshots may be of; None if the store does not know them.

    A volume attached between the discovery and CreateSnapshots is in the next discovery.
    """
    if scan.volumes is None:
        return None
    requested = frozenset(scan.volumes.split())
    if not requested and not volume_by_snapshot:
        return requested
    attached: set[str] = set()
    if scan.document is not None:
        attached = {volume.id for volume in documents.load(Instance, scan.document).volumes}
    return requested | frozenset(volume_by_snapshot.values()) | attached
