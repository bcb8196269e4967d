"""Reads the inventories that changed since the last time, and parses only these.

A cycle lists what the bucket has (or asks each instance's capture time), fetches what is new, and
compares the content's digest: an agent that found nothing new costs a listing, one that sent the
same again a fetch, and only other content is parsed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sidelight.errors import SidelightError
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform
from sidelight.model import SeenInventory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sidelight.aws.ssm.capture import Capture
    from sidelight.inventory.ssm.known_sources import KnownSources
    from sidelight.inventory.ssm.parse import SsmReading
    from sidelight.model import ManagedInstance


@dataclass(frozen=True, slots=True)
class AgentInventory:
    """One instance's result. `reading` is None where the content is what it was.

    `error` is why it could not be read this time; `seen` is then unchanged.
    """

    instance_id: str
    seen: SeenInventory
    reading: SsmReading | None = None
    error: str = ""


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
    """The source packages of a release's binaries, by what disks of the fleet showed."""

    def of(self, platform: Platform) -> KnownSources | None:
        """Return them, None where no disk of this release was read."""


@dataclass(slots=True)
class InventoryCollector:
    """Collects the inventories of one account and Region."""

    captures: Captures
    origins: SourceOrigins | None = None
    versions: Mapping[str, str] | None = None
    counts: CollectionCounts = field(default_factory=CollectionCounts)

    def collect(
        self, managed: Iterable[ManagedInstance], seen: Mapping[str, SeenInventory]
    ) -> Iterator[AgentInventory]:
        """Yield a result for each instance whose stored state changes, or that failed.

        With `versions` (of a data sync) an instance whose version is known costs no call.
        """
        for instance in managed:
            self.counts.listed += 1
            before = seen.get(instance.instance_id, SeenInventory())
            version = (self.versions or {}).get(instance.instance_id, "")
            if self.versions is not None and version == before.version:
                continue  # nothing new, or nothing at all
            try:
                capture = self.captures.read(instance.instance_id, before)
            except SidelightError as error:
                self.counts.failed += 1
                yield AgentInventory(instance.instance_id, before, error=str(error))
                continue
            if capture is None:
                continue
            self.counts.fetched += 1
            yield self._compared(instance, before, capture, version)

    def _compared(
        self, instance: ManagedInstance, before: SeenInventory, capture: Capture, version: str
    ) -> AgentInventory:
        now = SeenInventory(version, capture.digest, capture.captured_at or before.captured_at)
        if capture.digest == before.digest or not capture.items:
            return AgentInventory(instance.instance_id, now)
        self.counts.parsed += 1
        kind = instance.platform_type.value if instance.platform_type else ""
        platform = Platform(instance.platform_name, instance.platform_version, kind)
        known = self.origins.of(platform) if self.origins else None
        return AgentInventory(instance.instance_id, now, read(capture.items, platform, known))


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
