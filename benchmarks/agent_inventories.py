"""Inventories over Systems Manager: CPU of parsing, of comparing, and of an unchanged fleet.

The figures of docs/ssm.md. `INSTANCES=100000` machines whose objects have known ETags, and 20
machines of 600 packages whose content is parsed. Of a round of the dispatcher also what the store
and planning take: who is scanned how, and when each was scanned last.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from typing import NoReturn

from dispatcher.planning import cadence
from dispatcher.planning.eligibility import Configuration
from dispatcher.planning.plan import plan
from sidelight.aws.ssm.capture import digest_of
from sidelight.fleet.agents.collector import InventoryCollector
from sidelight.inventory.ssm.items import APPLICATION, InventoryItem
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform
from sidelight.model import (
    Coverage,
    Instance,
    ManagedInstance,
    PingStatus,
    PlatformType,
    SeenInventory,
    Volume,
)
from sidelight.store import Store

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


def planned() -> float:
    """Return the CPU seconds of planning a fleet, and of moving the time of each last scan."""
    account, region = "123456789012", "us-east-1"
    volumes = (Volume("vol-1", "/dev/sda", 8),)
    instances = [
        Instance(f"i-{n:017x}", account, region, "running", volumes) for n in range(INSTANCES)
    ]
    with tempfile.TemporaryDirectory() as folder, Store(f"sqlite:///{folder}/store.db") as store:
        store.migrate()
        store.instances.discovered(account, region, instances)
        now = store.clock()
        store.instances.cover(
            [
                Coverage(account, region, one.id, "", "ACTIVE", "SUCCESSFUL", "",
                         "EC2_SSM_AGENT_BASED", scanned_at=now)
                for one in instances
            ]
        )  # fmt: skip
        managed = {
            one.id: ManagedInstance(one.id, PingStatus.ONLINE, inventory_at=now,
                                    platform_type=PlatformType.LINUX, platform_name="Debian")
            for one in instances
        }  # fmt: skip
        started = time.process_time()
        known = store.instances.with_history(account, region, instances)
        rules = Configuration(asks_agents=True)
        assert not plan(known, now, rules, managed=managed, by=cadence.is_due).due
        rows = store.instances.coverage(account=account, region=region)
        store.instances.cover([replace(row, scanned_at=now) for row in rows])
        return time.process_time() - started


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
    planning = planned()
    print(f"plan them and move their last scans: {planning:.2f} CPU seconds")
    whole = INSTANCES * (parsing + comparing) + unchanged + planning
    cores = whole / CYCLE
    print(f"{INSTANCES} changed instances: {whole:.0f} CPU seconds, {cores:.2f} cores of a cycle")


if __name__ == "__main__":
    main()
