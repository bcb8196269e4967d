"""SOFA's feed of macOS, made of a few releases, and Macs that it judges."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.inventory.ssm.items import InventoryItem
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.model import Inventory


def release(version: str, *cves: str, exploited: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"ProductVersion": version, "UpdateName": f"macOS {version}",
            "ReleaseDate": "2024-07-29T00:00:00Z", "CVEs": {name: {} for name in cves},
            "SecurityInfo": "https://support.apple.com/en-us/120911",
            "ActivelyExploitedCVEs": list(exploited)}  # fmt: skip


def feed(*releases: dict[str, Any]) -> dict[str, Any]:
    return {"OSVersions": [{"OSVersion": "macOS", "SecurityReleases": list(releases)}],
            "XProtectPayloads": {}}  # fmt: skip


FEED = feed(
    release("15.0", "CVE-2024-0015"),
    release("14.6", "CVE-2024-0002", exploited=("CVE-2024-0002",)),
    release("14.5 (a)", "CVE-2024-0001"),
    release("14.5", "CVE-2024-0000"),
)


def database(folder: Path, document: dict[str, Any]) -> AdvisoryDatabase:
    (folder / "feed.json").write_text(json.dumps(document))
    build([folder / "feed.json"], folder / "advisories.db")
    return AdvisoryDatabase.open(folder / "advisories.db")


def mac(version: str) -> Inventory:
    item = InventoryItem("AWS:Application", [{"Name": "Safari", "Version": "17.5"}])
    return read({item.type_name: item}, Platform("macOS", version, "MacOS")).inventory
