"""The fleet's store, the only SQL: scans, snapshots, inventories, findings, coverage, costs."""

from sidelight.store.databases import Advisories
from sidelight.store.rows import (
    LIVE,
    TERMINAL,
    Cost,
    CostSum,
    Coverage,
    Event,
    FindingChanges,
    FindingEvent,
    FindingRow,
    FindingStatus,
    Known,
    Place,
    Reevaluated,
    Scan,
    Snapshot,
    State,
    SuppressionRule,
    Sweeping,
)
from sidelight.store.store import Store

__all__ = [
    "LIVE",
    "TERMINAL",
    "Advisories",
    "Cost",
    "CostSum",
    "Coverage",
    "Event",
    "FindingChanges",
    "FindingEvent",
    "FindingRow",
    "FindingStatus",
    "Known",
    "Place",
    "Reevaluated",
    "Scan",
    "Snapshot",
    "State",
    "Store",
    "SuppressionRule",
    "Sweeping",
]
