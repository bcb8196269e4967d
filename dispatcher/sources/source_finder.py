"""Find the sources of due scans: in calls for many instances of an account-region at once.

A listing that fails stops no scan: the instances are scanned by snapshots of their own, and each
scan's events say why.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from dispatcher.sources.existing_snapshots import SnapshotRules, choose, started_patterns
from sidelight.errors import SidelightError, StoreError
from sidelight.model import ScanSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.fleet.settings import Settings
    from sidelight.model import DiskReading, Instance
    from sidelight.store import Store

log = logging.getLogger(__name__)

Key = tuple[str, str]  # account and instance
CREATED = "snapshots are created"  # an event of a scan
# The prefix of the detail of the coverage of an instance that is not scanned for want of snapshots.
WAITS = "waiting for an existing snapshot"


class SnapshotListing(Protocol):
    """The part of `sidelight.aws.ec2.Ec2` that is used here."""

    def completed_snapshots(
        self, volumes: Sequence[str], started: Sequence[str]
    ) -> list[SnapshotInfo]:
        """Return completed snapshots of these volumes whose start time has one of the patterns."""


@dataclass(frozen=True, slots=True)
class FoundSources:
    """The sources by account and instance; why an instance has none; which are not scanned."""

    sources: Mapping[Key, ScanSource] = field(default_factory=dict)
    reasons: Mapping[Key, str] = field(default_factory=dict)
    left_out: frozenset[Key] = frozenset()


class SourceFinder:
    """Finds existing snapshots."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        ec2: Callable[[str, str], SnapshotListing],
    ) -> None:
        """`ec2(account, region)` lists snapshots."""
        self._store = store
        self._settings = settings.sources
        self._ec2 = ec2

    def find(
        self, due: Iterable[Instance], exclusion_tags: Mapping[str, str], default_tag: str
    ) -> FoundSources:
        """Return the sources of these instances' scans. Raises StoreError.

        `exclusion_tags` are accounts' own.
        """
        if not self._settings.existing_hours:
            return FoundSources()
        places: dict[tuple[str, str], list[Instance]] = defaultdict(list)
        for instance in due:
            places[instance.account, instance.region].append(instance)
        sources: dict[Key, ScanSource] = {}
        reasons: dict[Key, str] = {}
        for (account, region), instances in places.items():
            tag = exclusion_tags.get(account, default_tag)
            for key, found in self._existing(account, region, instances, tag).items():
                if isinstance(found, ScanSource):
                    sources[key] = found
                else:
                    reasons[key] = found
        left_out = frozenset(reasons) if self._settings.existing_only else frozenset()
        for key in sorted(left_out):
            self._store.instances.explain(*key, f"{WAITS}: {reasons[key]}")
        return FoundSources(sources, reasons, left_out)

    def _existing(
        self, account: str, region: str, instances: Sequence[Instance], tag: str
    ) -> dict[Key, ScanSource | str]:
        """Return the existing snapshots of each instance, or why there are none that fit."""
        now = self._store.clock()
        rules = SnapshotRules(
            timedelta(hours=self._settings.existing_hours),
            timedelta(seconds=self._settings.existing_apart_seconds),
            tag,
        )
        volumes = sorted({volume.id for one in instances for volume in one.volumes})
        try:
            listed = self._ec2(account, region).completed_snapshots(
                volumes, started_patterns(now, rules.youngest)
            )
        except StoreError:
            raise
        except SidelightError as error:
            log.warning("existing snapshots of %s/%s: %s", account, region, error)
            return {(account, one.id): f"they cannot be listed: {error}" for one in instances}
        by_volume: dict[str, list[SnapshotInfo]] = defaultdict(list)
        for info in listed:
            by_volume[info.volume].append(info)
        last = self._store.instances.disk_readings(account, [one.id for one in instances])
        return {
            (account, one.id): self._chosen(one, by_volume, rules, last.get(one.id))
            for one in instances
        }

    def _chosen(
        self,
        instance: Instance,
        by_volume: Mapping[str, Sequence[SnapshotInfo]],
        rules: SnapshotRules,
        last: DiskReading | None,
    ) -> ScanSource | str:
        of_it = [info for volume in instance.volumes for info in by_volume.get(volume.id, ())]
        return choose(instance, of_it, rules, last, self._store.clock())
