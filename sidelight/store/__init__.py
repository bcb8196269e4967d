"""The fleet's store, the only SQL: scans, snapshots, inventories, findings, coverage, costs."""

from sidelight.store.inventories.advisory_databases import AdvisoryMatcher
from sidelight.store.scans.stages import STAGE_OF, Spread, StageTimes, Turn
from sidelight.store.store import Store

__all__ = [
    "STAGE_OF",
    "AdvisoryMatcher",
    "Spread",
    "StageTimes",
    "Store",
    "Turn",
]
