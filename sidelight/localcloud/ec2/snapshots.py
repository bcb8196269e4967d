"""EC2's calls for snapshots that hold bytes and take time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError, InvalidVolumeIdError

from sidelight.localcloud.ec2.base import checked
from sidelight.localcloud.ec2.instances import InstanceCalls
from sidelight.localcloud.ec2.listing import described, tags_of
from sidelight.localcloud.ec2.regions import RegionCalls
from sidelight.localcloud.ec2.snapshot_reads import SnapshotReads
from sidelight.localcloud.kms import shareable
from sidelight.localcloud.snapshot_store import ShelfSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

# Snapshots under way at once, by volume type.
CONCURRENT = {"st1": 1, "sc1": 1}
CONCURRENT_ELSE = 5


class MotoSnapshots(RegionCalls, InstanceCalls, SnapshotReads):
    """All of EC2, with the calls that make, share, lock and delete snapshots."""

    def create_snapshot(self) -> ActionResult:
        """CreateSnapshot: one volume's image, frozen now."""
        volume = self._sl_volume(self._get_param("VolumeId"))
        tags = self._sl_snapshot_tags()
        self._sl_room([volume])
        self.error_on_dryrun()
        return ActionResult(self._sl_create(volume, tags))

    def create_snapshots(self) -> ActionResult:
        """CreateSnapshots: all of an instance's volumes but those excluded, or none."""
        spec = self._get_param("InstanceSpecification", {})
        instance = self._sl_instance(spec.get("InstanceId", ""))
        volumes = self._sl_chosen(instance, spec)
        tags = self._sl_snapshot_tags()
        self._sl_room(volumes)
        self.error_on_dryrun()
        along = self._get_param("CopyTagsFromSource") == "volume"
        created: list[dict[str, Any]] = []
        try:
            for volume in volumes:
                own = self.ec2_backend.tags.get(volume.id, {}) if along else {}
                created.append(self._sl_create(volume, {**own, **tags}))
        except EC2ClientError:
            for one in created:
                self._sl_remove(one["SnapshotId"])
            raise
        return ActionResult({"Snapshots": created})

    def copy_snapshot(self) -> ActionResult:
        """CopySnapshot: from the caller's view of another region, or of this one."""
        source_id = self._get_param("SourceSnapshotId") or ""
        region = self._get_param("SourceRegion") or self.region
        source = self.shelf.find(source_id, self.current_account, region, self._sl_connection())
        if source is None:
            raise self._sl_absent(source_id)
        if source.status != "completed":
            raise self._sl_refused("IncorrectState", source_id)
        tags = self._sl_snapshot_tags()
        self.error_on_dryrun()
        description = self._get_param("Description")
        text = (
            description or f"[Copied {source_id} from {region}] {source.description or ''}".rstrip()
        )
        created = self.shelf.copy(self.ec2_backend, source, text)
        kms_key = self._get_param("KmsKeyId")
        if kms_key or self._get_bool_param("Encrypted", False):
            created.encrypted, created.kms_key_id = True, kms_key
        created.add_tags(tags)
        return ActionResult({"SnapshotId": created.id, "Tags": tags_of(created)})

    def delete_snapshot(self) -> EmptyResult:
        """DeleteSnapshot: the owner's own, at any state."""
        snapshot = self._sl_snapshot()
        self.error_on_dryrun()
        if snapshot.locked_until > self.shelf.clock.now():
            # "A locked snapshot can't be deleted": LockSnapshot's reference. The code is our guess.
            message = f"Snapshot '{snapshot.id}' is locked."
            raise EC2ClientError("OperationNotPermitted", message)
        if self.shelf.conditions.lists_deleted and snapshot.status == "pending":
            self.shelf.delete_when_done(snapshot)
        else:
            self._sl_remove(snapshot.id)
        return EmptyResult()

    def lock_snapshot(self) -> ActionResult:
        """LockSnapshot: pending or completed, for some days. Only the governance mode is here."""
        snapshot = self._sl_snapshot()
        days = int(self._get_param("LockDuration") or 1)
        self.error_on_dryrun()
        snapshot.locked_until = self.shelf.clock.now() + days * 86400
        return ActionResult(
            {"SnapshotId": snapshot.id, "LockState": "governance", "LockDuration": days}
        )

    def modify_snapshot_attribute(self) -> EmptyResult:
        """ModifySnapshotAttribute: createVolumePermission, in both of the forms EC2 takes."""
        snapshot = self._sl_snapshot()
        permission = self._get_param("CreateVolumePermission") or {}
        operation = self._get_param("OperationType")
        plain = {
            "UserId": self._get_param("UserIds", []),
            "Group": self._get_param("GroupNames", []),
        }
        self.error_on_dryrun()
        if not shareable(snapshot):
            raise self._sl_refused("OperationNotPermitted")
        if self.shelf.conditions.shares_completed_only and snapshot.status != "completed":
            raise self._sl_refused("IncorrectState", snapshot.id)
        for kind, held in (
            ("UserId", snapshot.create_volume_permission_userids),
            ("Group", snapshot.create_volume_permission_groups),
        ):
            added = [item[kind] for item in permission.get("Add", []) if kind in item]
            removed = [item[kind] for item in permission.get("Remove", []) if kind in item]
            held.update(added + (plain[kind] if operation == "add" else []))
            held.difference_update(removed + (plain[kind] if operation == "remove" else []))
        if isinstance(snapshot, ShelfSnapshot):
            for account in sorted(snapshot.create_volume_permission_userids):
                snapshot.shared.setdefault(account, self.shelf.clock.now())
            for account in set(snapshot.shared) - snapshot.create_volume_permission_userids:
                del snapshot.shared[account]
        return EmptyResult()

    def _sl_volume(self, volume_id: str | None) -> object:
        volume = self.ec2_backend.volumes.get(checked(volume_id or "", "vol"))
        if volume is None:
            raise InvalidVolumeIdError(volume_id)
        if volume.status == "creating":
            raise EC2ClientError("IncorrectState", f"Volume '{volume_id}' is 'creating'.")
        return volume

    def _sl_room(self, volumes: Iterable[Any]) -> None:
        """Raise where the account or a volume has too many under way, or the last is too new."""
        volumes = list(volumes)
        conditions = self.shelf.conditions
        most = conditions.snapshot_limit
        pending = self.shelf.pending(self.current_account, self.region)
        if most and pending + len(volumes) > most:
            raise self._sl_refused("PendingSnapshotLimitExceeded")
        for volume in volumes:
            making = self.shelf.making(volume.id)
            if len(making) >= CONCURRENT.get(volume.volume_type, CONCURRENT_ELSE):
                raise self._sl_refused("ConcurrentSnapshotLimitExceeded")
            apart = self.shelf.clock.now() - max(making, default=0.0)
            if apart < conditions.snapshot_interval:
                raise self._sl_refused("SnapshotCreationPerVolumeRateExceeded")

    def _sl_snapshot_tags(self) -> dict[str, str]:
        found = self._parse_tag_specification()
        others = sorted(set(found) - {"snapshot"})
        if others:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"'{others[0]}' is not a valid taggable resource type for this operation.",
            )
        tags: dict[str, str] = found.get("snapshot", {})
        return tags

    def _sl_create(self, volume: Any, tags: dict[str, str]) -> dict[str, Any]:
        try:
            created = self.shelf.create(
                self.ec2_backend, volume, self._get_param("Description") or ""
            )
        except OSError as error:
            raise EC2ClientError(
                "InternalError", f"The image of {volume.id} cannot be frozen: {error}"
            ) from error
        created.add_tags(tags)
        # However short it takes, the answer to the creation says pending, as EC2's does.
        return described(created, self.current_account) | {"State": "pending", "Progress": ""}

    def _sl_remove(self, snapshot_id: str) -> None:
        snapshot = self.ec2_backend.delete_snapshot(snapshot_id)
        if isinstance(snapshot, ShelfSnapshot):
            self.shelf.delete(self.ec2_backend, snapshot)
