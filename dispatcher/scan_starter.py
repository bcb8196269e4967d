"""Start scans: discover instances, plan, write the scans' rows, publish their messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dispatcher.discovery.accounts import AccountRegion, UnreachableTarget, in_each, partition
from dispatcher.discovery.configured import effective
from dispatcher.discovery.discoverer import terminated
from dispatcher.discovery.latest_discoveries import LatestDiscoveries
from dispatcher.discovery.target_coverage import TargetCoverage
from dispatcher.enqueue import NO_SOURCES, enqueue, tick
from dispatcher.planning import cadence
from dispatcher.planning.plan import NETWORK_CLOSING, in_turns, network_turns, plan
from dispatcher.planning.selection import EVERYTHING
from sidelight.model import AccountStatus, FindingType, PingStatus
from sidelight.model.coverage_reasons import CLOSING
from workers.queues import ON_DEMAND, SCHEDULED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from dispatcher.discovery.discoverer import Discoverer, Discovery
    from dispatcher.enqueue import Publish
    from dispatcher.planning.eligibility import Configuration
    from dispatcher.planning.os_support import OsSupportTable
    from dispatcher.planning.plan import IsDue
    from dispatcher.planning.selection import InstanceSelection
    from dispatcher.sources.source_finder import SourceFinder
    from sidelight.model import Coverage, Instance, Keeper, ManagedInstance, Scan
    from sidelight.store import Store


@dataclass(frozen=True, slots=True)
class Started:
    """The result for several account-regions: scans, and the targets that were not reachable."""

    scans: tuple[Scan, ...]
    reached: tuple[AccountRegion, ...]
    unreachable: tuple[UnreachableTarget, ...]


class ScanStarter:
    """Starts scans of the instances that are due or requested."""

    def __init__(  # noqa: PLR0913 - all by keyword
        self,
        *,
        store: Store,
        discoverer: Discoverer,
        publish: Publish,
        deployment: str,
        keeper: Keeper | None = None,
        agents: bool = False,
        networks: bool = False,
        sources: SourceFinder | None = None,
        os_support: OsSupportTable | None = None,
    ) -> None:
        """With a `keeper`, the scans belong to it from creation; no worker can claim them.

        `agents`: the agent-based method runs in this deployment. `networks`: networks are
        evaluated. `sources` finds what scans use instead of snapshots of their own.
        `os_support` says which method reads which system; None is the included table.
        """
        self._os_support = os_support
        self._sources = sources
        self._networks = networks
        self._targets = TargetCoverage(store, agents=agents)
        self._store = store
        self._discoverer = discoverer
        self._publish = publish
        self._deployment = deployment
        self._keeper = keeper
        self._discovered = LatestDiscoveries()

    def start_everywhere(  # noqa: PLR0913 - where, and which, by keyword
        self,
        account_regions: Sequence[AccountRegion | UnreachableTarget],
        configuration: Configuration,
        *,
        on_demand: bool,
        only: InstanceSelection = EVERYTHING,
        is_due: IsDue | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Started:
        """Start scans in all these account-regions, until `stopped`.

        An account-region that cannot be reached is recorded in coverage and stops no other.
        `is_due` as in `plan`. Raises StoreError.
        """
        open_, closed = partition(account_regions)
        self._targets.cover_suspended(account_regions)
        rules = self._rules({item.account for item in open_}, configuration)
        open_ = [item for item in open_ if item.account in rules]
        self._discovered.keep_accounts(rules)
        running: list[str] = []
        due: list[Sequence[Instance]] = []
        reached: list[AccountRegion] = []
        listed: dict[AccountRegion, Discovery] = {}
        discoveries = in_each(
            open_,
            lambda item: self._discoverer(item, rules[item.account]),
            stopped,
        )
        for account_region, discovery in discoveries:
            if isinstance(discovery, UnreachableTarget):
                closed.append(discovery)
                self._discovered.drop(account_region)
                continue
            reached.append(account_region)
            listed[account_region] = discovery
            with self._discovered.deciding_on(account_region):
                self._discovered.put(account_region, discovery)
                # Again: a thread that read them before they were gone may have written since.
                gone = terminated(account_region.account, account_region.region, discovery.gone)
                self._store.instances.cover(gone)
                live_scans, new = self._plan(
                    account_region, discovery, rules[account_region.account],
                    on_demand=on_demand, only=only, is_due=is_due,
                )  # fmt: skip
            running += live_scans
            due.append(new)
        self._targets.cover(reached, closed)
        scans = self._start(running, in_turns(due), rules, listed, on_demand=on_demand)
        return Started(tuple(scans), tuple(reached), tuple(closed))

    def discover_everywhere(
        self, targets: Sequence[AccountRegion | UnreachableTarget], configuration: Configuration
    ) -> Started:
        """Discover these account-regions and write coverage, without starting a scan."""
        open_, closed = partition(targets)
        rules = self._rules({item.account for item in open_}, configuration)
        reached = []
        discoveries = in_each(
            [item for item in open_ if item.account in rules],
            lambda item: self._discoverer(item, rules[item.account]),
            lambda: False,
        )
        for account_region, discovery in discoveries:
            if isinstance(discovery, UnreachableTarget):
                closed.append(discovery)
            else:
                held = rules[account_region.account]
                self._plan(account_region, discovery, held, on_demand=False, only=EVERYTHING)
                reached.append(account_region)
        self._targets.cover(reached, closed)
        return Started((), tuple(reached), tuple(closed))

    def start_due(self, configuration: Configuration) -> list[Scan]:
        """Start scans of the instances that are due now, from the last discovery.

        Cheap enough for every tick: the store is read for these instances only. Raises StoreError.
        """
        now = self._store.clock()
        due: list[Sequence[Instance]] = []
        listed: dict[AccountRegion, Discovery] = {}
        account_regions = self._discovered.account_regions()
        rules = self._rules({item.account for item in account_regions}, configuration)
        for account_region in account_regions:
            with self._discovered.deciding_on(account_region):
                part = self._discovered.candidates(account_region, now)
                if part is not None and account_region.account in rules:
                    listed[account_region] = part
                    _, new = self._plan(
                        account_region,
                        part,
                        rules[account_region.account],
                        on_demand=False,
                        only=EVERYTHING,
                        is_due=cadence.is_due,
                    )
                    due.append(new)
        if not any(due):
            return []
        return self._start([], in_turns(due), rules, listed, on_demand=False)

    def discovered(self) -> list[AccountRegion]:
        """Return the account-regions that this process discovered last."""
        return self._discovered.account_regions()

    def forget(self) -> None:
        """Forget the discovered instances: nothing is started before the next discovery."""
        self._discovered.forget()

    def is_discovered(self, account_region: AccountRegion) -> bool:
        """Whether this is one of them."""
        return self._discovered.get(account_region) is not None

    def agents_changed(
        self,
        account_region: AccountRegion,
        managed: Mapping[str, ManagedInstance],
        configuration: Configuration,
    ) -> list[Scan]:
        """Plan an account-region again by Systems Manager's present listing.

        An instance that left it is read by snapshots from now on, and by its agent once it is
        back, without waiting for the next discovery. Raises StoreError.
        """
        held = self._discovered.get(account_region)
        rules = self._rules({account_region.account}, configuration).get(account_region.account)
        if held is None or rules is None:
            return []
        # One that answers no more may be stopped or terminated: EC2 says so, not the discovery.
        if left := _left(held, managed):
            self._look(account_region, left, left, rules)
        with self._discovered.deciding_on(account_region):
            discovery = self._discovered.put_agents(account_region, managed, held)
            _, due = self._plan(
                account_region, discovery, rules,
                on_demand=False, only=EVERYTHING, is_due=cadence.is_due,
            )  # fmt: skip
        return self._start(
            [], due, {account_region.account: rules}, {account_region: discovery}, on_demand=False
        )

    def look(
        self,
        account_region: AccountRegion,
        ids: Collection[str],
        ended: Collection[str],
        configuration: Configuration,
    ) -> list[str]:
        """Discover some instances of a discovered account-region, and start their due scans.

        Returns the ids that EC2 does not list, without the `ended` ones, which are gone then.
        Raises CloudError, AccessDeniedError, RateLimitedError, StoreError.
        """
        held = self._discovered.get(account_region)
        rules = self._rules({account_region.account}, configuration).get(account_region.account)
        if held is None or rules is None:
            return []
        found, missing = self._look(account_region, ids, ended, rules)
        with self._discovered.deciding_on(account_region):
            # A discovery since then may have found them in another state.
            newest = self._discovered.get(account_region) or held
            looked_for = {instance.id for instance in found.instances}
            present = [one for one in newest.instances if one.id in looked_for]
            _, due = self._plan(
                account_region, replace(newest, instances=present), rules,
                on_demand=False, only=EVERYTHING, is_due=cadence.is_due,
            )  # fmt: skip
        self._start(
            [], due, {account_region.account: rules}, {account_region: newest}, on_demand=False
        )
        return missing

    def _look(
        self,
        account_region: AccountRegion,
        ids: Collection[str],
        ended: Collection[str],
        rules: Configuration,
    ) -> tuple[Discovery, list[str]]:
        """Discover these instances; return them, and those that EC2 does not list, as `look`."""
        found, missing = self._discoverer.look(account_region, rules, ids, ended)
        return self._discovered.merge(account_region, found, ids), missing

    def start_scans(
        self,
        account_region: AccountRegion,
        configuration: Configuration,
        *,
        on_demand: bool,
        only: InstanceSelection = EVERYTHING,
    ) -> list[Scan]:
        """Discover an account-region, plan, enqueue; `only` limits it to these instances.

        Returns the new scans and those that were already running; none in an account that is
        disabled.
        """
        rules = self._rules({account_region.account}, configuration).get(account_region.account)
        if rules is None:
            return []
        discovery = self._discoverer(account_region, rules)
        running, due = self._plan(account_region, discovery, rules, on_demand=on_demand, only=only)
        by_account, listed = {account_region.account: rules}, {account_region: discovery}
        return self._start(running, due, by_account, listed, on_demand=on_demand)

    def _rules(
        self, accounts: Collection[str], configuration: Configuration
    ) -> dict[str, Configuration]:
        """Return the eligibility rules of each enabled account."""
        tag = configuration.exclusion_tag
        return {
            account: replace(
                configuration,
                exclusion_tag=held.exclusion_tag,
                asks_agents=held.configured,
                mode=held.mode,
                os_support=self._os_support,
            )
            for account, held in effective(self._store, accounts, default_tag=tag).items()
            if held.status is AccountStatus.ENABLED
        }

    def _plan(  # noqa: PLR0913 - where, and which, by keyword
        self,
        account_region: AccountRegion,
        discovery: Discovery,
        configuration: Configuration,
        *,
        on_demand: bool,
        only: InstanceSelection,
        is_due: IsDue | None = None,
    ) -> tuple[list[str], Sequence[Instance]]:
        """Return the ids of running scans and the instances that are due; write coverage."""
        known = self._store.instances.with_history(
            account_region.account, account_region.region, discovery.instances
        )
        if only:
            known = [row for row in known if only.includes(row.instance)]
        planned = plan(
            known,
            self._store.clock(),
            replace(
                configuration,
                unreadable_keys=discovery.unreadable_keys,
                unshareable_keys=discovery.unshareable_keys,
            ),
            discovery.excluded_keys,
            managed=discovery.managed,
            on_demand=on_demand,
            by=is_due,
        )
        self._store.instances.cover(planned.coverage)
        if planned.restored:
            self._store.instances.restore(account_region.account, planned.restored)
        ineligible = [row.instance for row in planned.coverage if row.reason in CLOSING]
        self._store.findings.close_instances(
            account_region.account, ineligible, FindingType.PACKAGE_VULNERABILITY
        )
        if self._networks:
            self._plan_networks(account_region, planned.networks)
        return [row.live_scan for row in known if row.live_scan], planned.due

    def _plan_networks(self, account_region: AccountRegion, rows: Sequence[Coverage]) -> None:
        """Write network coverage; close ended evaluations, request new ones."""
        states = self._store.instances.network_states(account_region.account, account_region.region)
        written, begun = network_turns(rows, states)
        self._store.instances.cover(written)
        closing = [row.instance for row in written if row.reason in NETWORK_CLOSING]
        self._store.findings.close_instances(
            account_region.account, closing, FindingType.NETWORK_REACHABILITY
        )
        if begun:
            self._store.network_evaluations.request(
                [(account_region.account, account_region.region)]
            )

    def _start(
        self,
        running: Sequence[str],
        due: Sequence[Instance],
        rules: Mapping[str, Configuration],
        listed: Mapping[AccountRegion, Discovery],
        *,
        on_demand: bool,
    ) -> list[Scan]:
        """Create and publish the due scans; `listed` are the discoveries that they are of."""
        if (
            on_demand
            and self._keeper is None
            and self._store.due_messages.prioritise(running, ON_DEMAND)
        ):
            # They may be queued behind scheduled scans: republish at high priority. The old
            # message becomes a no-op.
            tick(self._store, self._publish)
        found = NO_SOURCES
        if self._sources is not None and due:
            tags = {account: rule.exclusion_tag for account, rule in rules.items()}
            times = {
                (account_region.account, account_region.region): discovery.listed_at
                for account_region, discovery in listed.items()
                if discovery.listed_at is not None
            }
            found = self._sources.find(due, tags, {} if on_demand else times)
        created = enqueue(
            self._store,
            self._publish,
            due,
            self._deployment,
            priority=ON_DEMAND if on_demand else SCHEDULED,
            keeper=self._keeper,
            found=found,
        )
        return self._store.scans.select(running) + created


def _left(known: Discovery, managed: Mapping[str, ManagedInstance]) -> set[str]:
    """Return the instances whose agents answered when they were listed last, and not now."""

    def answering(listed: Mapping[str, ManagedInstance]) -> set[str]:
        return {name for name, one in listed.items() if one.ping_status is PingStatus.ONLINE}

    present = {instance.id for instance in known.instances}
    return (answering(known.managed or {}) - answering(managed)) & present
