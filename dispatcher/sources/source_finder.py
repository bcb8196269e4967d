"""Find the sources of due scans: in calls for many instances of an account-region at once.

A listing that fails stops no scan: the instances are scanned by snapshots of their own, and each
scan's events say why.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from dispatcher.sources.existing_snapshots import SnapshotRules, choose, started_patterns
from dispatcher.sources.unchanged_volumes import candidate
from sidelight.aws.volume_writes import whole_periods
from sidelight.errors import SidelightError, StoreError
from sidelight.model import ScanSource, SourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.fleet.settings import Settings
    from sidelight.model import DiskReading, Instance
    from sidelight.store import Store

log = logging.getLogger(__name__)

Key = tuple[str, str]  # account and instance
CREATED = "snapshots are created"  # an event of a scan
NEVER: Mapping[tuple[str, str], datetime] = MappingProxyType({})
# The prefix of the detail of the coverage of an instance that is not scanned for want of snapshots.
WAITS = "waiting for an existing snapshot"


class SnapshotListing(Protocol):
    """The part of `sidelight.aws.ec2.Ec2` that is used here."""

    def completed_snapshots(
        self, volumes: Sequence[str], started: Sequence[str]
    ) -> list[SnapshotInfo]:
        """Return completed snapshots of these volumes whose start time has one of the patterns."""


class WriteMetrics(Protocol):
    """The part of `sidelight.aws.volume_writes.VolumeWrites` that is used here."""

    def unwritten(self, volumes: Sequence[str], begin: datetime, end: datetime) -> frozenset[str]:
        """Return those of these volumes of which it is certain that nothing wrote them."""


@dataclass(frozen=True, slots=True)
class FoundSources:
    """The sources by account and instance; why an instance has none; which are not scanned."""

    sources: Mapping[Key, ScanSource] = field(default_factory=dict)
    reasons: Mapping[Key, str] = field(default_factory=dict)
    left_out: frozenset[Key] = frozenset()


class SourceFinder:
    """Finds machines that need not be read, and existing snapshots of the others."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        ec2: Callable[[str, str], SnapshotListing],
        cloudwatch: Callable[[str, str], WriteMetrics],
    ) -> None:
        """`ec2(account, region)` lists snapshots, `cloudwatch(account, region)` volumes' writes."""
        self._store = store
        self._settings = settings.sources
        self._ec2 = ec2
        self._cloudwatch = cloudwatch

    def find(
        self,
        due: Iterable[Instance],
        exclusion_tags: Mapping[str, str],
        listed_at: Mapping[tuple[str, str], datetime] = NEVER,
    ) -> FoundSources:
        """Return the sources of these instances' scans. Raises StoreError.

        `exclusion_tags` are those of the accounts. `listed_at`: when the instances of an account
        and Region were listed; without it all are read, changed or not, as those that a person asks
        for.
        """
        if not (self._settings.existing_hours or self._settings.unchanged_days):
            return FoundSources()
        places: dict[tuple[str, str], list[Instance]] = defaultdict(list)
        for instance in due:
            places[instance.account, instance.region].append(instance)
        sources: dict[Key, ScanSource] = {}
        reasons: dict[Key, str] = {}
        for (account, region), instances in places.items():
            last = self._store.instances.disk_readings(account, [one.id for one in instances])
            unchanged: dict[Key, ScanSource] = {}
            if self._settings.unchanged_days and (account, region) in listed_at:
                unchanged = self._unchanged(instances, last, listed_at[account, region])
            sources |= unchanged
            if not self._settings.existing_hours:
                continue
            tag = exclusion_tags[account]
            others = [one for one in instances if (account, one.id) not in unchanged]
            for key, found in self._existing(account, region, others, last, tag).items():
                if isinstance(found, ScanSource):
                    sources[key] = found
                else:
                    reasons[key] = found
        left_out = frozenset(reasons) if self._settings.existing_only else frozenset()
        for key in sorted(left_out):
            self._store.instances.explain(*key, f"{WAITS}: {reasons[key]}")
        return FoundSources(sources, reasons, left_out)

    def _unchanged(
        self, instances: Sequence[Instance], last: Mapping[str, DiskReading], listed_at: datetime
    ) -> dict[Key, ScanSource]:
        """Return sources of the machines whose volumes were not written since their last read.

        All are of one account and Region. What is known of them is known as of `listed_at`.
        """
        now = self._store.clock()
        account, region = instances[0].account, instances[0].region
        longest = timedelta(days=self._settings.unchanged_days)
        found: dict[Key, ScanSource] = {}
        running: dict[tuple[datetime, datetime], list[Instance]] = defaultdict(list)
        for one in instances:
            chosen = candidate(one, last.get(one.id), longest, listed_at)
            if isinstance(chosen, str):
                log.debug("%s is read: %s", one.id, chosen)
            elif chosen.is_stopped:
                found[account, one.id] = ScanSource(SourceKind.UNCHANGED, listed_at)
            else:
                begin, end = whole_periods(chosen.last.data_at, now)
                if chosen.last.data_at < end:
                    running[begin, end].append(one)
        for (begin, end), machines in sorted(running.items()):
            volumes = sorted({volume.id for one in machines for volume in one.volumes})
            try:
                unwritten = self._cloudwatch(account, region).unwritten(volumes, begin, end)
            except StoreError:
                raise
            except SidelightError as error:
                log.warning("writes of volumes of %s/%s: %s", account, region, error)
                break
            for one in machines:
                if {volume.id for volume in one.volumes} <= unwritten:
                    found[account, one.id] = ScanSource(SourceKind.UNCHANGED, min(end, listed_at))
        return found

    def _existing(
        self,
        account: str,
        region: str,
        instances: Sequence[Instance],
        last: Mapping[str, DiskReading],
        tag: str,
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
