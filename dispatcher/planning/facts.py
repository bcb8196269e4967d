"""The facts about an instance that its eligibility depends on, each with few values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidelight.model import AccountStatus, Ec2ScanMode, PlatformType, SsmState


class Lifecycle(StrEnum):
    """An instance's state in EC2, and whether stopped instances are scanned."""

    RUNNING = "RUNNING"
    STARTING = "STARTING"
    STOPPED = "STOPPED"  # and stopped instances are not to be scanned
    STOPPED_READABLE = "STOPPED_READABLE"  # its volumes may be read
    TERMINATED = "TERMINATED"


class Exclusion(StrEnum):
    """The objects that carry the exclusion tag. A tag on the instance counts before all others."""

    NONE = "NONE"
    INSTANCE = "INSTANCE"
    VOLUME = "VOLUME"
    KMS_KEY = "KMS_KEY"


class OsSupport(StrEnum):
    """The methods that can read its operating system (os_support.json)."""

    BOTH = "BOTH"
    AGENT_BASED = "AGENT_BASED"
    AGENTLESS = "AGENTLESS"
    NEITHER = "NEITHER"


class Storage(StrEnum):
    """Whether its volumes are in EBS, so that they can be snapshotted."""

    EBS = "EBS"
    INSTANCE_STORE = "INSTANCE_STORE"  # the root device is, or there is no EBS volume


class FilesystemSupport(StrEnum):
    """Whether the last agentless scan could read a filesystem."""

    UNKNOWN = "UNKNOWN"  # never read, or the scan ended for another reason
    READABLE = "READABLE"
    UNREADABLE = "UNREADABLE"


class VolumeLimits(StrEnum):
    """Whether its volumes are within the configured number and size."""

    WITHIN = "WITHIN"
    EXCEEDED = "EXCEEDED"


class KeyAccess(StrEnum):
    """Whether the KMS keys of its volumes let their snapshots be read."""

    USABLE = "USABLE"
    TAGS_DENIED = "TAGS_DENIED"  # we may not read its tags, so it may be excluded
    UNSHAREABLE = "UNSHAREABLE"  # AWS's own key: no snapshot can be shared with another account


@dataclass(frozen=True, slots=True)
class Facts:
    """All that an instance's eligibility depends on. The defaults are those of a plain instance."""

    account: AccountStatus = AccountStatus.ENABLED
    mode: Ec2ScanMode = Ec2ScanMode.HYBRID
    lifecycle: Lifecycle = Lifecycle.RUNNING
    exclusion: Exclusion = Exclusion.NONE
    ssm: SsmState = SsmState.UNMANAGED
    os: OsSupport = OsSupport.BOTH
    platform: PlatformType = PlatformType.LINUX
    storage: Storage = Storage.EBS
    filesystem: FilesystemSupport = FilesystemSupport.UNKNOWN
    limits: VolumeLimits = VolumeLimits.WITHIN
    key: KeyAccess = KeyAccess.USABLE
