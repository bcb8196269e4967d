"""EC2's calls for snapshots and regions, in front of moto's own.

moto parses the request and writes the answer by botocore's model; what stands here is what the
calls mean. Facts: the EC2 API reference and its list of error codes.
"""

from __future__ import annotations

import re
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError, InvalidInstanceIdError, InvalidVolumeIdError
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.ec2.responses import EC2Response
from moto.utilities.utils import get_partition

from sidelight.localcloud.ec2_listing import described, filtered, page_of, tags_of
from sidelight.localcloud.kms import shareable
from sidelight.localcloud.refusals import text
from sidelight.localcloud.snapshot_store import ShelfSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.localcloud.conditions import Conditions
    from sidelight.localcloud.snapshot_store import Shelf

# Snapshots under way at once, by volume type.
CONCURRENT = {"st1": 1, "sc1": 1}
CONCURRENT_ELSE = 5
# The header by which the control plane hands on the number of a request's connection.
CONNECTION = "x-sidelight-connection"
OPTED_IN, NOT_OPTED_IN = "opted-in", "not-opted-in"
_HEX = r"[0-9a-f]{8}(?:[0-9a-f]{9})?"


def opt_in_status(region: str, conditions: Conditions) -> str:
    """As DescribeRegions has it, for all accounts; empty where it is not looked at."""
    if not conditions.opt_in_regions:
        return ""
    known = {one.name: one.opt_in_status for one in RegionsAndZonesBackend.regions}
    status = str(known.get(region, ""))
    return OPTED_IN if status == NOT_OPTED_IN and region in conditions.opted_in else status


