"""The resources of agent-based scanning in an account and Region, and their changes. PURE.

Names are Amazon Inspector's, so that what knows them keeps working. Where Amazon Inspector itself
scans the account, they are its own: Sidelight then uses its own prefix, and never changes or
deletes an association under Inspector's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.aws.ssm.associations import AssociationSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.aws.ssm.associations import AssociationInfo, DataSyncInfo

INSPECTOR: Final = "Inspector"
OWN: Final = "Sidelight"
COLLECTION: Final = "InventoryCollection-do-not-delete"
DATA_SYNC: Final = "ResourceDataSync-do-not-delete"
DOCUMENT: Final = "AWS-GatherSoftwareInventory"
FAILED: Final = "Failed"  # LastStatus of a data sync
SCHEDULE: Final = "rate(30 minutes)"
# The registry values that complete a build of Windows (docs/windows-and-macos.md).
REGISTRY: Final = (
    r'[{"Path":"HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",'
    r'"Recursive":false,"ValueNames":["CurrentBuild","UBR"]}]'
)
PARAMETERS: Final = {
    "applications": ("Enabled",),
    "awsComponents": ("Disabled",),
    "billingInfo": ("Disabled",),
    "customInventory": ("Disabled",),
    "instanceDetailedInformation": ("Enabled",),
    "networkConfig": ("Disabled",),
    "services": ("Disabled",),
    "windowsRoles": ("Disabled",),
    "windowsUpdates": ("Enabled",),
    "windowsRegistry": (REGISTRY,),
}


@dataclass(frozen=True, slots=True)
class SyncTarget:
    """The deployment's bucket for inventories."""

    bucket: str
    region: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class AssociationsPlan:
    """The changes to make. `adopted` is the id of an association that the account had already.

    `own` is the id of ours, which may have another schedule by now. `obsolete` are ids of our own
    second associations; `sync` is the name of the data sync to make, empty if one is there or no
    name is free. `failing` is the one that serves us and whose last run failed.
    """

    prefix: str
    create: AssociationSpec | None = None
    adopted: str = ""
    own: str = ""
    own_schedule: str = ""
    obsolete: tuple[str, ...] = ()
    sync: str = ""
    has_sync: bool = False
    failing: DataSyncInfo | None = None

    @property
    def changes(self) -> bool:
        """Whether there is anything to create or delete."""
        return bool(self.create or self.obsolete or self.sync)


def inspector_scans(syncs: Sequence[DataSyncInfo], bucket: str) -> bool:
    """Return whether Amazon Inspector itself scans here: its data sync leads to its own bucket."""
    return any(sync.name == INSPECTOR + DATA_SYNC and sync.bucket != bucket for sync in syncs)


def spec(prefix: str, schedule: str = "") -> AssociationSpec:
    """Return the inventory association under a prefix, by default every 30 minutes."""
    return AssociationSpec(prefix + COLLECTION, DOCUMENT, schedule or SCHEDULE, PARAMETERS)


def plan(
    associations: Sequence[AssociationInfo], syncs: Sequence[DataSyncInfo], target: SyncTarget
) -> AssociationsPlan:
    """Return what is missing for scanning.

    An inventory association on all instances that is not ours is adopted: no second one is
    created, since an agent runs one AWS-GatherSoftwareInventory of all instances at a time.
    """
    prefix = OWN if inspector_scans(syncs, target.bucket) else INSPECTOR
    name = prefix + COLLECTION
    gathering = [
        item for item in associations if item.document == DOCUMENT and "*" in item.instances
    ]
    own = [item for item in gathering if item.name == name]
    others = [item.id for item in gathering if item.name not in {name, INSPECTOR + COLLECTION}]
    if prefix == OWN:
        # Inspector's own association collects for us as well.
        others += [item.id for item in gathering if item.name == INSPECTOR + COLLECTION]
    adopted = others[0] if others and not own else ""
    serving = [sync for sync in syncs if serves(sync, target)]
    taken = {sync.name for sync in syncs}
    # One of Inspector's name that writes below another prefix may be another deployment's.
    names = [start + DATA_SYNC for start in dict.fromkeys((prefix, OWN))]
    free = next((one for one in names if one not in taken), "")
    return AssociationsPlan(
        prefix=prefix,
        create=None if own or adopted else spec(prefix),
        adopted=adopted,
        own=own[0].id if own else "",
        own_schedule=own[0].schedule if own else "",
        obsolete=tuple(item.id for item in own[1:]),
        has_sync=bool(serving),
        sync="" if serving or not target.bucket else free,
        failing=serving[0] if serving and all(s.status == FAILED for s in serving) else None,
    )


def serves(sync: DataSyncInfo, target: SyncTarget) -> bool:
    """Return whether a data sync writes where the deployment reads."""
    is_below = sync.prefix.strip("/") == target.prefix.strip("/")
    return sync.bucket == target.bucket and is_below


def removal(
    associations: Sequence[AssociationInfo], syncs: Sequence[DataSyncInfo], target: SyncTarget
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return ids of associations and names of data syncs to delete when scanning is disabled.

    What was adopted stays. Inspector's names are left alone where Inspector itself scans.
    """
    prefixes = {OWN} if inspector_scans(syncs, target.bucket) else {OWN, INSPECTOR}
    names = {prefix + COLLECTION for prefix in prefixes}
    ids = tuple(
        item.id for item in associations if item.document == DOCUMENT and item.name in names
    )
    own_syncs = tuple(
        sync.name
        for sync in syncs
        if sync.name in {prefix + DATA_SYNC for prefix in (OWN, INSPECTOR)}
        and sync.bucket == target.bucket
    )
    return ids, own_syncs
