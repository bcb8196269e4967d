"""Only changed inventories are parsed: the numbers of calls and parses are held."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sidelight.aws.ssm.capture import Capture, digest_of
from sidelight.errors import AccessDeniedError
from sidelight.fleet.agents.collector import (
    ByDataSync,
    ByEntries,
    CollectionCounts,
    InventoryCollector,
)
from sidelight.inventory.ssm.items import APPLICATION, InventoryItem
from sidelight.model import ManagedInstance, PingStatus, PlatformType, SeenInventory, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.fleet.agents.collector import AgentInventory

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
BASH = {"Name": "bash", "Version": "5.2.15", "Release": "1.amzn2023"}


def instance(number: int) -> ManagedInstance:
    return ManagedInstance(
        f"i-{number:017x}", PingStatus.ONLINE, AT, PlatformType.LINUX, "Amazon Linux", "2023"
    )


@dataclass
class Bucket:
    """What a data sync wrote: an inventory and a version by instance."""

    captures: dict[str, Capture] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    reads: int = 0

    def put(self, number: int, *names: str, at: datetime = AT) -> None:
        entries = [{**BASH, "Name": name} for name in names]
        item = InventoryItem(APPLICATION, entries, at.isoformat())
        identity = instance(number).instance_id
        capture = Capture(identity, {APPLICATION: item}, digest_of([item]), at)
        self.captures[identity] = capture

    def versions(self) -> dict[str, str]:
        return {name: f"{one.digest}{one.captured_at}" for name, one in self.captures.items()}

    def read(self, instance_id: str, since: datetime | None = None) -> Capture:
        self.reads += 1
        assert since is None
        if instance_id in self.denied:
            raise AccessDeniedError("AccessDenied", where=instance_id)
        return self.captures[instance_id]


def cycle(
    bucket: Bucket, count: int, seen: Mapping[str, SeenInventory]
) -> tuple[list[AgentInventory], CollectionCounts]:
    collector = InventoryCollector(ByDataSync(bucket), versions=bucket.versions())
    found = list(collector.collect(map(instance, range(count)), seen))
    return found, collector.counts


def test_an_unchanged_fleet_costs_neither_a_fetch_nor_a_parse() -> None:
    bucket = Bucket()
    for number in range(1000):
        bucket.put(number, "bash", "curl")
    found, counts = cycle(bucket, 1000, {})
    assert (counts.fetched, counts.parsed) == (1000, 1000)
    seen = {item.instance_id: item.seen for item in found}

    again, counts = cycle(bucket, 1000, seen)

    assert again == []
    assert counts == CollectionCounts(listed=1000)
    assert bucket.reads == 1000


def test_the_same_content_captured_again_is_fetched_and_not_parsed() -> None:
    bucket = Bucket()
    bucket.put(0, "bash")
    bucket.put(1, "bash")
    first, _counts = cycle(bucket, 2, {})
    seen = {item.instance_id: item.seen for item in first}
    later = AT + timedelta(minutes=30)
    bucket.put(0, "bash", at=later)
    bucket.put(1, "bash", "curl", at=later)

    found, counts = cycle(bucket, 2, seen)

    assert counts == CollectionCounts(listed=2, fetched=2, parsed=1)
    same, changed = found
    assert (same.reading, same.seen.captured_at) == (None, later)
    assert changed.reading is not None
    assert [package.name for package in changed.reading.inventory.packages] == ["bash", "curl"]


def test_one_instances_failure_leaves_the_others_and_its_own_state() -> None:
    bucket = Bucket()
    for number in range(3):
        bucket.put(number, "bash")
    bucket.denied.add(instance(1).instance_id)

    found, counts = cycle(bucket, 3, {})

    assert [bool(item.error) for item in found] == [False, True, False]
    assert (counts.parsed, counts.failed) == (2, 1)
    assert found[1].seen == SeenInventory()


def test_an_instance_that_never_sent_an_inventory_costs_nothing() -> None:
    found, counts = cycle(Bucket(), 5, {})

    assert found == []
    assert counts == CollectionCounts(listed=5)


def test_hostile_entries_are_problems_of_their_instance_alone() -> None:
    bucket = Bucket()
    bucket.put(0, "bash")
    bucket.put(1, "a" * 5000, "curl")

    (good, bad), _counts = cycle(bucket, 2, {})

    assert good.reading is not None
    assert bad.reading is not None
    assert good.reading.inventory.status is Status.COMPLETE
    assert bad.reading.inventory.status is Status.PARTIAL
    assert [package.name for package in bad.reading.inventory.packages] == ["curl"]


def test_by_the_api_an_inventory_that_was_not_captured_again_is_not_read() -> None:
    moments: list[datetime | None] = []

    class Entries:
        def read(self, instance_id: str, since: datetime | None = None) -> Capture | None:
            assert instance_id
            moments.append(since)
            return None

    seen = {instance(0).instance_id: SeenInventory("", "digest", AT)}
    collector = InventoryCollector(ByEntries(Entries()))

    assert list(collector.collect([instance(0)], seen)) == []
    assert moments == [AT]
    assert collector.counts == CollectionCounts(listed=1)


def test_objects_are_fetched_at_once_up_to_a_bound_and_stay_in_order() -> None:
    bucket = Bucket()
    for number in range(60):
        bucket.put(number, f"package{number}")
    bucket.denied = {instance(7).instance_id}
    together = threading.Barrier(6)
    running, most = 0, 0
    lock = threading.Lock()

    class Waiting:
        def read(self, instance_id: str) -> Capture:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            together.wait(20.0)
            with lock:
                running -= 1
            return bucket.read(instance_id)

    collector = InventoryCollector(ByDataSync(Waiting()), versions=bucket.versions(), at_once=6)
    found = list(collector.collect(map(instance, range(60)), {}))

    assert most == 6
    assert [item.instance_id for item in found] == [instance(n).instance_id for n in range(60)]
    assert [item.instance_id for item in found if item.error] == [instance(7).instance_id]
    assert collector.counts == CollectionCounts(listed=60, fetched=59, parsed=59, failed=1)
