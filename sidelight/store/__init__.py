"""The fleet's store, the only SQL: scans, snapshots, inventories, findings, coverage, costs.

This is its public face: nothing outside imports what is below (an import contract).
"""

from sidelight.store.inventories.advisory_databases import AdvisoryMatcher
from sidelight.store.maintenance.totals import Covered
from sidelight.store.scans.account_limits import AccountRegionLimits
from sidelight.store.scans.costs import COST_KEYS
from sidelight.store.scans.snapshot_polls import PollResult
from sidelight.store.scans.snapshot_quota import QuotaExceeded, refused
from sidelight.store.scans.stages import Spread, StageTimes, Turn, current_turn, turn
from sidelight.store.scans.unclaimed_scans import UnclaimedScans
from sidelight.store.store import Store

__all__ = [
    "COST_KEYS",
    "AccountRegionLimits",
    "AdvisoryMatcher",
    "Covered",
    "PollResult",
    "QuotaExceeded",
    "Spread",
    "StageTimes",
    "Store",
    "Turn",
    "UnclaimedScans",
    "current_turn",
    "refused",
    "turn",
]