class MotoSnapshots(EC2Response):
    """moto's EC2 with snapshots that hold bytes and take time. `bind` makes one for a shelf."""

    shelf: ClassVar[Shelf]

    @classmethod
    def bind(cls, shelf: Shelf) -> type[MotoSnapshots]:
        """The same for this shelf: moto makes a new object for each request."""
        return type("BoundSnapshotCalls", (cls,), {"shelf": shelf})

    def describe_instances(self) -> ActionResult:
        """DescribeInstances: those that ended more than an hour ago are not listed."""
        self._sl_forget_ended()
        return super().describe_instances()

    def describe_network_interfaces(self) -> ActionResult:
        """DescribeNetworkInterfaces: as AWS, with the public address beside the private one too."""
        found = self.ec2_backend.get_all_network_interfaces(
            self._get_param("NetworkInterfaceIds", []), self._filters_from_querystring()
        )
        self.error_on_dryrun()
        shown = []
        for interface in found:
            one = copy(interface)
            one.private_ip_addresses = interface.instance_private_ip_address_list
            shown.append(one)
        return ActionResult({"NetworkInterfaces": shown})

    def describe_security_group_vpc_associations(self) -> ActionResult:
        """DescribeSecurityGroupVpcAssociations: none, since moto cannot associate a group."""
        return ActionResult({"SecurityGroupVpcAssociations": []})

    def describe_transit_gateway_connects(self) -> ActionResult:
        """DescribeTransitGatewayConnects: none, since moto cannot create a Connect attachment."""
        return ActionResult({"TransitGatewayConnects": []})

    def terminate_instances(self) -> ActionResult:
        """TerminateInstances, and when that was."""
        self._sl_forget_ended()
        answered = super().terminate_instances()
        for instance_id in self._get_param("InstanceIds", []):
            self.shelf.lags.note_end(str(instance_id))
        return answered

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
        made: list[dict[str, Any]] = []
        try:
            for volume in volumes:
                own = self.ec2_backend.tags.get(volume.id, {}) if along else {}
                made.append(self._sl_create(volume, {**own, **tags}))
        except EC2ClientError:
            for one in made:
                self._sl_remove(one["SnapshotId"])
            raise
        return ActionResult({"Snapshots": made})

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
        made = self.shelf.copy(self.ec2_backend, source, text)
        kms_key = self._get_param("KmsKeyId")
        if kms_key or self._get_bool_param("Encrypted", False):
            made.encrypted, made.kms_key_id = True, kms_key
        made.add_tags(tags)
        return ActionResult({"SnapshotId": made.id, "Tags": tags_of(made)})

    def describe_snapshots(self) -> ActionResult:
        """DescribeSnapshots: what the account may see, owned by whom it asks, filtered, paged."""
        ids = self._get_param("SnapshotIds", [])
        limit = self._get_param("MaxResults")
        if ids and limit is not None:
            raise EC2ClientError(
                "InvalidParameterCombination",
                "Name snapshots or ask for pages, not both.",
            )
        visible = self._sl_visible()
        if ids:
            missing = [_checked(i, "snap") for i in ids if i not in visible]
            if missing:
                raise self._sl_absent(missing[0])
            visible = {key: value for key, value in visible.items() if key in ids}
        found = filtered(
            self._sl_owned(visible.values()),
            self._get_param("Filters", []) or self._get_param("Filter", []),
            self.current_account,
        )
        page, following = page_of(
            sorted(found, key=lambda s: (s.start_time, s.id)), limit, self._get_param("NextToken")
        )
        self.error_on_dryrun()
        result: dict[str, Any] = {"Snapshots": [described(s, self.current_account) for s in page]}
        if following:
            result["NextToken"] = following
        return ActionResult(result)

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

    def list_snapshots_in_recycle_bin(self) -> ActionResult:
        """ListSnapshotsInRecycleBin: what was deleted, and is kept and billed."""
        wanted = self._get_param("SnapshotIds", [])
        kept = self.shelf.in_recycle_bin(self.current_account, self.region)
        return ActionResult(
            {
                "Snapshots": [
                    {
                        "SnapshotId": item.id,
                        "VolumeId": item.volume,
                        "Description": item.description,
                        "RecycleBinEnterTime": datetime.fromtimestamp(item.entered, UTC),
                        "RecycleBinExitTime": datetime.fromtimestamp(item.exits, UTC),
                    }
                    for item in kept
                    if not wanted or item.id in wanted
                ]
            }
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

    def describe_regions(self) -> ActionResult:
        """DescribeRegions: those enabled, or with AllRegions all, of the caller's partition."""
        self.error_on_dryrun()
        every = self._get_bool_param("AllRegions", False)
        regions = map(copy, self.ec2_backend.describe_regions(self._get_param("RegionNames", [])))
        found = []
        for region in regions:
            status = opt_in_status(region.name, self.shelf.conditions)
            region.opt_in_status = status or region.opt_in_status
            here = get_partition(region.name) == self.partition
            if here and (every or region.opt_in_status != NOT_OPTED_IN):
                found.append(region)
        return ActionResult({"Regions": found})

    # Names that EC2 has no action for: moto would take any method for one.

    def _sl_connection(self) -> int:
        return int(self.headers.get(CONNECTION, 0))

    def _sl_refused(self, code: str, resource_id: str = "") -> EC2ClientError:
        return EC2ClientError(code, text(code, self.shelf.conditions.texts, id=resource_id))

    def _sl_absent(self, snapshot_id: str) -> EC2ClientError:
        return self._sl_refused("InvalidSnapshot.NotFound", _checked(snapshot_id, "snap"))

    def _sl_snapshot(self) -> Any:
        """The account's own snapshot that the request names, if EC2 knows of it yet."""
        snapshot_id = _checked(self._get_param("SnapshotId") or "", "snap")
        self.shelf.finish_deletions()
        snapshot = self.ec2_backend.snapshots.get(snapshot_id)
        if snapshot is None or not self._sl_listed(snapshot):
            raise self._sl_absent(snapshot_id)
        return snapshot

    def _sl_listed(self, snapshot: Any) -> bool:
        mine = isinstance(snapshot, ShelfSnapshot)
        return not mine or self.shelf.lags.listed(snapshot, self._sl_connection())

    def _sl_volume(self, volume_id: str | None) -> object:
        volume = self.ec2_backend.volumes.get(_checked(volume_id or "", "vol"))
        if volume is None:
            raise InvalidVolumeIdError(volume_id)
        if volume.status == "creating":
            raise EC2ClientError("IncorrectState", f"Volume '{volume_id}' is 'creating'.")
        return volume

    def _sl_forget_ended(self) -> None:
        ended = self.shelf.lags.forgotten()
        for reservation in self.ec2_backend.reservations.values() if ended else ():
            kept = [one for one in reservation.instances if one.id not in ended]
            reservation.instances = kept

    def _sl_instance(self, instance_id: str) -> object:
        _checked(instance_id, "i")
        self._sl_forget_ended()
        for instance in self.ec2_backend.all_instances():
            if instance.id == instance_id:
                if not self.shelf.lags.launched(instance_id, self._sl_connection()):
                    break
                if instance.state not in ("running", "stopping", "stopped"):
                    raise EC2ClientError(
                        "IncorrectState", f"The instance '{instance_id}' is {instance.state}."
                    )
                return instance
        raise InvalidInstanceIdError(instance_id)

    def _sl_chosen(self, instance: Any, spec: dict[str, Any]) -> list[Any]:
        """The volumes to take. Raises where an exclusion names none, or leaves none."""
        excluded = set(spec.get("ExcludeDataVolumeIds") or [])
        mapping = {d: b.volume_id for d, b in instance.get_block_device_mapping}
        if not mapping:
            raise self._sl_refused("InvalidParameterValue", instance.id)
        root = mapping.get(instance.root_device_name)
        strangers = sorted(excluded - (set(mapping.values()) - {root}))
        if strangers:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"{', '.join(strangers)} cannot be excluded: not a data volume of {instance.id}",
            )
        if spec.get("ExcludeBootVolume") and root is not None:
            excluded.add(root)
        chosen = [volume for volume in mapping.values() if volume not in excluded]
        if not chosen:
            raise EC2ClientError(
                "InvalidParameterCombination", f"No volume of {instance.id} is left to snapshot."
            )
        return [self.ec2_backend.get_volume(volume) for volume in chosen]

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
            made = self.shelf.create(self.ec2_backend, volume, self._get_param("Description") or "")
        except OSError as error:
            raise EC2ClientError(
                "InternalError", f"The image of {volume.id} cannot be frozen: {error}"
            ) from error
        made.add_tags(tags)
        # However short it takes, the answer to the creation says pending, as EC2's does.
        return described(made, self.current_account) | {"State": "pending", "Progress": ""}

    def _sl_remove(self, snapshot_id: str) -> None:
        snapshot = self.ec2_backend.delete_snapshot(snapshot_id)
        if isinstance(snapshot, ShelfSnapshot):
            self.shelf.delete(self.ec2_backend, snapshot)

    def _sl_visible(self) -> dict[str, object]:
        self.shelf.finish_deletions()
        own: dict[str, object] = dict(self.ec2_backend.snapshots)
        here = (self.current_account, self.region, self._sl_connection())
        for snapshot in list(self.shelf.snapshots.values()):
            if self.shelf.find(snapshot.id, *here) is not None:
                own.setdefault(snapshot.id, snapshot)
        return {key: value for key, value in own.items() if self._sl_listed(value)}

    def _sl_owned(self, snapshots: Iterable[Any]) -> list[Any]:
        account = self.current_account
        owners = self._get_param("OwnerIds", [])
        restorers = self._get_param("RestorableByUserIds", [])
        found = list(snapshots)
        if owners:
            wanted = {account if owner == "self" else owner for owner in owners}
            found = [s for s in found if s.owner_id in wanted]
        if restorers:
            wanted = {account if user == "self" else user for user in restorers}
            found = [
                s
                for s in found
                if s.owner_id in wanted
                or wanted & s.create_volume_permission_userids
                or wanted & s.create_volume_permission_groups
            ]
        return found


_MALFORMED = {
    "snap": "InvalidSnapshotID.Malformed",
    "vol": "InvalidParameterValue",
    "i": "InvalidInstanceID.Malformed",
}


def _checked(resource_id: str, prefix: str) -> str:
    if re.fullmatch(f"{prefix}-{_HEX}", resource_id) is None:
        raise EC2ClientError(_MALFORMED[prefix], f'Invalid id: "{resource_id}"')
    return resource_id
