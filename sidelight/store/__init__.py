"""The fleet's store, the only SQL: scans, snapshots, inventories, findings, coverage, costs.

This is its public face: nothing outside imports what is below (an import contract).
"""

from sidelight.store.findings.findings import Evaluated
from sidelight.store.findings.reevaluation import ReevaluationPart
from sidelight.store.findings.vulnerability_details import (
    Matches,
    StoredSoftware,
    UnmatchedSoftware,
)
from sidelight.store.inventories.advisory_databases import AdvisoryDigests
from sidelight.store.maintenance.retention import RetentionResult
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
    "AdvisoryDigests",
    "Covered",
    "Evaluated",
    "Matches",
    "PollResult",
    "QuotaExceeded",
    "ReevaluationPart",
    "RetentionResult",
    "Spread",
    "StageTimes",
    "Store",
    "StoredSoftware",
    "Turn",
    "UnclaimedScans",
    "UnmatchedSoftware",
    "current_turn",
    "refused",
    "turn",
]
