"""Systems Manager's view of an instance: its agent, its inventory and its state for scanning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime


class SsmState(StrEnum):
    """Whether an instance's inventory can be evaluated, and why not.

    Several can be true at once; the one that explains the others counts, in this order:
    UNMANAGED, CONNECTION_LOST, NO_INVENTORY, STALE.
    """

    MANAGED = "MANAGED"  # its agent answers, and its inventory is recent
    UNMANAGED = "UNMANAGED"  # SSM does not list it
    CONNECTION_LOST = "CONNECTION_LOST"  # SSM lists it, and its agent does not answer
    NO_INVENTORY = "NO_INVENTORY"  # its agent answers, and never sent a software inventory
    # Its agent answers, and its newest inventory is older than 7 days, or of a time to come.
    STALE = "STALE"


class PingStatus(StrEnum):
    """`PingStatus` of DescribeInstanceInformation."""

    ONLINE = "Online"
    CONNECTION_LOST = "ConnectionLost"
    INACTIVE = "Inactive"


class PlatformType(StrEnum):
    """`PlatformType` of DescribeInstanceInformation."""

    LINUX = "Linux"
    WINDOWS = "Windows"
    MACOS = "MacOS"


@dataclass(frozen=True, slots=True)
class ManagedInstance:
    """An instance that SSM lists (DescribeInstanceInformation), with its inventory's age.

    `platform_name` and `platform_version` are the agent's texts ("Ubuntu", "22.04"), so hostile.
    `platform_type` is None where SSM gives none or one that we do not know. `association_status` is
    the status of its associations together ("Success", "Failed", "Pending"; empty: none ran).
    `inventory_at` is the newest capture time of AWS:Application, None where there is no such
    inventory.
    """

    instance_id: str
    ping_status: PingStatus
    last_ping: datetime | None = None
    platform_type: PlatformType | None = None
    platform_name: str = ""
    platform_version: str = ""
    agent_version: str = ""
    association_status: str = ""
    association_at: datetime | None = None
    inventory_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SeenInventory:
    """What is known of an instance's last inventory over SSM.

    `version` is the data sync's (DataSyncObjects.versions), empty if it was read by the API.
    `digest` is that of its content, without capture times.
    """

    version: str = ""
    digest: str = ""
    captured_at: datetime | None = None


# Inspector's for its plugin.
DEFAULT_PATHS: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")


@dataclass(frozen=True, slots=True)
class DeepLimits:
    """What a collector of deep inspection may take, and what of it counts. Inspector's by default.

    `seconds` of one run; `files` and `size` (bytes before compression) that it sends; `packages` of
    an instance; `day_bytes` of its outputs in a day; `paths` for every instance.
    """

    paths: tuple[str, ...] = DEFAULT_PATHS
    seconds: int = 900
    files: int = 20_000
    size: int = 32 << 20
    packages: int = 5_000
    day_bytes: int = 128 << 20
