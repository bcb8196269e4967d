"""Reads the inventories that changed since the last time, and parses only these.

A cycle lists what the bucket has (or asks each instance's capture time), fetches what is new, and
compares the content's digest: an agent that found nothing new costs a listing, one that sent the
same again a fetch, and only other content is parsed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sidelight.errors import SidelightError
from sidelight.fleet.agents.bounded_pool import in_order
from sidelight.fleet.agents.deep_inspection.captures import (
    digest_of_output,
    inspected,
    joined_version,
    split_version,
)
from sidelight.inventory.ssm.known_sources import KnownSources
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform
from sidelight.model import SeenInventory, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sidelight.aws.ssm.capture import Capture
    from sidelight.fleet.agents.deep_inspection.captures import DeepCaptures, DeepNote
    from sidelight.inventory.collected.reading import CollectedReading
    from sidelight.inventory.ssm.parse import SsmReading
    from sidelight.model import Inventory, ManagedInstance


@dataclass(frozen=True, slots=True)
class AgentInventory:
    """One instance's result. `reading` is None where the content is what it was.

    `error` is why it could not be read this time; `seen` is then unchanged. `deep` is why deep
    inspection of it is incomplete, None where it is complete or off. `lacks_output` where deep
    inspection is on and there is no output: `reading` has the system's packages alone then.
    """

    instance_id: str
    seen: SeenInventory
    reading: SsmReading | None = None
    error: str = ""
    deep: DeepNote | None = None
    lacks_output: bool = False


class _PendingFetch(NamedTuple):
    """An instance to fetch: what is known of it, what it is once fetched, and since when."""

    instance: ManagedInstance
    before: SeenInventory
    now: SeenInventory
    since: SeenInventory
    deep: str


@dataclass(slots=True)
class CollectionCounts:
    """Numbers of one cycle: instances listed, fetched, parsed, and failed."""

    listed: int = 0
    fetched: int = 0
    parsed: int = 0
    failed: int = 0


class Captures(Protocol):
    """A way to read inventories: by the bucket, or by the API."""

    def read(self, instance_id: str, seen: SeenInventory) -> Capture | None:
        """Return the inventory; None where it was not captured again. Raises SidelightError."""


class SourceOrigins(Protocol):
    """The source packages of a release's binaries, by what disks of the fleet and feeds show."""

    def of(self, platform: Platform) -> KnownSources | None:
        """Return them, None where nothing is known of this release."""


