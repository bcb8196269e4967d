"""Inventories over Systems Manager: CPU of parsing, of comparing, and of an unchanged fleet.

The figures of docs/ssm.md. `INSTANCES=100000` machines whose objects have known ETags, and 20
machines of 600 packages whose content is parsed.
"""

from __future__ import annotations

import os
import time
from typing import NoReturn

from sidelight.aws.ssm.capture import digest_of
from sidelight.fleet.agents.collector import InventoryCollector
from sidelight.inventory.ssm.items import APPLICATION, InventoryItem
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform
from sidelight.model import ManagedInstance, PingStatus, SeenInventory

INSTANCES = int(os.environ.get("INSTANCES", "100000"))
MACHINES, PACKAGES = 20, 600
CYCLE = 1800.0  # seconds; agents send every 30 minutes
AMAZON = Platform("Amazon Linux", "2023", "Linux")


class Unread:
    """A bucket that is not to be read."""

    def read(self, instance_id: str, seen: SeenInventory) -> NoReturn:
        """Fail: nothing changed."""
        raise AssertionError(instance_id, seen)


def item(machine: int) -> InventoryItem:
    """AWS:Application of one machine."""
    entries = [
        {
            "Name": f"package{number}",
            "Version": f"1.{machine}",
            "Release": "1.amzn2023",
            "Architecture": "x86_64",
            "Publisher": "Amazon Linux",
            "PackageId": f"package{number}-1.{machine}-1.amzn2023.src.rpm",
            "Summary": "a package of a benchmark, with a summary of usual length",
        }
        for number in range(PACKAGES)
    ]
    return InventoryItem(APPLICATION, entries, "2026-11-29T12:00:00Z")


def main() -> None:
    """Print the figures."""
    items = [item(machine) for machine in range(MACHINES)]
    started = time.process_time()
    for one in items:
        read({APPLICATION: one}, AMAZON)
    parsing = (time.process_time() - started) / MACHINES
    started = time.process_time()
    for one in items:
        digest_of([one])
    comparing = (time.process_time() - started) / MACHINES
    managed = [ManagedInstance(f"i-{n:017x}", PingStatus.ONLINE) for n in range(INSTANCES)]
    versions = {one.instance_id: "etag" for one in managed}
    seen = {name: SeenInventory("etag", "digest") for name in versions}
    started = time.process_time()
    changed = list(InventoryCollector(Unread(), None, versions).collect(managed, seen))
    unchanged = time.process_time() - started
    assert not changed
    print(f"parse {PACKAGES} packages: {parsing * 1e3:.1f} ms; compare: {comparing * 1e3:.1f} ms")
    print(f"{INSTANCES} unchanged instances: {unchanged:.2f} CPU seconds")
    whole = INSTANCES * (parsing + comparing) + unchanged
    cores = whole / CYCLE
    print(f"{INSTANCES} changed instances: {whole:.0f} CPU seconds, {cores:.2f} cores of a cycle")


if __name__ == "__main__":
    main()
