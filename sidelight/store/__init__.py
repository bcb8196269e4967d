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
    Keeper,
    Known,
    Place,
    Reevaluated,
    Scan,
    Snapshot,
    State,
    SuppressionRule,
    Sweeping,
)
from sidelight.store.stages import STAGE_OF, Spread, StageTimes, Turn
from sidelight.store.store import Store

__all__ = [
    "LIVE",
    "STAGE_OF",
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
    "Keeper",
    "Known",
    "Place",
    "Reevaluated",
    "Scan",
    "Snapshot",
    "Spread",
    "StageTimes",
    "State",
    "Store",
    "SuppressionRule",
    "Sweeping",
    "Turn",
]
