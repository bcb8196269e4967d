"""The last read of each instance's disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from sidelight.model import DiskReading
from sidelight.store.base.dialect import insert, once, parts
from sidelight.store.base.schema import disk_readings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection


def read_disk_readings(
    connection: Connection, account: str, ids: Iterable[str]
) -> dict[str, DiskReading]:
    """Return the last read of the disks of these instances, by id."""
    found: dict[str, DiskReading] = {}
    for part in parts(sorted(ids)):
        query = select(disk_readings).where(
            disk_readings.c.account == account, disk_readings.c.instance.in_(part)
        )
        for row in connection.execute(query).mappings():
            values = {**row, "volumes": frozenset(row["volumes"].split())}
            found[row["instance"]] = DiskReading(**values)
    return found


def write_disk_reading(connection: Connection, reading: DiskReading) -> None:
    """Insert or replace the record of an instance."""
    values = {
        "account": reading.account,
        "instance": reading.instance,
        "volumes": " ".join(sorted(reading.volumes)),
        "read_at": reading.read_at,
        "data_at": reading.data_at,
        "reader": reading.reader,
    }
    connection.execute(_writing(connection), values)


def replace_disk_reading(
    connection: Connection, account: str, instance: str, now: datetime
) -> None:
    """Note that the stored inventory is not of the disks any more: the agent sent another."""
    row = disk_readings.c.account == account, disk_readings.c.instance == instance
    connection.execute(update(disk_readings).where(*row).values(reader="", data_at=now))


@once
def _writing(connection: Connection) -> Any:
    adding = insert(connection, disk_readings)
    names = ("volumes", "read_at", "data_at", "reader")
    return adding.on_conflict_do_update(
        index_elements=["account", "instance"],
        set_={name: adding.excluded[name] for name in names},
    )
