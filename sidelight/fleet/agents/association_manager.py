"""Creates, verifies and removes the resources of agent-based scanning in an account and Region.

Called when scanning is enabled, at every interval, and when it is disabled. Each call compares
what is there with what is needed, so a second call changes nothing and a deleted association is
made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sidelight.errors import AccessDeniedError, CloudError
from sidelight.fleet.agents.associations_plan import PARAMETERS, plan, removal, spec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.aws.ssm.associations import AssociationInfo, AssociationSpec, DataSyncInfo
    from sidelight.fleet.agents.associations_plan import AssociationsPlan, SyncTarget

DENIED: Final = "ACCESS_DENIED"
NO_SYNC: Final = "EC2_SSM_RESOURCE_DATA_SYNC_LIMIT_EXCEEDED"
NO_SYNC_REMEDY: Final = (
    "the account has as many resource data syncs in this Region as AWS allows (5): delete one, or"
    " ask for a higher quota; until then inventories are read by ListInventoryEntries, 50 entries a"
    " call"
)
NO_BUCKET: Final = (
    "no bucket for resource data syncs is set: inventories are read by ListInventoryEntries"
)


class AssociationCalls(Protocol):
    """The calls that the manager makes (sidelight.aws.ssm.associations.StateManager)."""

    def associations(self) -> list[AssociationInfo]: ...  # noqa: D102 - StateManager's
    def create(self, spec: AssociationSpec) -> str: ...  # noqa: D102
    def update(self, association_id: str, spec: AssociationSpec) -> None: ...  # noqa: D102
    def parameters(self, association_id: str) -> Mapping[str, Sequence[str]]: ...  # noqa: D102
    def delete(self, association_id: str) -> None: ...  # noqa: D102
    def data_syncs(self) -> list[DataSyncInfo]: ...  # noqa: D102
    def create_data_sync(  # noqa: D102
        self, name: str, bucket: str, bucket_region: str, prefix: str
    ) -> bool: ...
    def delete_data_sync(self, name: str) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class AssociationReport:
    """The result for one account and Region.

    `made` and `deleted` name associations and data syncs. `reason` is a coverage reason where
    something is missing, `detail` says what to do about it. `adopted`: the account's own
    association. `has_sync`: whether inventories are in the bucket.
    """

    created: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    adopted: str = ""
    has_sync: bool = False
    reason: str = ""
    detail: str = ""


def ensure(calls: AssociationCalls, target: SyncTarget) -> AssociationReport:
    """Create what is missing. A refusal is a report with the reason ACCESS_DENIED, not an error.

    Raises CloudError for every other failure: the next interval tries again.
    """
    try:
        return _ensure(calls, target)
    except AccessDeniedError as error:
        return AssociationReport(reason=DENIED, detail=str(error))


def preview(calls: AssociationCalls, target: SyncTarget) -> AssociationsPlan:
    """Return the plan of `ensure`, without a change."""
    return plan(calls.associations(), calls.data_syncs(), target)


def _ensure(calls: AssociationCalls, target: SyncTarget) -> AssociationReport:
    wanted = preview(calls, target)
    created: list[str] = []
    deleted: list[str] = []
    if wanted.create is not None:
        calls.create(wanted.create)
        created.append(wanted.create.name)
    elif wanted.own and _is_changed(calls.parameters(wanted.own)):
        calls.update(wanted.own, spec(wanted.prefix, wanted.own_schedule))
        created.append(spec(wanted.prefix).name)
    for association in wanted.obsolete:
        calls.delete(association)
        deleted.append(association)
    reason, detail, has_sync = "", "", bool(target.bucket)
    if not target.bucket:
        detail = NO_BUCKET
    elif wanted.sync:
        has_sync = calls.create_data_sync(wanted.sync, target.bucket, target.region, target.prefix)
        if has_sync:
            created.append(wanted.sync)
        else:
            reason, detail = NO_SYNC, NO_SYNC_REMEDY
    return AssociationReport(
        tuple(created), tuple(deleted), wanted.adopted, has_sync, reason, detail
    )


def _is_changed(parameters: Mapping[str, Sequence[str]]) -> bool:
    """Return whether somebody changed the parameters of our association."""
    return any(
        tuple(parameters.get(name, ())) != values
        for name, values in PARAMETERS.items()
        if values != ("Disabled",)
    )


def removable(calls: AssociationCalls, target: SyncTarget) -> tuple[str, ...]:
    """Return the names of the resources that `remove` would delete."""
    known = calls.associations()
    ids, syncs = removal(known, calls.data_syncs(), target)
    return (*(item.name for item in known if item.id in ids), *syncs)


def remove(calls: AssociationCalls, target: SyncTarget) -> AssociationReport:
    """Delete what Sidelight created, without what it adopted.

    Every deletion is tried, and the first failure is raised at the end (CloudError).
    """
    known = calls.associations()
    ids, syncs = removal(known, calls.data_syncs(), target)
    names = {item.id: item.name for item in known}
    deleted: list[str] = []
    failure: CloudError | AccessDeniedError | None = None
    for delete, keys in ((calls.delete, ids), (calls.delete_data_sync, syncs)):
        for key in keys:
            try:
                delete(key)
            except (CloudError, AccessDeniedError) as error:
                failure = failure or error
            else:
                deleted.append(names.get(key, key))
    if failure is not None:
        raise failure
    return AssociationReport(deleted=tuple(deleted))
