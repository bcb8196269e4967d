"""One round of the agent-based method in an account and Region: collect, store, evaluate.

An instance's failure, and its bad entries, are its own: the others are evaluated. A round that ends
early loses nothing: what was stored is known, and the next round goes on with the rest.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidelight.aws.ssm.data_sync_objects import DataSyncObjects
from sidelight.aws.ssm.inventory_entries import InventoryEntries
from sidelight.fleet.agents.collector import ByDataSync, ByEntries, InventoryCollector
from sidelight.fleet.agents.source_packages import StoredSources
from sidelight.fleet.evaluation import evaluate_agent_inventory
from sidelight.model import FindingChanges, InstanceRef

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.aws.session import Session
    from sidelight.fleet.agents.associations_plan import SyncTarget
    from sidelight.fleet.agents.collector import CollectionCounts
    from sidelight.fleet.agents.ssm_resources import InAccountRegion
    from sidelight.fleet.evaluation import AdvisoryMatcher
    from sidelight.model import ManagedInstance
    from sidelight.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CycleResult:
    """The result of a round. `failures` are why, by instance; `evaluated` has all others.

    An instance whose inventory is unchanged is in neither.
    """

    counts: CollectionCounts
    findings: FindingChanges = field(default_factory=FindingChanges)
    evaluated: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()


class AgentCycle:
    """Runs rounds for account-regions."""

    def __init__(self, store: Store, session: Session, target: SyncTarget) -> None:
        self._store = store
        self._session = session
        self._target = target
        self._sources = StoredSources(store)

    def run(
        self,
        place: InAccountRegion,
        managed: Iterable[ManagedInstance],
        advisories: AdvisoryMatcher,
        *,
        has_sync: bool,
    ) -> CycleResult:
        """Evaluate the instances whose inventory changed.

        `managed`: those that are scanned by their agents. `has_sync`: whether inventories are in
        the bucket. Raises AccessDeniedError or CloudError where the bucket cannot be listed, and
        StoreError.
        """
        collector = self._collector(place, has_sync=has_sync)
        seen = self._store.agent_inventories.seen(place.account, place.region)
        findings = FindingChanges()
        evaluated: list[str] = []
        failures: list[tuple[str, str]] = []
        for result in collector.collect(managed, seen):
            machine = InstanceRef(place.account, place.region, result.instance_id)
            if result.error:
                log.warning("%s: its inventory is not read: %s", result.instance_id, result.error)
                failures.append((result.instance_id, result.error))
            elif result.reading is None:
                self._store.agent_inventories.note(machine, result.seen)
            else:
                inventory = result.reading.inventory
                self._store.findings.save_agent_inventory(machine, inventory, result.seen)
                findings += evaluate_agent_inventory(self._store, machine, advisories)
                evaluated.append(result.instance_id)
        return CycleResult(collector.counts, findings, tuple(evaluated), tuple(failures))

    def _collector(self, place: InAccountRegion, *, has_sync: bool) -> InventoryCollector:
        if not has_sync:
            entries = InventoryEntries(self._session, place.account, place.region)
            return InventoryCollector(ByEntries(entries), self._sources)
        objects = DataSyncObjects(
            self._session,
            self._target.bucket,
            place.account,
            place.region,
            self._target.prefix,
        )
        return InventoryCollector(ByDataSync(objects), self._sources, objects.versions())
