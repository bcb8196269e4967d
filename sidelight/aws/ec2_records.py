"""Instances, volumes and snapshots as EC2 describes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from sidelight.aws.answers import required
from sidelight.model import Instance, Volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_ec2.type_defs import (
        InstanceTypeDef,
        SnapshotInfoTypeDef,
        SnapshotTypeDef,
        TagTypeDef,
        VolumeTypeDef,
    )

# `User initiated (2026-01-31 10:00:00 GMT)`: the StateTransitionReason of DescribeInstances.
_TRANSITION = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")
ENDED = ("terminated", "shutting-down")
RECYCLED = "recoverable"  # a snapshot that was deleted, and that a Recycle Bin rule keeps


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot as EC2 describes it.

    `state` is pending, completed, error, recoverable (in the Recycle Bin), or recovering from it.
    """

    id: str
    volume: str
    state: str
    description: str = ""
    started_at: datetime | None = None
    tags: tuple[tuple[str, str], ...] = ()
    size_gib: int = 0
    message: str = ""  # why it is in `error`
    owner: str = ""  # the account
    completed_at: datetime | None = None
    kms_key_id: str = ""  # empty: not encrypted
    storage_tier: str = ""  # standard or archive
    outpost: str = ""  # the ARN of the Outpost that stores it

    def tag(self, key: str) -> str:
        """Return a tag's value; empty if the tag is missing."""
        return dict(self.tags).get(key, "")


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """An instance's present state in EC2, and the EBS volumes mapped to it, by id."""

    state: str
    volumes: frozenset[str]

    @property
    def ended(self) -> bool:
        """Whether it is terminated, or about to be."""
        return self.state in ENDED


def state_of(described: InstanceTypeDef) -> str:
    """Return an instance's state; empty where it is missing."""
    return str(described.get("State", {}).get("Name", ""))


def volume_ids(described: InstanceTypeDef) -> dict[str, str]:
    """Return device -> volume; the root device first, then by name, in the kernel's order."""
    root = described.get("RootDeviceName", "")
    mapped = {
        mapping.get("DeviceName", ""): mapping["Ebs"]["VolumeId"]
        for mapping in described.get("BlockDeviceMappings", ())
        if "VolumeId" in mapping.get("Ebs", {})
    }
    return dict(sorted(mapped.items(), key=lambda item: (item[0] != root, item[0])))


def instance_of(
    described: InstanceTypeDef,
    volumes: Mapping[str, VolumeTypeDef],
    account: str,
    region: str,
) -> Instance:
    """Return an Instance from a described one and its described volumes by id."""
    tags = _tags(described.get("Tags", ()))
    return Instance(
        id=required(described.get("InstanceId"), "InstanceId", "describe_instances"),
        account=account,
        region=region,
        state=state_of(described),
        volumes=tuple(
            _volume(volumes[volume_id], device, described.get("InstanceId", ""))
            for device, volume_id in volume_ids(described).items()
            if volume_id in volumes
        ),
        tags=tags,
        name=dict(tags).get("Name", ""),
        root_device_type=described.get("RootDeviceType", "ebs"),
        platform=described.get("Platform", ""),
        launched_at=described.get("LaunchTime"),
        type=described.get("InstanceType", ""),
        image_id=described.get("ImageId", ""),
        vpc_id=described.get("VpcId", ""),
        subnet_id=described.get("SubnetId", ""),
        public_ipv4=_public_ipv4(described),
        private_ipv4=_private_ipv4(described),
        ipv6_addresses=_ipv6_addresses(described),
        key_name=described.get("KeyName", ""),
        instance_profile=described.get("IamInstanceProfile", {}).get("Arn", ""),
        security_groups=tuple(
            sorted(group.get("GroupId", "") for group in described.get("SecurityGroups", ()))
        ),
        architecture=described.get("Architecture", ""),
        stopping_at=_stopping_at(described),
    )


def _stopping_at(described: InstanceTypeDef) -> datetime | None:
    """Return when a stopped instance's stop was asked for; None where EC2 does not say it."""
    if state_of(described) != "stopped":
        return None
    match = _TRANSITION.search(described.get("StateTransitionReason", ""))
    try:
        return datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match else None
    except ValueError:
        return None


def _public_ipv4(described: InstanceTypeDef) -> tuple[str, ...]:
    return _addresses(
        described.get("PublicIpAddress", ""),
        (
            part.get("Association", {}).get("PublicIp", "")
            for interface in described.get("NetworkInterfaces", ())
            for part in (interface, *interface.get("PrivateIpAddresses", ()))
        ),
    )


def _private_ipv4(described: InstanceTypeDef) -> tuple[str, ...]:
    return _addresses(
        described.get("PrivateIpAddress", ""),
        (
            address.get("PrivateIpAddress", "")
            for interface in described.get("NetworkInterfaces", ())
            for address in interface.get("PrivateIpAddresses", ())
        ),
    )


def _ipv6_addresses(described: InstanceTypeDef) -> tuple[str, ...]:
    return _addresses(
        described.get("Ipv6Address", ""),
        (
            address.get("Ipv6Address", "")
            for interface in described.get("NetworkInterfaces", ())
            for address in interface.get("Ipv6Addresses", ())
        ),
    )


def _addresses(primary: str, others: Iterable[str]) -> tuple[str, ...]:
    """Return the primary address, then the others sorted: the same in each answer of EC2."""
    return tuple(dict.fromkeys(filter(None, (primary, *sorted(others)))))


def _volume(described: VolumeTypeDef, device: str, instance_id: str) -> Volume:
    attached_at = [
        attachment.get("AttachTime")
        for attachment in described.get("Attachments", ())
        if attachment.get("InstanceId") == instance_id
    ]
    return Volume(
        id=required(described.get("VolumeId"), "VolumeId", "describe_volumes"),
        device=device,
        size_gib=described.get("Size", 0),
        type=described.get("VolumeType", ""),
        encrypted=bool(described.get("Encrypted", False)),
        kms_key_id=described.get("KmsKeyId") or "",
        tags=_tags(described.get("Tags", ())),
        attached_at=attached_at[0] if attached_at else None,
        multi_attach=bool(described.get("MultiAttachEnabled", False)),
    )


def snapshot_of(described: SnapshotTypeDef | SnapshotInfoTypeDef) -> SnapshotInfo:
    """Return a SnapshotInfo from a described snapshot, or from one of CreateSnapshots."""
    described = cast("SnapshotTypeDef", described)  # which has all members of the other
    return SnapshotInfo(
        id=required(described.get("SnapshotId"), "SnapshotId", "describe_snapshots"),
        volume=described.get("VolumeId", ""),
        # moto's CreateSnapshots answers without a state; AWS's says pending.
        state=described.get("State") or "pending",
        description=described.get("Description", ""),
        started_at=described.get("StartTime"),
        tags=_tags(described.get("Tags", ())),
        size_gib=described.get("VolumeSize", 0),
        message=described.get("StateMessage", ""),
        owner=described.get("OwnerId", ""),
        completed_at=described.get("CompletionTime"),
        kms_key_id=described.get("KmsKeyId", "") if described.get("Encrypted") else "",
        storage_tier=described.get("StorageTier", ""),
        outpost=described.get("OutpostArn", ""),
    )


def _tags(described: Iterable[TagTypeDef]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((tag.get("Key", ""), tag.get("Value", "")) for tag in described))
