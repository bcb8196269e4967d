"""The settings of the agent-based method (docs/ssm.md)."""

from __future__ import annotations

from dataclasses import dataclass

from sidelight.fleet.settings.definition import Process, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Whether and how inventories are collected over Systems Manager."""

    agent_based: bool = setting(
        "SIDELIGHT_AGENTS", False, readers=(Process.FLEET, Process.DISPATCHER),
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
