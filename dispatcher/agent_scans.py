"""Agent-based scans: in each account-region keep the association, collect, evaluate, cover.

One account-region's refusal stops no other. Coverage says what is missing, and when an instance's
inventory was evaluated last.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from dispatcher.discovery.accounts import all_of
from dispatcher.discovery.configured import effective
from sidelight.completeness import COMPLETE_SCAN, PARTIAL_SCAN, assess
from sidelight.errors import (
    AccessDeniedError,
    ClockSkewError,
    CloudError,
    DatabaseError,
    UsageError,
)
from sidelight.fleet.agents.cycle import AgentCycle
from sidelight.model import AccountStatus, Coverage, ScanMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dispatcher.discovery.accounts import AccountRegion
    from sidelight.aws.session import Session
    from sidelight.fleet.advisory_file import AdvisoryFile, Opened
    from sidelight.fleet.agents.associations_plan import SyncTarget
    from sidelight.fleet.agents.cycle import CycleResult
    from sidelight.fleet.agents.ssm_resources import SsmResources
    from sidelight.store import Store

log = logging.getLogger(__name__)
ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"


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
        self._cycle = AgentCycle(store, session, target)

    def run(
        self, places: Sequence[AccountRegion], stopped: Callable[[], bool] = lambda: False
    ) -> int:
        """Run a round in each account-region of an enabled account; return the evaluations.

        Without an advisory database associations are kept, and nothing is evaluated. Raises
        StoreError.
        """
        rules = effective(self._store, {place.account for place in places})
        entries = self._entries()
        evaluated = 0
        for place in places:
            held = rules[place.account]
            if stopped():
                break
            if not held.configured or held.status is not AccountStatus.ENABLED:
                continue
            try:
                evaluated += self._run(place, entries.get((place.account, place.region), {}))
            except (AccessDeniedError, ClockSkewError, CloudError) as error:
                log.warning("%s/%s: agents: %s", place.account, place.region, error)
                denied = isinstance(error, AccessDeniedError)
                reason = "ACCESS_DENIED" if denied else "INTERNAL_ERROR"
                self._cover_place(place, reason, str(error))
        return evaluated

    def _run(self, place: AccountRegion, entries: Mapping[str, Coverage]) -> int:
        self._agents.ensure(place)
        report = self._agents.reports[place.account, place.region]
        if report.reason:
            self._cover_place(place, report.reason, report.detail)
        managed = self._agents.managed(place)
        own = [managed[name] for name in entries if name in managed]
        if not own:
            return 0
        try:
            advisories = self._advisories.opened()
        except (UsageError, DatabaseError) as error:
            log.warning("%s/%s: agents: %s", place.account, place.region, error)
            return 0
        result = self._cycle.run(place, own, advisories, has_sync=report.has_sync)
        self._cover(entries, result, advisories)
        return len(result.evaluated)

    def _entries(self) -> dict[tuple[str, str], dict[str, Coverage]]:
        """Return the coverage of instances that are scanned by agents, by account and Region."""
        found: dict[tuple[str, str], dict[str, Coverage]] = {}
        for row in self._store.instances.coverage():
            if row.scan_mode == ScanMode.AGENT_BASED and row.status_code == ACTIVE:
                found.setdefault((row.account, row.region), {})[row.instance] = row
        return found

    def _cover(
        self, entries: Mapping[str, Coverage], result: CycleResult, advisories: Opened
    ) -> None:
        """Write when each instance was evaluated, and what its inventory could not cover.

        An unchanged inventory keeps its result, and its last scan moves. An instance that failed
        keeps both; the log has the reason.
        """
        now = self._store.clock()
        failed = dict(result.failures)
        evaluated = set(result.evaluated)
        rows = []
        for name, entry in entries.items():
            if name in evaluated:
                inventory = self._store.findings.inventory(entry.account, name)
                found = assess(inventory, advisories.unmatched(inventory))
                rows.append(
                    replace(entry, reason=found.reason, detail=found.detail, scanned_at=now)
                )
            elif name not in failed and entry.reason in (COMPLETE_SCAN, PARTIAL_SCAN):
                rows.append(replace(entry, scanned_at=now))
        self._store.instances.cover(rows)

    def _cover_place(self, place: AccountRegion, reason: str, detail: str) -> None:
        row = Coverage(
            account=place.account,
            region=place.region,
            instance=all_of(place.region),
            name="",
            status_code=INACTIVE,
            reason=reason,
            detail=detail,
            scan_mode=ScanMode.AGENT_BASED,
        )
        self._store.instances.cover([row])
