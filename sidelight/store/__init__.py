"""The fleet's store, the only SQL: scans, snapshots, inventories, findings, coverage, costs."""

from sidelight.store.rows import (
    LIVE,
    TERMINAL,
    Cost,
    CostSum,
    Coverage,
    Event,
    FindingChanges,
    FindingRow,
    FindingStatus,
    Known,
    Scan,
    Snapshot,
    State,
    Sweeping,
)
from sidelight.store.store import Store

__all__ = [
    "LIVE",
    "TERMINAL",
    "Cost",
    "CostSum",
    "Coverage",
    "Event",
    "FindingChanges",
    "FindingRow",
    "FindingStatus",
    "Known",
    "Scan",
    "Snapshot",
    "State",
    "Store",
    "Sweeping",
]
