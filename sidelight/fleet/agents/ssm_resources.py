"""Systems Manager for the dispatcher: instances, and the resources that collect inventories."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeGuard

from sidelight.aws.ssm.associations import StateManager
from sidelight.aws.ssm.data_sync_objects import DataSyncObjects
from sidelight.aws.ssm.documents import Documents
from sidelight.aws.ssm.instances import managed_instances
from sidelight.aws.ssm.inventory_times import inventory_times
from sidelight.errors import AccessDeniedError, CloudError
from sidelight.fleet.agents import association_manager
from sidelight.fleet.agents.association_manager import DENIED
from sidelight.fleet.agents.associations_plan import FAILED, serves
from sidelight.fleet.agents.deep_inspection.resources import (
    DeepReport,
    DeepResources,
    posix_paths,
)
from sidelight.fleet.agents.listed_once import ListedOnce
from sidelight.model import CreatedResource, DeepLimits, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sidelight.aws.session import Session
    from sidelight.fleet.agents.association_manager import AssociationReport
    from sidelight.fleet.agents.associations_plan import SyncTarget
    from sidelight.model import EffectiveConfiguration, ManagedInstance

DEFAULT_LIMITS = DeepLimits()


def _is_deep(wanted: EffectiveConfiguration | None) -> TypeGuard[EffectiveConfiguration]:
    return wanted is not None and wanted.deep_inspection


class InAccountRegion(Protocol):
    """An account and Region."""

    @property
    def account(self) -> str: ...  # noqa: D102
    @property
    def region(self) -> str: ...  # noqa: D102


class SsmResources:
    """The agent-based method's resources in every account and Region.

    Each method raises AccessDeniedError or CloudError. `reports` has the last result of `ensure`
    by (account, region): its reason and detail are for coverage. `deep_reports` has those of deep
    inspection where it is on.
    """

    def __init__(
        self,
        session: Session,
        target: SyncTarget,
        record: Callable[[CreatedResource], None] = lambda _resource: None,
        limits: DeepLimits = DEFAULT_LIMITS,
    ) -> None:
        """`record` is called before something is created in an account and Region.

        Raises UsageError for paths of deep inspection that cannot be asked for.
        """
        self._session = session
        self._target = target
        self._record = record
        posix_paths(limits.paths)
        self.limits = limits
        self.reports: dict[tuple[str, str], AssociationReport] = {}
        self.deep_reports: dict[tuple[str, str], DeepReport] = {}

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

    def planned(
        self, place: InAccountRegion, wanted: EffectiveConfiguration | None = None
    ) -> Sequence[str]:
        """Return the names of the resources that `ensure` would create."""
        calls = self._calls(place)
        plan = association_manager.preview(calls, self._target)
        return [
            *([plan.create.name] if plan.create is not None else []),
            *([plan.sync] if plan.sync else []),
            *(self._deep(place, calls).planned(wanted.package_paths) if _is_deep(wanted) else ()),
        ]

    def ensure(
        self, place: InAccountRegion, wanted: EffectiveConfiguration | None = None
    ) -> Sequence[str]:
        """Create what is missing; return its names. Refusals are in the reports.

        Where `wanted` has no deep inspection, what it needs is removed.
        """
        calls = self._calls(place)
        key = place.account, place.region
        resource = CreatedResource(*key, ResourceKind.SYSTEMS_MANAGER, self._target.bucket)
        if key not in self.reports:
            self._record(resource)
        created = self._ensure(place, wanted, calls)
        if created:
            # Again: what was recorded was removed if the account was disabled meanwhile.
            self._record(resource)
        return created

    def _ensure(
        self, place: InAccountRegion, wanted: EffectiveConfiguration | None, calls: ListedOnce
    ) -> Sequence[str]:
        key = place.account, place.region
        report = self.reports[key] = association_manager.ensure(calls, self._target)
        if report.reason == DENIED or wanted is None:
            if report.reason == DENIED and _is_deep(wanted):
                # Its results are still in the bucket, and count: it was not switched off.
                self.deep_reports[key] = DeepReport(detail=report.detail)
            return report.created
        deep = self._deep(place, calls)
        if _is_deep(wanted):
            found = self.deep_reports[key] = deep.ensure(wanted.package_paths)
            return (*report.created, *found.created)
        self.deep_reports.pop(key, None)
        if deep.has_association():
            deep.remove()
        return report.created

    def present(self, place: InAccountRegion) -> Sequence[str]:
        """Return the names of the resources that `remove` would remove."""
        calls = self._calls(place)
        own = association_manager.removable(calls, self._target)
        return (*own, *self._deep(place, calls).present())

    def remove(self, place: InAccountRegion) -> Sequence[str]:
        """Remove everything that `ensure` created; return its names. What was adopted stays.

        Every part is tried, and the first failure is raised at the end.
        """
        self.reports.pop((place.account, place.region), None)
        self.deep_reports.pop((place.account, place.region), None)
        calls = self._calls(place)
        removed: list[str] = []
        failure: CloudError | AccessDeniedError | None = None
        for work in (
            self._deep(place, calls).remove,
            lambda: association_manager.remove(calls, self._target).deleted,
        ):
            try:
                removed += work()
            except (CloudError, AccessDeniedError) as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return removed

    def _calls(self, place: InAccountRegion) -> ListedOnce:
        return ListedOnce(StateManager(self._session, place.account, place.region))

    def _deep(self, place: InAccountRegion, calls: ListedOnce) -> DeepResources:
        documents = Documents(self._session, place.account, place.region)
        return DeepResources(
            calls, documents, self._target, place.account, place.region, self.limits
        )

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
        syncs = self._calls(place).data_syncs()
        return any(serves(sync, self._target) and sync.status != FAILED for sync in syncs)
