"""The rows of discovered instances: written where they changed, and marked as gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from sidelight.store.base import documents
from sidelight.store.base.schema import instances
from sidelight.store.instances.coverage_rows import upsert
from sidelight.store.instances.instance_terms import write_instance_terms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sidelight.model import Instance


def mark_gone(connection: Connection, account: str, gone: Sequence[str], now: datetime) -> None:
    """Write that the last discovery did not find these instances."""
    for instance_id in gone:
        connection.execute(
            update(instances)
            .where(instances.c.account == account, instances.c.instance == instance_id)
            .values(gone_at=now)
        )


def write_changed(
    connection: Connection, account: str, found: Sequence[Instance], now: datetime
) -> None:
    """Write new and changed instances; of unchanged ones write only the time they were seen."""
    here = instances.c.account == account
    rows = [_row(instance, now) for instance in found]
    ids = [row["instance"] for row in rows]
    query = select(instances.c.instance, instances.c.document, instances.c.region)
    stored = {
        row.instance: (row.document, row.region)
        for row in connection.execute(
            query.where(here, instances.c.instance.in_(ids), instances.c.gone_at.is_(None))
        )
    }
    changed, same = [], []
    for row in rows:
        if stored.get(row["instance"]) == (row["document"], row["region"]):
            same.append(row["instance"])
        else:
            changed.append(row)
    if changed:
        upsert(connection, instances, ("account", "instance"), changed)
        new_ids = {row["instance"] for row in changed}
        write_instance_terms(connection, account, [item for item in found if item.id in new_ids])
    if same:
        seen = update(instances).where(here, instances.c.instance.in_(same))
        connection.execute(seen.values(seen_at=now))


def _row(instance: Instance, now: datetime) -> dict[str, object]:
    return {
        "account": instance.account,
        "instance": instance.id,
        "region": instance.region,
        "state": instance.state,
        "document": documents.dump(instance),
        "seen_at": now,
        "gone_at": None,
    }
