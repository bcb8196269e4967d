"""The scans of one instance, with their stages: what a person reads of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from sidelight.store.base.schema import scans, stage_times
from sidelight.store.scans.transitions import SCAN_COLUMNS, scan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sidelight.model import Scan
    from sidelight.store.base.engine import Database


@dataclass(frozen=True, slots=True)
class ScanStage:
    """One stage of a scan: its runs, and seconds from being due to the end, running, and paced."""

    stage: str
    runs: int
    took: float
    ran: float
    paced: float
    ended_at: datetime


class ScanHistory:
    """Reads the scans of an instance."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, account: str, instance: str, most: int) -> list[Scan]:
        """Return an instance's last scans, the newest first."""
        query = (
            select(*SCAN_COLUMNS)
            .where(scans.c.account == account, scans.c.instance == instance)
            .order_by(scans.c.created_at.desc())
            .limit(most)
        )
        with self._database.read() as connection:
            return [scan_of(row) for row in connection.execute(query).mappings()]

    def stages(self, ids: Sequence[str]) -> dict[str, list[ScanStage]]:
        """Return the stages of these scans, in the order of their ends."""
        table = stage_times
        columns = [table.c[name] for name in ScanStage.__dataclass_fields__]
        query = select(table.c.scan, *columns).where(table.c.scan.in_(ids))
        found: dict[str, list[ScanStage]] = {number: [] for number in ids}
        with self._database.read() as connection:
            for row in connection.execute(query.order_by(table.c.ended_at)):
                found[row.scan].append(ScanStage(*row[1:]))
        return found
