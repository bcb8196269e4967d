"""Instances, volumes and snapshots as EC2 describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidelight.aws.answers import member
from sidelight.model import Instance, Volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

ENDED = ("terminated", "shutting-down")


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot as EC2 describes it. `state` is pending, completed, error or recoverable."""

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

    def tag(self, key: str) -> str:
        """Return a tag's value; empty if the tag is missing."""
        return dict(self.tags).get(key, "")


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """An instance's present state in EC2, and the number of EBS volumes mapped to it."""

    state: str
    volumes: int

    @property
    def ended(self) -> bool:
        """Whether it is terminated, or about to be."""
        return self.state in ENDED


def state_of(described: Mapping[str, Any]) -> str:
    """Return an instance's state; empty where it is missing."""
    return str(described.get("State", {}).get("Name", ""))


def volume_ids(described: Mapping[str, Any]) -> dict[str, str]:
    """Return device -> volume; the root device first, then by name, in the kernel's order."""
    root = described.get("RootDeviceName", "")
    mapped = {
        mapping.get("DeviceName", ""): mapping["Ebs"]["VolumeId"]
        for mapping in described.get("BlockDeviceMappings", ())
        if "VolumeId" in mapping.get("Ebs", {})
    }
    return dict(sorted(mapped.items(), key=lambda item: (item[0] != root, item[0])))


def instance_of(
    described: Mapping[str, Any],
    volumes: Mapping[str, Mapping[str, Any]],
    account: str,
    region: str,
) -> Instance:
    """Return an Instance from a described one and its described volumes by id."""
    tags = _tags(described.get("Tags", ()))
    return Instance(
        id=member(described, "InstanceId", "describe_instances"),
        account=account,
        region=region,
        state=state_of(described),
        volumes=tuple(
            _volume(volumes[volume_id], device)
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
    )


def _volume(described: Mapping[str, Any], device: str) -> Volume:
    return Volume(
        id=member(described, "VolumeId", "describe_volumes"),
        device=device,
        size_gib=described.get("Size", 0),
        type=described.get("VolumeType", ""),
        encrypted=bool(described.get("Encrypted", False)),
        kms_key_id=described.get("KmsKeyId") or "",
        tags=_tags(described.get("Tags", ())),
    )


def snapshot_of(described: Mapping[str, Any]) -> SnapshotInfo:
    """Return a SnapshotInfo from a described snapshot."""
    return SnapshotInfo(
        id=member(described, "SnapshotId", "describe_snapshots"),
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
    )


def _tags(described: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((tag.get("Key", ""), tag.get("Value", "")) for tag in described))
