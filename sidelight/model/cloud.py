"""EC2's resources: instances and volumes, their location, and the cost of reading them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStats:
    """The cost of reading. `blocks` counts each block once, `bytes` what was read.

    `usd` is by the published prices of the EBS direct APIs.
    """

    get_calls: int = 0
    list_calls: int = 0
    blocks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    usd: float = 0.0

    @classmethod
    def total(cls, parts: Iterable[ReadStats]) -> ReadStats:
        """Return the sum of several."""
        added = list(parts)
        return ReadStats(
            get_calls=sum(part.get_calls for part in added),
            list_calls=sum(part.list_calls for part in added),
            blocks=sum(part.blocks for part in added),
            bytes=sum(part.bytes for part in added),
            seconds=sum(part.seconds for part in added),
            cpu_seconds=sum(part.cpu_seconds for part in added),
            usd=sum(part.usd for part in added),
        )


@dataclass(frozen=True, slots=True)
class Volume:
    """An EBS volume as attached. `size_gib` in GiB; `device` is the attachment's name.

    `attached_at` is the time of its attachment to the instance, None where EC2 does not say it.
    `multi_attach`: other instances may be attached to it as well.
    """

    id: str
    device: str
    size_gib: int
    type: str = "gp3"
    encrypted: bool = False
    kms_key_id: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    attached_at: datetime | None = None
    multi_attach: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance as discovered.

    Addresses are those of all its network interfaces, the primary one first. `architecture` is
    EC2's word (`x86_64`, `arm64`). `stopping_at` is when its last stop was asked for.
    """

    id: str
    account: str
    region: str
    state: str
    volumes: tuple[Volume, ...]
    tags: tuple[tuple[str, str], ...] = ()
    name: str = ""
    root_device_type: str = "ebs"
    platform: str = ""
    launched_at: datetime | None = None
    type: str = ""
    image_id: str = ""
    vpc_id: str = ""
    subnet_id: str = ""
    public_ipv4: tuple[str, ...] = ()
    private_ipv4: tuple[str, ...] = ()
    ipv6_addresses: tuple[str, ...] = ()
    key_name: str = ""
    instance_profile: str = ""
    security_groups: tuple[str, ...] = ()
    architecture: str = ""
    stopping_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The store's data on a scan, to separate its snapshots from others'.

    `snapshots` are the stored ones: volume ids by snapshot id. `volumes` are all volumes that its
    snapshots may be of: empty if none was requested yet, None if unknown.
    """

    scan: str
    deployment: str
    account: str
    region: str
    instance: str
    live: bool
    created_at: datetime
    finished_at: datetime | None = None
    snapshots: Mapping[str, str] = field(default_factory=dict)
    volumes: frozenset[str] | None = None


class InstanceRef(NamedTuple):
    """The instance that findings belong to."""

    account: str
    region: str
    instance: str

    @property
    def arn(self) -> str:
        """The instance's ARN."""
        place = f"{self.region}:{self.account}"
        return f"arn:{partition_of(self.region)}:ec2:{place}:instance/{self.instance}"


def partition_of(region: str) -> str:
    """Return the partition of a Region, by its name."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
