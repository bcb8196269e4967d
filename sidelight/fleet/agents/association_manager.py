"""Creates, verifies and removes the resources of agent-based scanning in an account and Region.

Called when scanning is enabled, at every interval, and when it is disabled. Each call compares
what is there with what is needed, so a second call changes nothing and a deleted association is
made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from sidelight.aws.ssm.associations import INVALID_SYNC
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
FAILING: Final = "INTERNAL_ERROR"
FAILING_REMEDY: Final = (
    "check that the bucket is there, and that its policy and its key let ssm.amazonaws.com write;"
    " until then inventories are read by ListInventoryEntries, 50 entries a call"
)
NO_NAME: Final = (
    "the data syncs of Sidelight's names write below other prefixes of the bucket: delete the one"
    " that is not needed; until then inventories are read by ListInventoryEntries, 50 entries a"
    " call"
)
COLLECTS_NOTHING: Final = "NO_INVENTORY"
NO_BUCKET: Final = (
    "no bucket for resource data syncs is set: inventories are read by ListInventoryEntries"
)


_SHOWN: Final = 200  # characters of a service's message


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
    state = _synced(calls, wanted, target)
    if state.is_created:
        created.append(wanted.sync)
    reason, detail = state.reason, state.detail
    if wanted.adopted and (fault := _gathers_nothing(calls, wanted.adopted)):
        reason, detail = COLLECTS_NOTHING, fault
    return AssociationReport(
        tuple(created), tuple(deleted), wanted.adopted, state.is_there, reason, detail
    )


class _SyncState(NamedTuple):
    """Whether inventories come into the bucket; else the coverage reason, and what to do."""

    is_there: bool
    is_created: bool = False
    reason: str = ""
    detail: str = ""


def _synced(calls: AssociationCalls, wanted: AssociationsPlan, target: SyncTarget) -> _SyncState:
    """Create the data sync that is missing. Without one, the round reads by the API."""
    if not target.bucket:
        return _SyncState(is_there=False, detail=NO_BUCKET)
    if wanted.failing is not None:
        name, why = wanted.failing.name, wanted.failing.message or "no reason is given"
        detail = f"the data sync {name} failed: {why[:_SHOWN]}: {FAILING_REMEDY}"
        return _SyncState(is_there=False, reason=FAILING, detail=detail)
    if wanted.has_sync:
        return _SyncState(is_there=True)
    return _created_sync(calls, wanted.sync, target)


def _created_sync(calls: AssociationCalls, name: str, target: SyncTarget) -> _SyncState:
    """Create a data sync; without a name none can be."""
    if not name:
        return _SyncState(is_there=False, reason=FAILING, detail=NO_NAME)
    try:
        is_created = calls.create_data_sync(name, target.bucket, target.region, target.prefix)
    except CloudError as error:
        if error.code != INVALID_SYNC:
            raise
        return _SyncState(is_there=False, reason=FAILING, detail=f"{error}: {FAILING_REMEDY}")
    if not is_created:
        return _SyncState(is_there=False, reason=NO_SYNC, detail=NO_SYNC_REMEDY)
    return _SyncState(is_there=True, is_created=True)


def _gathers_nothing(calls: AssociationCalls, association: str) -> str:
    """Return why the account's own association collects no software, "" if it does."""
    if tuple(calls.parameters(association).get("applications", ())) != ("Disabled",):
        return ""
    return (
        f"the account's own inventory association {association} collects no applications, and an"
        " agent runs one for all instances: set its parameter applications to Enabled, or delete"
        " it, and Sidelight makes its own"
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
