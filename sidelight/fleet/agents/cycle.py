"""One round of the agent-based method in an account and Region: collect, store, evaluate.

An instance's failure, and its bad entries, are its own: the others are evaluated. A round that ends
early loses nothing: what was stored is known, and the next round goes on with the rest.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sidelight.aws.ssm.collected_objects import CollectedObjects
from sidelight.aws.ssm.data_sync_objects import DataSyncObjects
from sidelight.aws.ssm.inventory_entries import InventoryEntries
from sidelight.errors import AccessDeniedError, CloudError, StoreError
from sidelight.fleet.agents.collector import ByDataSync, ByEntries, InventoryCollector
from sidelight.fleet.agents.deep_inspection.captures import DeepCaptures
from sidelight.fleet.agents.source_packages import ReleaseSources, StoredSources
from sidelight.fleet.evaluation import evaluate_agent_inventory
from sidelight.inventory.ssm.parse import TYPES
from sidelight.inventory.ssm.platforms import Platform, system_of
from sidelight.model import DeepLimits, FindingChanges, InstanceRef

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import date

    from sidelight.aws.session import Session
    from sidelight.fleet.agents.associations_plan import SyncTarget
    from sidelight.fleet.agents.collector import CollectionCounts
    from sidelight.fleet.agents.deep_inspection.captures import DeepNote
    from sidelight.fleet.agents.deep_inspection.resources import DeepReport
    from sidelight.fleet.agents.ssm_resources import InAccountRegion
    from sidelight.fleet.evaluation import AdvisoryMatcher
    from sidelight.model import Inventory, ManagedInstance, OperatingSystem
    from sidelight.store import Store

log = logging.getLogger(__name__)
DEFAULT_LIMITS = DeepLimits()
# Instances whose objects are fetched at once in an account and Region: fewer than connections.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class CycleResult:
    """The result of a round. `failures` are why, by instance; `evaluated` has all others.

    An instance whose inventory is unchanged is in neither. `deep` is why deep inspection of an
    instance is incomplete, by instance: of those that were evaluated, and of all whose output is
    missing or too much.
    """

    counts: CollectionCounts
    findings: FindingChanges = field(default_factory=FindingChanges)
    evaluated: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    deep: Mapping[str, DeepNote] = field(default_factory=dict)


class AgentCycle:
    """Runs rounds for account-regions, several at once: one evaluates while others read."""

    def __init__(
        self,
        store: Store,
        session: Session,
        target: SyncTarget,
        limits: DeepLimits = DEFAULT_LIMITS,
    ) -> None:
        self._limits = limits
        self._store = store
        self._session = session
        self._target = target
        self._sources = StoredSources(store)
        self._evaluating = threading.Lock()
        self._ended_on: dict[tuple[str, str], date] = {}

    def run(  # noqa: PLR0913 - one account-region, by keyword
        self,
        place: InAccountRegion,
        managed: Iterable[ManagedInstance],
        advisories: AdvisoryMatcher,
        *,
        has_sync: bool,
        new: Collection[str] = (),
        deep: DeepReport | None = None,
    ) -> CycleResult:
        """Evaluate the instances whose inventory changed, and those that are `new`.

        A new one was scanned by no agent since its coverage began: what is known of its inventory
        may be older than findings that were closed since.

        `managed`: those that are scanned by their agents. `has_sync`: whether inventories are in
        the bucket. `deep`: what deep inspection has there, None where it is
        off. Raises AccessDeniedError or CloudError where the bucket cannot be listed, and
        StoreError.
        """
        managed = list(managed)
        sources = ReleaseSources(self._sources, advisories)
        collector = self._collector(place, sources, has_sync=has_sync)
        collector.deep = None if deep is None else self._captures(place, deep.detail)
        notes: dict[str, DeepNote] = {}
        known = self._store.agent_inventories.seen(place.account, place.region)
        seen = {name: value for name, value in known.items() if name not in new}
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
                if result.lacks_output:
                    inventory = self._with_known_languages(machine, inventory)
                with self._evaluating:
                    self._store.findings.save_agent_inventory(machine, inventory, result.seen)
                    findings += evaluate_agent_inventory(
                        self._store, machine, advisories, inventory
                    )
                evaluated.append(result.instance_id)
                if result.deep is not None:
                    notes[result.instance_id] = result.deep
        findings += self._ended_support(place, managed, advisories)
        if collector.deep is not None:
            for instance in managed:
                note = collector.deep.note(instance)
                if note is not None:
                    notes[instance.instance_id] = note
        return CycleResult(collector.counts, findings, tuple(evaluated), tuple(failures), notes)

    def _with_known_languages(self, machine: InstanceRef, inventory: Inventory) -> Inventory:
        """Return an inventory with the packages that its sender does not list, as last read.

        Nothing says that they are gone: outputs expire in the bucket, and a scan of the disks may
        have found them before the collector has run.
        """
        try:
            before = self._store.findings.inventory(machine.account, machine.instance)
        except StoreError:
            return inventory  # the first one
        kept = tuple(one for one in before.packages if one.type not in TYPES)
        return replace(inventory, packages=(*inventory.packages, *kept), dependencies=())

    def _ended_support(
        self,
        place: InAccountRegion,
        managed: Iterable[ManagedInstance],
        advisories: AdvisoryMatcher,
    ) -> FindingChanges:
        """Open the findings of systems whose support ended since their inventories changed.

        A system without updates sends the same inventory for ever, and only the day shows it.
        """
        today = self._store.clock().date()
        systems: dict[OperatingSystem, list[str]] = {}
        for one in managed:
            kind = one.platform_type.value if one.platform_type else ""
            system = system_of(Platform(one.platform_name, one.platform_version, kind))
            systems.setdefault(system, []).append(one.instance_id)
        changes = FindingChanges()
        for system, instances in systems.items():
            for finding in advisories.discontinued(system, today):
                lacking = self._store.agent_inventories.lacking(
                    place.account, place.region, finding.vulnerability
                )
                for name in lacking.intersection(instances):
                    # Once a day: its own inventory may name another system than its agent does.
                    if self._ended_on.get((place.account, name)) == today:
                        continue
                    machine = InstanceRef(place.account, place.region, name)
                    with self._evaluating:
                        changes += evaluate_agent_inventory(self._store, machine, advisories)
                    self._ended_on[place.account, name] = today
        return changes

    def _captures(self, place: InAccountRegion, why: str) -> DeepCaptures:
        objects = CollectedObjects(
            self._session,
            self._target.bucket,
            place.account,
            place.region,
            self._target.prefix,
        )
        if not self._target.bucket:
            return DeepCaptures(objects, {}, self._limits, why)
        try:
            newest = objects.newest(self._store.clock())
        except (AccessDeniedError, CloudError) as error:
            # The role may read the inventories alone. Results that were read before are kept.
            log.warning("%s/%s: deep inspection: %s", place.account, place.region, error)
            return DeepCaptures(objects, None, self._limits, str(error))
        return DeepCaptures(objects, newest, self._limits, why)

    def _collector(
        self, place: InAccountRegion, sources: ReleaseSources, *, has_sync: bool
    ) -> InventoryCollector:
        if not has_sync:
            entries = InventoryEntries(self._session, place.account, place.region)
            return InventoryCollector(ByEntries(entries), sources)
        objects = DataSyncObjects(
            self._session,
            self._target.bucket,
            place.account,
            place.region,
            self._target.prefix,
        )
        versions = objects.versions()
        return InventoryCollector(ByDataSync(objects), sources, versions, at_once=AT_ONCE)
