"""The settings of the agent-based method (docs/ssm.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.fleet.settings.definition import Process, setting

if TYPE_CHECKING:
    from sidelight.model import DeepLimits

# As sidelight.model.DEFAULT_PATHS: the help of commands does not import the model.
_PATHS = "/usr/lib:/usr/lib64:/usr/local/lib:/usr/local/lib64"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Whether and how inventories are collected over Systems Manager."""

    agent_based: bool = setting(
        "SIDELIGHT_AGENTS", False, readers=(Process.FLEET, Process.DISPATCHER, Process.SERVE),
        meaning="Collect inventories over Systems Manager in configured accounts (docs/ssm.md)",
    )  # fmt: skip
    inventory_bucket: str = setting(
        "SIDELIGHT_INVENTORY_BUCKET", "", unit="name", readers=(Process.FLEET, Process.DISPATCHER),
        meaning="The bucket that resource data syncs write inventories to; empty: inventories are"
        " read by ListInventoryEntries",
    )  # fmt: skip
    inventory_region: str = setting(
        "SIDELIGHT_INVENTORY_REGION", "us-east-1", unit="Region",
        readers=(Process.FLEET, Process.DISPATCHER),
        meaning="The Region of this bucket",
    )  # fmt: skip
    inventory_prefix: str = setting(
        "SIDELIGHT_INVENTORY_PREFIX", "", unit="text", readers=(Process.FLEET, Process.DISPATCHER),
        meaning="What the keys of inventories begin with in this bucket",
    )  # fmt: skip
    deep_paths: str = setting(
        "SIDELIGHT_DEEP_PATHS", _PATHS, unit="paths",
        readers=(Process.FLEET, Process.DISPATCHER),
        meaning="Directories, separated by colons, in which deep inspection looks for language"
        " packages on every instance, in addition to an account's custom paths",
    )  # fmt: skip
    deep_seconds: int = setting(
        "SIDELIGHT_DEEP_SECONDS", 900, unit="seconds", readers=(Process.FLEET, Process.DISPATCHER),
        positive=True, meaning="How long deep inspection's collector may run on an instance",
    )  # fmt: skip
    deep_files: int = setting(
        "SIDELIGHT_DEEP_FILES", 20_000, unit="files", readers=(Process.FLEET, Process.DISPATCHER),
        positive=True, meaning="Files that a collector may send at a time",
    )  # fmt: skip
    deep_mib: int = setting(
        "SIDELIGHT_DEEP_MIB", 32, unit="MiB", readers=(Process.FLEET, Process.DISPATCHER),
        positive=True, meaning="MiB that a collector may send at a time, before compression",
    )  # fmt: skip
    deep_packages: int = setting(
        "SIDELIGHT_DEEP_PACKAGES", 5_000, unit="packages",
        readers=(Process.FLEET, Process.DISPATCHER), positive=True,
        meaning="Language packages of an instance that deep inspection evaluates",
    )  # fmt: skip
    deep_daily_mib: int = setting(
        "SIDELIGHT_DEEP_DAILY_MIB", 128, unit="MiB", readers=(Process.FLEET, Process.DISPATCHER),
        positive=True, meaning="MiB of outputs of one instance in 24 hours beyond which no more"
        " is read",
    )  # fmt: skip

    os_support: str = setting(
        "SIDELIGHT_OS_SUPPORT", "", unit="file", readers=(Process.FLEET, Process.DISPATCHER),
        meaning="A JSON table of operating systems and the methods that read them, over the"
        " included one (docs/eligibility.md); empty: the included one alone",
    )  # fmt: skip

    # Inspector's text allows a delegated administrator 10, its API's model 5.
    organization_paths: int = setting(
        "SIDELIGHT_ORGANIZATION_PATHS", 5, unit="count", most=10,
        readers=(Process.FLEET, Process.DISPATCHER),
        meaning="Custom paths for deep inspection that an organization may have, in addition to 5"
        " of an account",
    )  # fmt: skip

    @property
    def deep_limits(self) -> DeepLimits:
        """Deep inspection's limits."""
        from sidelight.model import DeepLimits

        return DeepLimits(
            paths=tuple(self.deep_paths.split(":")),
            seconds=self.deep_seconds,
            files=self.deep_files,
            size=self.deep_mib << 20,
            packages=self.deep_packages,
            day_bytes=self.deep_daily_mib << 20,
        )
