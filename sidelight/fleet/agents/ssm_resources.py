"""Systems Manager as the dispatcher asks for it: its instances, and what collects inventories."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from sidelight.aws.ssm.associations import StateManager
from sidelight.aws.ssm.data_sync_objects import DataSyncObjects
from sidelight.aws.ssm.instances import managed_instances
from sidelight.aws.ssm.inventory_times import inventory_times
from sidelight.fleet.agents import association_manager
from sidelight.fleet.agents.associations_plan import DATA_SYNC, INSPECTOR, OWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sidelight.aws.session import Session
    from sidelight.fleet.agents.association_manager import AssociationReport
    from sidelight.fleet.agents.associations_plan import SyncTarget
    from sidelight.model import ManagedInstance


class InAccountRegion(Protocol):
    """An account and Region."""

    @property
    def account(self) -> str: ...  # noqa: D102
    @property
    def region(self) -> str: ...  # noqa: D102


class SsmResources:
    """The agent-based method's resources in every account and Region.

    Each method raises AccessDeniedError or CloudError. `reports` has the last result of `ensure`
    by (account, region): its reason and detail are for coverage.
    """

    def __init__(self, session: Session, target: SyncTarget) -> None:
        self._session = session
        self._target = target
        self.reports: dict[tuple[str, str], AssociationReport] = {}

    def managed(self, place: InAccountRegion) -> Mapping[str, ManagedInstance]:
        """Return the instances that Systems Manager lists, by id, with their inventories' times.

        The times come from the bucket where a data sync writes to it, else from GetInventory.
        """
        found = {
            item.instance_id: item
            for item in managed_instances(self._session, place.account, place.region)
        }
        times = self._times(place) if found else {}
        return {name: replace(item, inventory_at=times.get(name)) for name, item in found.items()}

    def planned(self, place: InAccountRegion, wanted: object = None) -> Sequence[str]:
        """Return the names of what `ensure` would create."""
        del wanted  # the association is the same for all configurations
        plan = association_manager.preview(self._calls(place), self._target)
        return [
            *([plan.create.name] if plan.create is not None else []),
            *([plan.sync] if plan.sync else []),
        ]

    def ensure(self, place: InAccountRegion, wanted: object = None) -> Sequence[str]:
        """Create what is missing; return its names. A refusal is in `reports`."""
        del wanted
        report = association_manager.ensure(self._calls(place), self._target)
        self.reports[place.account, place.region] = report
        return report.made

    def present(self, place: InAccountRegion) -> Sequence[str]:
        """Return the names of what `remove` would remove."""
        return association_manager.removable(self._calls(place), self._target)

    def remove(self, place: InAccountRegion) -> Sequence[str]:
        """Remove everything that `ensure` created; return its names. What was adopted stays."""
        self.reports.pop((place.account, place.region), None)
        return association_manager.remove(self._calls(place), self._target).deleted

    def _calls(self, place: InAccountRegion) -> StateManager:
        return StateManager(self._session, place.account, place.region)

    def _times(self, place: InAccountRegion) -> Mapping[str, datetime]:
        if self._target.bucket and self._has_sync(place):
            objects = DataSyncObjects(
                self._session,
                self._target.bucket,
                place.account,
                place.region,
                self._target.prefix,
            )
            return objects.times()
        return inventory_times(self._session, place.account, place.region)

    def _has_sync(self, place: InAccountRegion) -> bool:
        report = self.reports.get((place.account, place.region))
        if report is not None:
            return report.has_sync
        names = {OWN + DATA_SYNC, INSPECTOR + DATA_SYNC}
        return any(
            sync.bucket == self._target.bucket and sync.name in names
            for sync in self._calls(place).data_syncs()
        )
