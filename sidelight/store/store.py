"""The store's public interface."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select

from sidelight.closing import Closing
from sidelight.errors import StoreError
from sidelight.store.accounts.access_keys import AccessKeys
from sidelight.store.accounts.api_state import EncryptionKeys, RequestTokens, ResourceTags
from sidelight.store.accounts.audit_log import AuditLog
from sidelight.store.accounts.configurations import Configurations
from sidelight.store.accounts.console_users import ConsoleSessions, ConsoleUsers
from sidelight.store.accounts.created_resources import CreatedResources
from sidelight.store.accounts.saved_views import SavedViews
from sidelight.store.base.dialect import insert
from sidelight.store.base.engine import BUSY_SECONDS, Database
from sidelight.store.base.leases import Leases
from sidelight.store.base.schema import properties
from sidelight.store.findings.aggregations import Aggregations
from sidelight.store.findings.exposure import Exposures
from sidelight.store.findings.finding_listing import FindingListing
from sidelight.store.findings.findings import Findings
from sidelight.store.findings.network_findings import NetworkFindings
from sidelight.store.findings.outbox import Outbox
from sidelight.store.findings.reevaluation import Reevaluation
from sidelight.store.findings.remediations import Remediations
from sidelight.store.findings.report_jobs import ReportJobs
from sidelight.store.findings.search import FoundFindings
from sidelight.store.findings.search_counts import FindingCounts
from sidelight.store.findings.suppression_reasons import SuppressionReasons
from sidelight.store.findings.suppression_rules import SuppressionRules
from sidelight.store.findings.vex_documents import VexDocuments
from sidelight.store.findings.vulnerability_details import VulnerabilityDetails
from sidelight.store.instances.coverage_rows import CoverageHistory
from sidelight.store.instances.coverage_search import FoundCoverage
from sidelight.store.instances.instances import FleetInstances
from sidelight.store.instances.network_evaluations import NetworkEvaluations
from sidelight.store.instances.origins import Origins
from sidelight.store.instances.unreached_targets import UnreachedTargets
from sidelight.store.inventories.advisory_databases import RegisteredAdvisories
from sidelight.store.inventories.agent_inventories import AgentInventories
from sidelight.store.inventories.installed_packages import InstalledPackages
from sidelight.store.inventories.taken_inventories import TakenInventories
from sidelight.store.maintenance.dropped_messages import DroppedMessages
from sidelight.store.maintenance.fleet_counts import FleetCounts
from sidelight.store.maintenance.fleet_overview import FleetOverview
from sidelight.store.maintenance.kept_counts import KeptCounts
from sidelight.store.maintenance.retention import Retention
from sidelight.store.maintenance.totals import Totals
from sidelight.store.migrate import (
    guard_of,
    is_made,
    is_supported,
    migrate,
    newest,
    require_support,
    revision,
)
from sidelight.store.scans.account_limits import AccountLimits
from sidelight.store.scans.account_scans import AccountScans
from sidelight.store.scans.costs import Costs
from sidelight.store.scans.due_messages import DueMessages
from sidelight.store.scans.scan_history import ScanHistory
from sidelight.store.scans.scan_lists import ScanLists
from sidelight.store.scans.scan_sources import ScanSources
from sidelight.store.scans.scans import Scans
from sidelight.store.scans.snapshot_polls import SnapshotPolls
from sidelight.store.scans.stages import Stages
from sidelight.store.scans.sweeps import Sweeps
from sidelight.store.scans.unclaimed_scans import UnclaimedScans, unclaimed_scans

if TYPE_CHECKING:
    from sidelight.store.base.clock import Clock

DEPLOYMENT = "deployment"


class Store(Closing):
    """One store, by URL: `sqlite:////path/to/file` or `postgresql://user@host/name`.

    Safe to share between threads; a forked process opens its own. Every method is one transaction
    and raises StoreError if the database fails.
    """

    def __init__(
        self, url: str, *, clock: Clock | None = None, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        """Connects at first use. Raises UsageError for an invalid store URL.

        The default `clock` is common to all users of this store.
        """
        self._database = Database(url, busy_seconds=busy_seconds)
        self.clock = clock = clock or self._database.clock
        self.where = self._database.where
        self.scans = Scans(self._database, clock)
        self.scan_lists = ScanLists(self._database, clock)
        self.due_messages = DueMessages(self._database, clock)
        self.findings = Findings(self._database, clock)
        self.resource_tags = ResourceTags(self._database)
        self.encryption_keys = EncryptionKeys(self._database)
        self.request_tokens = RequestTokens(self._database, clock)
        self.report_jobs = ReportJobs(self._database, clock)
        self.aggregations = Aggregations(self._database)
        self.network_findings = NetworkFindings(self._database, clock)
        self.exposures = Exposures(self._database, clock)
        self.found_findings = FoundFindings(self._database)
        self.finding_counts = FindingCounts(self._database)
        self.scan_history = ScanHistory(self._database)
        self.instances = FleetInstances(self._database, clock)
        self.network_evaluations = NetworkEvaluations(self._database, clock)
        self.coverage_history = CoverageHistory(self._database)
        self.found_coverage = FoundCoverage(self._database)
        self.agent_inventories = AgentInventories(self._database, clock)
        self.taken_inventories = TakenInventories(self._database)
        self.account_scans = AccountScans(self._database, clock)
        self.configurations = Configurations(self._database, clock)
        self.created_resources = CreatedResources(self._database, clock)
        self.access_keys = AccessKeys(self._database, clock)
        self.console_users = ConsoleUsers(self._database, clock)
        self.console_sessions = ConsoleSessions(self._database, clock)
        self.audit_log = AuditLog(self._database, clock)
        self.costs = Costs(self._database)
        self.snapshot_polls = SnapshotPolls(self._database, clock)
        self.account_limits = AccountLimits(self._database, clock)
        self.stage_times = Stages(self._database)
        self.origins = Origins(self._database)
        self.sweeps = Sweeps(self._database, clock)
        self.leases = Leases(self._database, clock)
        self.totals = Totals(self._database, clock)
        self.fleet_counts = FleetCounts(self._database, clock)
        self.kept_counts = KeptCounts(self._database)
        self.fleet_overview = FleetOverview(self._database, clock)
        self.registered_advisories = RegisteredAdvisories(self._database)
        self.installed_packages = InstalledPackages(self._database)
        self.remediations = Remediations(self._database, clock)
        self.reevaluation = Reevaluation(self._database, clock)
        self.suppression_rules = SuppressionRules(self._database, clock)
        self.outbox = Outbox(self._database)
        self.vulnerability_details = VulnerabilityDetails(self._database, clock)
        self.retention = Retention(self._database, clock)

    @property
    def dropped_messages(self) -> DroppedMessages:
        """The number of messages that workers dropped."""
        return DroppedMessages(self._database)

    @property
    def suppression_reasons(self) -> SuppressionReasons:
        """The rules and VEX statements of suppressed findings."""
        return SuppressionReasons(self._database)

    @property
    def vex_documents(self) -> VexDocuments:
        """The VEX documents that suppress findings."""
        return VexDocuments(self._database, self.clock, self.suppression_rules)

    @property
    def saved_views(self) -> SavedViews:
        """The views of lists that people of the console save."""
        return SavedViews(self._database, self.clock)

    @property
    def unreached_targets(self) -> UnreachedTargets:
        """The accounts and Regions whose instances discovery could not list."""
        return UnreachedTargets(self._database, self.clock)

    @property
    def scan_sources(self) -> ScanSources:
        """The sources of scans that create no snapshots."""
        return ScanSources(self._database, self.clock)

    @property
    def finding_listing(self) -> FindingListing:
        """Lists of all findings, in pages."""
        return FindingListing(self._database)

    def migrate(self) -> None:
        """Bring the tables up to date; safe when several processes do it at once.

        Tables of a newer version that supports this one are left as they are. Raises StoreError,
        an OutdatedCodeError for those of one that does not: from now on also other methods, should
        such a version migrate the store while this process runs.
        """
        migrate(self._database)
        self._database.guard(guard_of(self.where))

    def require_support(self) -> None:
        """Raise OutdatedCodeError if the tables do not work with this version any more."""
        require_support(self._database)

    def missing(self) -> str:
        """Return why there is no store yet, empty if there is one; this creates nothing."""
        why = self._database.missing()
        if not why and not is_made(self._database):
            why = "it holds no tables of Sidelight"
        return why

    def require(self, hint: str = "") -> None:
        """Raise StoreError, ending with `hint`, if there is no store yet; this creates nothing."""
        why = self.missing()
        if why:
            raise StoreError(
                f"there is no store here ({why}): name the fleet's by --store or "
                f"SIDELIGHT_STORE_URL{hint}",
                where=self.where,
            )

    def revisions(self) -> tuple[str, str]:
        """Return the revisions of the store's tables and of this version's; nothing is migrated.

        The first is empty if there are no tables.
        """
        return revision(self._database), newest()

    def is_supported(self) -> bool:
        """Whether this version works with the tables as they are, or migrates them."""
        return is_supported(self._database)

    def is_encrypted(self) -> bool | None:
        """Whether the connection to the server has TLS; None for a file."""
        return self._database.is_encrypted()

    def known_deployment(self) -> str:
        """Return the id of `deployment` if it was generated, else an empty text."""
        query = select(properties.c.value).where(properties.c.name == DEPLOYMENT)
        with self._database.read() as connection:
            return str(connection.execute(query).scalar_one_or_none() or "")

    def deployment(self) -> str:
        """Return the id that separates our snapshots from another Sidelight's in the same account.

        It is generated once for a store and stored in it: two stores never share one by accident.
        """
        new_property = {"name": DEPLOYMENT, "value": f"sidelight-{uuid.uuid4().hex[:12]}"}
        with self._database.write() as connection:
            connection.execute(
                insert(connection, properties).on_conflict_do_nothing(), new_property
            )
            query = select(properties.c.value).where(properties.c.name == DEPLOYMENT)
            return str(connection.execute(query).scalar_one())

    def unclaimed_scans(self) -> list[UnclaimedScans]:
        """List regions and states whose scans no worker claims."""
        return unclaimed_scans(self._database, self.clock)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
