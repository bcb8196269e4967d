"""Agent-based scans: in each account-region keep the association, collect, evaluate, cover.

Account-regions run in parallel, and one's refusal stops no other. Coverage says what is missing,
and when an instance's inventory was evaluated last.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from dispatcher.discovery.accounts import UnreachableTarget, all_of, in_each
from dispatcher.discovery.configured import effective
from sidelight.completeness import COMPLETE_SCAN, PARTIAL_SCAN, assess
from sidelight.errors import DatabaseError, SidelightError, StoreError, UsageError
from sidelight.fleet.agents.cycle import AgentCycle
from sidelight.fleet.agents.deep_inspection import captures as deep_inspection
from sidelight.model import AccountStatus, Coverage, ScanMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dispatcher.discovery.accounts import AccountRegion
    from sidelight.aws.session import Session
    from sidelight.fleet.advisory_file import AdvisoryFile, Opened
    from sidelight.fleet.agents.associations_plan import SyncTarget
    from sidelight.fleet.agents.cycle import CycleResult
    from sidelight.fleet.agents.ssm_resources import SsmResources
    from sidelight.model import EffectiveConfiguration, ManagedInstance
    from sidelight.store import Store

    Replan = Callable[[AccountRegion, Mapping[str, ManagedInstance]], object]

log = logging.getLogger(__name__)
ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
PENDING = "PENDING_INITIAL_SCAN"
_SCANNED = (COMPLETE_SCAN, PARTIAL_SCAN, *deep_inspection.REASONS)
# What a listing of outputs shows: it ends without an evaluation.
_BY_LISTING = (deep_inspection.NO_INVENTORY, deep_inspection.TOO_MUCH)


class AgentScans:
    """Runs the agent-based method in account-regions."""

    def __init__(
        self,
        store: Store,
        session: Session,
        agents: SsmResources,
        target: SyncTarget,
        advisories: AdvisoryFile,
    ) -> None:
        """`advisories` is opened when the first inventory is evaluated."""
        self._store = store
        self._agents = agents
        self._advisories = advisories
        self._cycle = AgentCycle(store, session, target, agents.limits)

    def run(
        self,
        account_regions: Sequence[AccountRegion],
        stopped: Callable[[], bool] = lambda: False,
        replan: Replan = lambda _place, _managed: None,
    ) -> int:
        """Run a round in each account-region of an enabled account; return the evaluations.

        `replan` decides again by which method each instance is scanned, from what Systems Manager
        lists now. Without an advisory database associations are kept, and nothing is evaluated.
        Raises StoreError.
        """
        rules = effective(
            self._store, {account_region.account for account_region in account_regions}
        )
        enabled = [
            account_region
            for account_region in account_regions
            if (held := rules[account_region.account]).configured
            and held.status is AccountStatus.ENABLED
        ]

        def attempt(account_region: AccountRegion) -> int | UnreachableTarget:
            return self._attempt(account_region, rules[account_region.account], replan)

        evaluated = 0
        # Parallel: an organization's account-regions take longer than the interval one by one.
        for account_region, result in in_each(enabled, attempt, stopped):
            if isinstance(result, UnreachableTarget):
                log.warning(
                    "%s/%s: agents: %s", account_region.account, account_region.region, result
                )
                reason = "ACCESS_DENIED" if result.denied else "INTERNAL_ERROR"
                self._cover_place(account_region, reason, str(result))
            else:
                evaluated += result
        return evaluated

    def _attempt(
        self, account_region: AccountRegion, held: EffectiveConfiguration, replan: Replan
    ) -> int | UnreachableTarget:
        """Run one account-region; whatever fails there stops no other. Raises StoreError."""
        try:
            return self._run(account_region, held, replan)
        except StoreError:
            raise
        except SidelightError as error:
            return UnreachableTarget(account_region.account, account_region.region, error)

    def _run(
        self, account_region: AccountRegion, held: EffectiveConfiguration, replan: Replan
    ) -> int:
        self._agents.ensure(account_region, held)
        report = self._agents.reports[account_region.account, account_region.region]
        managed = self._agents.managed(account_region)
        replan(account_region, managed)
        if report.reason:
            self._cover_place(account_region, report.reason, report.detail)
        else:
            self._store.instances.uncover(
                account_region.account, [all_of(account_region.region)], ScanMode.AGENT_BASED
            )
        entries = self._entries(account_region)
        own = [managed[name] for name in entries if name in managed]
        if not own:
            return 0
        try:
            advisories = self._advisories.opened()
        except (UsageError, DatabaseError) as error:
            log.warning("%s/%s: agents: %s", account_region.account, account_region.region, error)
            return 0
        new = {name for name, entry in entries.items() if entry.reason == PENDING}
        deep = self._agents.deep_reports.get((account_region.account, account_region.region))
        result = self._cycle.run(
            account_region, own, advisories, has_sync=report.has_sync, new=new, deep=deep
        )
        self._cover(entries, result, advisories)
        return len(result.evaluated)

    def _entries(self, account_region: AccountRegion) -> dict[str, Coverage]:
        """Return the coverage of instances that are scanned by their agents."""
        rows = self._store.instances.coverage(
            account=account_region.account, region=account_region.region
        )
        return {
            row.instance: row
            for row in rows
            if row.scan_mode == ScanMode.AGENT_BASED and row.status_code == ACTIVE
        }

    def _cover(
        self, entries: Mapping[str, Coverage], result: CycleResult, advisories: Opened
    ) -> None:
        """Write when each instance was evaluated, and what its inventory could not cover.

        An unchanged inventory keeps its result, and its last scan moves. An instance that failed
        keeps both; the log has the reason. A complete scan without its language packages has the
        reason of deep inspection: the system's packages go on being evaluated.
        """
        now = self._store.clock()
        failed = dict(result.failures)
        evaluated = set(result.evaluated)
        rows = []
        for name, entry in entries.items():
            note = result.deep.get(name)
            is_kept = name not in failed and entry.reason in _SCANNED
            if name not in evaluated and not is_kept:
                continue
            if note is not None:
                reason, detail = note.reason, note.detail
            elif name in evaluated or entry.reason in _BY_LISTING:
                inventory = self._store.findings.inventory(entry.account, name)
                found = assess(inventory, advisories.unmatched(inventory))
                reason, detail = found.reason, found.detail
            else:
                reason, detail = entry.reason, entry.detail
            rows.append(replace(entry, reason=reason, detail=detail, scanned_at=now))
        self._store.instances.cover_by_agents(rows)

    def _cover_place(self, account_region: AccountRegion, reason: str, detail: str) -> None:
        row = Coverage(
            account=account_region.account,
            region=account_region.region,
            instance=all_of(account_region.region),
            name="",
            status_code=INACTIVE,
            reason=reason,
            detail=detail,
            scan_mode=ScanMode.AGENT_BASED,
        )
        self._store.instances.cover([row])
