"""Discovered instances with the times of their last scan and attempt, and their coverage."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Label, Select, bindparam, select

from sidelight.model import Instance, Known, ScanType, State
from sidelight.store.base import documents
from sidelight.store.base.dialect import PART
from sidelight.store.base.ordered_join import is_in_region, same_instance
from sidelight.store.base.schema import LIVE_SCAN, coverage, instances, scans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_COVERS = same_instance(coverage, instances) & (coverage.c.scan_type == ScanType.PACKAGE.value)


class _History(NamedTuple):
    """The columns of `_columns`: the last DONE scan, the last created and the live one."""

    scanned_at: datetime | None
    tried_at: datetime | None
    live_scan: str | None
    status_code: str | None
    reason: str | None
    scan_mode: str | None

    def known(
        self, instance: Instance, seen_at: datetime, gone_at: datetime | None = None
    ) -> Known:
        """Return the instance with this history."""
        covered = None
        if self.status_code is not None and self.reason is not None and self.scan_mode is not None:
            covered = (self.status_code, self.reason, self.scan_mode)
        return Known(
            instance,
            seen_at,
            gone_at,
            self.scanned_at,
            self.tried_at,
            self.live_scan or "",
            covered,
        )


_NOTHING = _History(None, None, None, None, None, None)


def with_history(
    connection: Connection, account: str, region: str, found: Sequence[Instance], now: datetime
) -> list[Known]:
    """Return a discovery's instances with their history; no document is read.

    Those that a later discovery did not find are left out.
    """
    is_part = len(found) <= PART
    values: dict[str, object] = {"in_account": account, "in_region": region}
    if is_part:
        values["ids"] = [item.id for item in found]
    history: dict[str, _History] = {}
    gone: set[str] = set()
    for instance_id, gone_at, *columns in connection.execute(_history_query(is_part), values):
        history[instance_id] = _History._make(columns)
        if gone_at is not None:
            gone.add(instance_id)
    return [
        history.get(instance.id, _NOTHING).known(instance, now)
        for instance in found
        if instance.id not in gone
    ]


@cache
def _history_query(is_part: bool) -> Select[Any]:
    """Select a region's instances with their history, or a part of them by `ids`.

    Built once: the dispatcher runs it at every tick, and building takes longer than running it.
    """
    query = (
        select(instances.c.instance, instances.c.gone_at, *_columns())
        .outerjoin(coverage, _COVERS)
        .where(is_in_region(instances))
    )
    if is_part:
        query = query.where(instances.c.instance.in_(bindparam("ids", expanding=True)))
    return query


def stored_with_history(connection: Connection, account: str, region: str) -> list[Known]:
    """Return the stored instances that are not gone; an empty account or region means all."""
    query = (
        select(instances.c.document, instances.c.seen_at, instances.c.gone_at, *_columns())
        .outerjoin(coverage, _COVERS)
        .where(instances.c.gone_at.is_(None))
        .order_by(instances.c.account, instances.c.region, instances.c.instance)
    )
    if account:
        query = query.where(instances.c.account == account)
    if region:
        query = query.where(instances.c.region == region)
    return [
        _History._make(columns).known(documents.load(Instance, document), seen_at, gone_at)
        for document, seen_at, gone_at, *columns in connection.execute(query)
    ]


def _columns() -> list[Label[object]]:
    """Select the columns of _History for each instance.

    Only the newest scans are read, so the time does not depend on the number of scans.
    """
    of_it = same_instance(scans, instances)
    newest = scans.c.created_at.desc()
    done = select(scans.c.finished_at).where(of_it, scans.c.state == State.DONE.value)
    tried = select(scans.c.created_at).where(of_it)
    live = select(scans.c.id).where(of_it, LIVE_SCAN)
    times = [
        query.order_by(newest).limit(1).scalar_subquery().label(name)
        for query, name in ((done, "scanned_at"), (tried, "tried_at"), (live, "live_scan"))
    ]
    return [*times, *(coverage.c[name].label(name) for name in _History._fields[3:])]
