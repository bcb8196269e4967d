"""The fleet's store, the only SQL: scans, snapshots, inventories, findings, coverage, costs.

This is its public face: nothing outside imports what is below (an import contract).
"""

from sidelight.store.findings.aggregation_queries import KEYS as AGGREGATION_KEYS
from sidelight.store.findings.aggregation_queries import FindingAggregation
from sidelight.store.findings.aggregations import AggregationPage, FindingGroup
from sidelight.store.findings.finding_listing import (
    LISTING_ORDERS,
    FindingListing,
    FindingTally,
    ListedFindings,
)
from sidelight.store.findings.findings import Evaluated
from sidelight.store.findings.network_findings import NetworkObservation
from sidelight.store.findings.reevaluation import ReevaluationPart
from sidelight.store.findings.remediations import RemediationPlan, UpgradedMachine
from sidelight.store.findings.report_jobs import FINDINGS, SBOM, ReportJob, ReportRequest
from sidelight.store.findings.search import FindingPage, FindingSearch, FoundFindings
from sidelight.store.findings.search_counts import (
    TAG_GROUPING,
    FindingFacets,
    SearchGroup,
    grouped_tag,
    is_grouping,
)
from sidelight.store.findings.search_orders import SORT_FIELDS
from sidelight.store.findings.vex_documents import StatedFinding
from sidelight.store.findings.vulnerability_details import (
    Matches,
    StoredSoftware,
    UnmatchedSoftware,
)
from sidelight.store.instances.coverage_search import (
    GROUP_KEYS,
    CoveragePage,
    CoverageSearch,
    FoundCoverage,
)
from sidelight.store.instances.network_evaluations import NetworkClaim, NetworkTime
from sidelight.store.instances.unreached_targets import (
    DiscoveryFailure,
    UnreachedTarget,
    is_target,
)
from sidelight.store.inventories.advisory_databases import AdvisoryDigests, Registration
from sidelight.store.inventories.installed_packages import (
    Installation,
    InstallationPage,
    InstalledName,
    InstalledVersion,
)
from sidelight.store.maintenance import fleet_measures as measures
from sidelight.store.maintenance.fleet_overview import DayCounts, MeasureSums
from sidelight.store.maintenance.retention import RetentionResult
from sidelight.store.maintenance.totals import Covered
from sidelight.store.scans.account_limits import AccountRegionLimits
from sidelight.store.scans.costs import COST_KEYS
from sidelight.store.scans.scan_history import ScanStage
from sidelight.store.scans.scan_lists import ScanState
from sidelight.store.scans.snapshot_polls import PollResult
from sidelight.store.scans.snapshot_quota import QuotaExceeded, refused
from sidelight.store.scans.stages import Spread, StageTimes, Turn, current_turn, turn
from sidelight.store.scans.unclaimed_scans import UnclaimedScans
from sidelight.store.store import Store

__all__ = [
    "AGGREGATION_KEYS",
    "COST_KEYS",
    "FINDINGS",
    "GROUP_KEYS",
    "LISTING_ORDERS",
    "SBOM",
    "SORT_FIELDS",
    "TAG_GROUPING",
    "AccountRegionLimits",
    "AdvisoryDigests",
    "AggregationPage",
    "CoveragePage",
    "CoverageSearch",
    "Covered",
    "DayCounts",
    "DiscoveryFailure",
    "Evaluated",
    "FindingAggregation",
    "FindingFacets",
    "FindingGroup",
    "FindingListing",
    "FindingPage",
    "FindingSearch",
    "FindingTally",
    "FoundCoverage",
    "FoundFindings",
    "Installation",
    "InstallationPage",
    "InstalledName",
    "InstalledVersion",
    "ListedFindings",
    "Matches",
    "MeasureSums",
    "NetworkClaim",
    "NetworkObservation",
    "NetworkTime",
    "PollResult",
    "QuotaExceeded",
    "ReevaluationPart",
    "Registration",
    "RemediationPlan",
    "ReportJob",
    "ReportRequest",
    "RetentionResult",
    "ScanStage",
    "ScanState",
    "SearchGroup",
    "Spread",
    "StageTimes",
    "StatedFinding",
    "Store",
    "StoredSoftware",
    "Turn",
    "UnclaimedScans",
    "UnmatchedSoftware",
    "UnreachedTarget",
    "UpgradedMachine",
    "current_turn",
    "grouped_tag",
    "is_grouping",
    "is_target",
    "measures",
    "refused",
    "turn",
]
