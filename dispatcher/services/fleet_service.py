"""The control plane for one process: store, broker and AWS clients built once from Settings.

The command line, the API and the console call it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from dispatcher.agent_scans import AgentScans
from dispatcher.discovery.accounts import AccountRegion, ScanScope, UnreachableTarget, look_up
from dispatcher.discovery.discoverer import Discoverer
from dispatcher.discovery.os_support_file import support_table
from dispatcher.enqueue import tick
from dispatcher.network_scheduler import NetworkScheduler
from dispatcher.reevaluator import Reevaluator
from dispatcher.scan_starter import ScanStarter
from dispatcher.services.account_disabling import AccountDisabler
from dispatcher.services.configuration import ConfigurationService
from dispatcher.services.created_resources import CreatedResourceRemover
from dispatcher.services.event_targets import publisher_of
from dispatcher.services.report_writer import ReportWriter
from dispatcher.sources.source_finder import SourceFinder
from dispatcher.sweeper import Sweeper
from sidelight.aws.ec2 import Ec2
from sidelight.aws.event_queue import EventQueue
from sidelight.aws.organizations import Units
from sidelight.aws.recycle_bin import kept_days
from sidelight.aws.volume_writes import VolumeWrites
from sidelight.fleet.advisory_file import AdvisoryFile
from sidelight.fleet.agents.associations_plan import SyncTarget
from sidelight.fleet.agents.ssm_resources import SsmResources
from sidelight.fleet.bootstrap import session_of
from sidelight.fleet.rate_limit.limiter import RateLimits, rate_for
from sidelight.fleet.snapshot_ownership import check_deployment, tags
from sidelight.model import TERMINAL, Scan
from sidelight.store import Store
from workers.broker import BETWEEN_TRIES
from workers.message_queue import CeleryQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from dispatcher.discovery.agents import AgentResources
    from sidelight.aws.session import Session
    from sidelight.fleet.settings import Settings
    from sidelight.model import Keeper
    from workers.message_queue import MessageQueue

BETWEEN_LOOKS = 0.25  # seconds
PATIENCE = 600.0  # seconds


class FleetService:
    """Starts scans, sweeps, re-evaluates and sends events, each through its own component."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store | None = None,
        queue: MessageQueue | None = None,
        keeper: Keeper | None = None,
        agents: AgentResources | None = None,
    ) -> None:
        """Open the store and migrate its tables. Raises UsageError, StoreError.

        `queue` replaces the broker's queue; with a `keeper`, all new scans belong to it. `agents`
        replaces Systems Manager, which is asked where SIDELIGHT_AGENTS is set.
        """
        self.settings = settings
        os_support = support_table(settings.agents.os_support)
        # Check the settings first: a misspelt profile must not create a store.
        self._session = session_of(settings)
        self.queue = queue or CeleryQueue(settings)
        self.store = store or Store(settings.store.url)
        if store is None:
            self.store.migrate()
        self.deployment = settings.snapshots.deployment or self.store.deployment()
        check_deployment(self.deployment)
        # The workers' rate limits. Calls wait for their slot here: no other process would retry.
        patient = settings.replaced(patience_seconds=PATIENCE)
        rate = rate_for(settings, logging.INFO)
        self._limits = RateLimits(patient, rate, quotas=self.store.account_limits.of)
        self._units = Units()
        queue_url = settings.changes.queue
        self.event_queue = EventQueue(self._session, queue_url) if queue_url else None
        self.agent_scans: AgentScans | None = None
        paced = self._session.paced(self._limits.pace)
        if agents is None and settings.agents.agent_based:
            agents, self.agent_scans = self._systems_manager(paced)
        discoverer = Discoverer(
            self.store, self._session, self.ec2, settings, self.deployment, agents=agents
        )
        self.scans = ScanStarter(
            store=self.store, discoverer=discoverer, publish=self.queue.publish,
            deployment=self.deployment, keeper=keeper, agents=self.agent_scans is not None,
            networks=settings.networks.interval > 0, sources=self._sources(),
            os_support=os_support,
        )  # fmt: skip
        self.sweeper = Sweeper(self.store, self.ec2, self.deployment)
        self.agents = agents
        self.configuration = ConfigurationService(
            self.store,
            agent_based=agents is not None,
            organization_paths=settings.agents.organization_paths,
        )
        self.resources = CreatedResourceRemover(
            self.store, paced, settings, self.deployment, agents
        )
        self.disabler = AccountDisabler(self.store, self.sweeper, self.resources)
        self.reports = ReportWriter(self.store, self._session)
        self.networks = NetworkScheduler(self.store, settings, self.queue.publish_network)
        self.reevaluator = Reevaluator(self.store, settings, self.queue.publish_reevaluation)

    def _sources(self) -> SourceFinder:
        """Return what finds the snapshots that a scan uses instead of its own."""
        return SourceFinder(
            self.store,
            self.settings,
            lambda *place: self.ec2(AccountRegion(*place)),
            self._volume_writes,
        )

    def _systems_manager(self, paced: Session) -> tuple[SsmResources, AgentScans]:
        """Return Systems Manager's resources, and the scans by its inventories."""
        settings = self.settings
        target = SyncTarget(
            settings.agents.inventory_bucket,
            settings.agents.inventory_region,
            settings.agents.inventory_prefix,
        )
        resources = SsmResources(
            paced, target, self.store.created_resources.record, settings.agents.deep_limits
        )
        scans = AgentScans(self.store, paced, resources, target, AdvisoryFile(settings))
        return resources, scans

    def places(self, accounts: Sequence[str], regions: Sequence[str]) -> list[AccountRegion]:
        """Return the named account-regions, else the environment's own.

        Raises UsageError, AccessDeniedError.
        """
        targets = self.look_up(ScanScope(accounts=accounts, regions=regions))
        return [target for target in targets if isinstance(target, AccountRegion)]

    def look_up(self, wanted: ScanScope) -> list[AccountRegion | UnreachableTarget]:
        """Return the scope's account-regions. Raises UsageError, AccessDeniedError, CloudError."""
        return look_up(self._session, wanted, self._units)

    def join_members(self, targets: Sequence[AccountRegion | UnreachableTarget]) -> list[str]:
        """Make the looked-up accounts members of the organization, if one is configured.

        Returns the new members. Raises UsageError, StoreError.
        """
        organizations = self.store.configurations.organizations()
        if len(organizations) != 1:
            return []
        return self.configuration.join(organizations[0], (target.account for target in targets))

    def publish_events(self, target: str, stopped: Callable[[], bool] = lambda: False) -> int:
        """Send new events to a target; return how many were sent.

        Raises CloudError or AccessDeniedError where the target refuses an event, UsageError for
        an unknown target.
        """
        return publisher_of(self.store, self.settings, self._session, target).run(stopped)

    def wait(
        self, ids: Collection[str], *, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[list[Scan]]:
        """Yield the scans every quarter of a second until all have ended; publish due messages.

        Reading many scans takes time, so the interval grows: reading takes a tenth of the time at
        most. Raises BrokerError where the broker takes no message for SIDELIGHT_BROKER_SECONDS.
        """
        ended: dict[str, Scan] = {}
        while True:
            begin = time.monotonic()
            tick(self.store, self.queue.publish)
            live = self.store.scans.select([scan_id for scan_id in ids if scan_id not in ended])
            ended |= {scan.id: scan for scan in live if scan.state in TERMINAL}
            scans = [*ended.values(), *(scan for scan in live if scan.state not in TERMINAL)]
            yield sorted(scans, key=lambda scan: (scan.created_at, scan.id))
            if len(ended) == len(scans):
                return
            least = BETWEEN_LOOKS if self.queue.check() else BETWEEN_TRIES
            sleep(max(least, 9 * (time.monotonic() - begin)))

    def recycle_days(self, account_region: AccountRegion, deployment: str) -> int:
        """Return the days for which the Recycle Bin keeps this deployment's deleted snapshots.

        Raises AccessDeniedError, CloudError.
        """
        return kept_days(
            self._session, account_region.account, account_region.region, tags("", deployment)
        )

    def close(self) -> None:
        """Close the connections to the store and the broker."""
        self.queue.close()
        self.store.close()

    def _volume_writes(self, account: str, region: str) -> VolumeWrites:
        """Return the CloudWatch client of an account-region, at the shared rate limits."""
        pace = self._limits.pace(account, region)
        return VolumeWrites(self._session, account, region, pace=pace)

    def ec2(self, account_region: AccountRegion) -> Ec2:
        """Return the EC2 client of an account-region, at the rate limits that all workers share."""
        pace = self._limits.pace(account_region.account, account_region.region)
        return Ec2(self._session, account_region.account, account_region.region, pace=pace)
