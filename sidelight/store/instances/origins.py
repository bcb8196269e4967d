"""The store's data on the scans of snapshots: the evidence for the ownership of a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, select

from sidelight.model import LIVE, TERMINAL, Instance, Origin, State
from sidelight.store.base import documents
from sidelight.store.base.dialect import parts
from sidelight.store.base.schema import instances, scans, snapshots

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row

    from sidelight.store.base.engine import Database


class Origins:
    """The scans, with the fields that prove the ownership of a snapshot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, scan_ids: Collection[str]) -> dict[str, Origin]:
        """Return the known scans among these, by id."""
        origins: dict[str, Origin] = {}
        query: Select[Any] = select(
            scans.c.id, scans.c.deployment, scans.c.account, scans.c.region, scans.c.instance,
            scans.c.state, scans.c.created_at, scans.c.finished_at, scans.c.volumes,
            instances.c.document,
        ).outerjoin(
            instances,
            (instances.c.account == scans.c.account) & (instances.c.instance == scans.c.instance),
        )  # fmt: skip
        with self._database.read() as connection:
            for part in parts(sorted(scan_ids)):
                snapshots_by_scan = _made(connection, part)
                for row in connection.execute(query.where(scans.c.id.in_(part))):
                    origins[row.id] = _origin(row, snapshots_by_scan.get(row.id, {}))
        return origins

    def undeleted(self, account: str, region: str) -> dict[str, str]:
        """Return the undeleted snapshots of ended scans of this account-region: id to scan.

        They are of scans that failed because they could not delete them.
        """
        query = (
            select(snapshots.c.id, snapshots.c.scan)
            .join(scans, scans.c.id == snapshots.c.scan)
            .where(
                snapshots.c.deleted_at.is_(None),
                scans.c.state.in_(TERMINAL),
                scans.c.account == account,
                scans.c.region == region,
            )
        )
        with self._database.read() as connection:
            return {row.id: row.scan for row in connection.execute(query)}


def _made(connection: Connection, scan_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """Return each scan's stored snapshots: volume ids by snapshot id."""
    query = select(snapshots.c.scan, snapshots.c.id, snapshots.c.volume)
    volumes: dict[str, dict[str, str]] = {}
    for row in connection.execute(query.where(snapshots.c.scan.in_(scan_ids))):
        volumes.setdefault(row.scan, {})[row.id] = row.volume
    return volumes


def _origin(row: Row[Any], volume_by_snapshot: dict[str, str]) -> Origin:
    return Origin(
        scan=row.id,
        deployment=row.deployment,
        account=row.account,
        region=row.region,
        instance=row.instance,
        live=State(row.state) in LIVE,
        created_at=row.created_at,
        finished_at=row.finished_at,
        snapshots=volume_by_snapshot,
        volumes=_volumes(row, volume_by_snapshot),
    )


def _volumes(row: Row[object], volume_by_snapshot: dict[str, str]) -> frozenset[str] | None:
    """Return the volumes that its snapshots may be of; None if the store does not know them.

    A volume attached between the discovery and CreateSnapshots is in the next discovery.
    """
    if row.volumes is None:
        return None
    asked = frozenset(row.volumes.split())
    if not asked and not volume_by_snapshot:
        return asked
    attached: set[str] = set()
    if row.document is not None:
        attached = {volume.id for volume in documents.load(Instance, row.document).volumes}
    return asked | frozenset(volume_by_snapshot.values()) | attached