@dataclass(slots=True)
class InventoryCollector:
    """Collects the inventories of one account and Region, `at_once` instances at a time.

    What is fetched waits in memory: at most `at_once` inventories do.
    """

    captures: Captures
    origins: SourceOrigins | None = None
    versions: Mapping[str, str] | None = None
    deep: DeepCaptures | None = None
    at_once: int = 1
    counts: CollectionCounts = field(default_factory=CollectionCounts)

    def collect(
        self, managed: Iterable[ManagedInstance], seen: Mapping[str, SeenInventory]
    ) -> Iterator[AgentInventory]:
        """Yield a result for each instance whose stored state changes, or that failed, in order.

        With `versions` (of a data sync) an instance whose version is known costs no call.
        """
        for wanted, fetched in in_order(self._fetched, self._wanted(managed, seen), self.at_once):
            instance, before = wanted.instance, wanted.before
            if isinstance(fetched, SidelightError):
                self.counts.failed += 1
                yield AgentInventory(instance.instance_id, before, error=str(fetched))
            elif fetched is not None:
                self.counts.fetched += 1
                yield self._compared(instance, before.digest, wanted.now, *fetched)

    def _wanted(
        self, managed: Iterable[ManagedInstance], seen: Mapping[str, SeenInventory]
    ) -> Iterator[_PendingFetch]:
        """Yield the instances that may have something new."""
        for instance in managed:
            self.counts.listed += 1
            before = seen.get(instance.instance_id, SeenInventory())
            own, deep_before = split_version(before.version)
            version = (self.versions or {}).get(instance.instance_id, "")
            deep = self.deep.version(instance, deep_before) if self.deep else ""
            is_deep_new = deep != deep_before
            if self.versions is not None and version == own and not is_deep_new:
                continue  # nothing new, or nothing at all
            now = replace(before, version=joined_version(version, deep))
            # What the agent sent is needed whole where the collector's part is new.
            since = SeenInventory() if is_deep_new else before
            yield _PendingFetch(instance, before, now, since, deep)

    def _fetched(
        self, wanted: _PendingFetch
    ) -> tuple[Capture, bytes | None] | SidelightError | None:
        """Return the inventory and the collector's output; None where nothing was captured."""
        name = wanted.instance.instance_id
        try:
            capture = self.captures.read(name, wanted.since)
            if capture is None:
                return None
            output = self.deep.output(name, wanted.deep) if self.deep and wanted.deep else None
        except SidelightError as error:
            return error
        return capture, output

    def _compared(
        self,
        instance: ManagedInstance,
        known_digest: str,
        now: SeenInventory,
        capture: Capture,
        output: bytes | None,
    ) -> AgentInventory:
        digest = capture.digest
        if output is not None:
            digest = hashlib.sha256(f"{digest} {digest_of_output(output)}".encode()).hexdigest()
        now = replace(now, digest=digest, captured_at=capture.captured_at or now.captured_at)
        if digest == known_digest or not capture.items:
            return AgentInventory(instance.instance_id, now)
        self.counts.parsed += 1
        kind = instance.platform_type.value if instance.platform_type else ""
        platform = Platform(instance.platform_name, instance.platform_version, kind)
        known = self.origins.of(platform) if self.origins else None
        if self.deep is None or output is None:
            lacks = self.deep is not None and inspected(instance)
            reading = read(capture.items, platform, known)
            return AgentInventory(instance.instance_id, now, reading, lacks_output=lacks)
        found, note = self.deep.evaluated(output)
        if found.sources is not None:
            known = (known or KnownSources()).with_better(found.sources)
        reading = read(capture.items, platform, known)
        inventory = _with_languages(reading.inventory, found)
        return AgentInventory(
            instance.instance_id, now, replace(reading, inventory=inventory), deep=note
        )


def _with_languages(inventory: Inventory, found: CollectedReading) -> Inventory:
    """Return an inventory with the language packages that a collector found."""
    problems = (*inventory.problems, *found.problems)
    status = inventory.status
    if problems and status is Status.COMPLETE:
        status = Status.PARTIAL
    packages = (*inventory.packages, *found.packages)
    return replace(inventory, status=status, packages=packages, problems=problems, dependencies=())


class ByDataSync:
    """Reads the data sync's objects (sidelight.aws.ssm.data_sync_objects)."""

    def __init__(self, objects: ObjectReader) -> None:
        self._objects = objects

    def read(self, instance_id: str, seen: SeenInventory) -> Capture | None:
        """Return the inventory in the bucket."""
        del seen
        return self._objects.read(instance_id)


class ByEntries:
    """Reads by ListInventoryEntries (sidelight.aws.ssm.inventory_entries)."""

    def __init__(self, entries: EntriesReader) -> None:
        self._entries = entries

    def read(self, instance_id: str, seen: SeenInventory) -> Capture | None:
        """Return the inventory; None where it was not captured again."""
        return self._entries.read(instance_id, seen.captured_at)


class ObjectReader(Protocol):
    """DataSyncObjects, as far as it is used here."""

    def read(self, instance_id: str) -> Capture: ...  # noqa: D102 - as there


class EntriesReader(Protocol):
    """InventoryEntries, as far as it is used here."""

    def read(  # noqa: D102 - as there
        self, instance_id: str, since: datetime | None = None
    ) -> Capture | None: ...
