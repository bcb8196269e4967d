"""From the members found on all disks to their volume groups and logical volumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidelight.disk.lvm import segments
from sidelight.disk.lvm.layout import SECTOR
from sidelight.disk.lvm.mapping import MappedSource
from sidelight.disk.lvm.physical import Metadata, Texts, newest, read_label, read_metadata
from sidelight.disk.lvm.thin import ThinPool, ThinSource
from sidelight.errors import (
    DamagedError,
    LimitError,
    SidelightError,
    UnsupportedError,
)
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk.lvm.mapping import Segment
    from sidelight.disk.lvm.physical import PhysicalVolume
    from sidelight.disk.lvm.text import Section

MAX_VOLUMES = 4096
MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """A volume that a machine would use. `members` index the sources given."""

    group: str
    name: str
    uuid: str
    source: BlockSource
    members: frozenset[int]


def logical_volumes(sources: Sequence[BlockSource], problems: list[Problem]) -> list[LogicalVolume]:
    """The visible volumes of all groups whose members are among `sources`.

    Thin pools, the parts of other volumes, and old-style snapshots are left out, the last with a
    Problem. A volume with missing members is given if any of it is there.
    """
    found: dict[str, tuple[int, PhysicalVolume]] = {}
    for index, source in enumerate(sources):
        try:
            volume = read_label(source)
        except SidelightError as error:
            problems.append(Problem(source.name, error.what))
            continue
        if volume.uuid in found:
            what = f"LVM2: the same member as {found[volume.uuid][1].source.name}; left out"
            problems.append(Problem(source.name, what))
        else:
            found[volume.uuid] = (index, volume)
    members = [volume for _, volume in found.values()]
    for volume in members:
        volume.source.prefetch([(start, SECTOR) for start, _ in volume.areas])
    known = Texts()
    texts = [text for volume in members for text in read_metadata(volume, problems, known)]
    volumes: list[LogicalVolume] = []
    names: set[str] = set()
    groups = newest(texts)
    _note_strays(members, groups, problems)
    for metadata in groups:
        group = VolumeGroup(metadata, {uuid: v.source for uuid, (_, v) in found.items()}, problems)
        if metadata.name in names:
            what = f"a second volume group {metadata.name!r} (id {metadata.id})"
            problems.append(Problem(metadata.origin, what))
            group.name = f"{metadata.name}@{metadata.id}"
        names.add(metadata.name)
        volumes += group.visible({v.source.name: index for index, v in found.values()})
    return volumes


def _note_strays(
    members: Sequence[PhysicalVolume], groups: Sequence[Metadata], problems: list[Problem]
) -> None:
    """Members of groups that only other disks name: what they hold is in no volume given."""
    named = {
        section.text("id")
        for metadata in groups
        for _, section in metadata.group.section("physical_volumes").sections()
    }
    for volume in members:
        if volume.uuid not in named and (volume.used or not volume.areas):
            what = "LVM2: a member of a volume group that no disk at hand describes"
            problems.append(Problem(volume.source.name, what))


@dataclass(slots=True)
class _Built:
    """A volume under construction, with the names of the sources that it lies on."""

    source: BlockSource
    on: set[str] = field(default_factory=set)


class VolumeGroup:
    """One volume group, its volumes built where they are asked for."""

    def __init__(
        self, metadata: Metadata, members: dict[str, BlockSource], problems: list[Problem]
    ) -> None:
        """`members` by UUID. A member that the group names and nobody has is a Problem."""
        self.name = metadata.name
        self.problems = problems
        self._id = metadata.id
        self._extent = metadata.group.number("extent_size") * SECTOR
        self._volumes = metadata.group.section("logical_volumes")
        self._members: dict[str, tuple[BlockSource | None, int]] = {}
        for name, section in metadata.group.section("physical_volumes").sections():
            source = members.get(section.text("id"))
            self._members[name] = (source, section.number("pe_start") * SECTOR)
            if source is None:
                device = section.text("device") or "unknown device"
                what = f"LVM2: member {section.text('id')} ({device}) is missing"
                problems.append(Problem(self.name, what))
        self._built: dict[str, _Built] = {}
        self._pools: dict[str, ThinPool] = {}
        self._under_way: list[str] = []

    def visible(self, indices: dict[str, int]) -> list[LogicalVolume]:
        """The volumes to offer."""
        if self._extent <= 0:
            self.problems.append(Problem(self.name, "LVM2: the group has no extent size"))
            return []
        offered = []
        copies = self._snapshots()
        sections = list(self._volumes.sections())
        if len(sections) > MAX_VOLUMES:
            what = f"LVM2: {len(sections)} volumes; {MAX_VOLUMES} are looked at"
            self.problems.append(Problem(self.name, what))
        for name, section in sections[:MAX_VOLUMES]:
            first = section.section("segment1").text("type")
            where = f"{self.name}/{name}"
            if name in copies:
                # lvm2 writes these as hidden, though its user sees them as the snapshot.
                what = "unsupported: a snapshot (its origin is read)"
                self.problems.append(Problem(where, what))
                continue
            if "VISIBLE" not in section.words("status") or first in segments.INTERNAL:
                continue
            try:
                built = self.build(name)
            except SidelightError as error:
                self.problems.append(Problem(where, error.what))
                continue
            if not built.on:
                self.problems.append(Problem(where, "all its members are missing"))
                continue
            members = frozenset(indices[key] for key in built.on)
            offered.append(
                LogicalVolume(self.name, name, self._id + section.text("id"), built.source, members)
            )
        return offered

    def _snapshots(self) -> set[str]:
        """The volumes that hold old-style snapshots' copied blocks."""
        found = set()
        for _, section in self._volumes.sections():
            segment = section.section("segment1")
            if segment.text("type") == "snapshot":
                found.add(segment.text("cow_store"))
                merging = segment.text("merging_store")
                if merging:
                    found.add(merging)
                    where = f"{self.name}/{segment.text('origin')}"
                    what = "a snapshot is being merged into it; read as it is without"
                    self.problems.append(Problem(where, what))
        return found

    def build(self, name: str) -> _Built:
        """A volume by name. Raises FormatError (unsupported, damaged, in a circle), SourceError."""
        built = self._built.get(name)
        if built is not None:
            return built
        where = f"{self.name}/{name}"
        if name in self._under_way or len(self._under_way) >= MAX_DEPTH:
            raise LimitError("volumes lie on each other in a circle, or too deep", where=where)
        section = self._volumes.section(name)
        if not section:
            raise DamagedError("the metadata names no such volume", where=where)
        self._under_way.append(name)
        try:
            built = self._build(section, where)
        finally:
            self._under_way.pop()
        self._built[name] = built
        return built

    def _build(self, section: Section, where: str) -> _Built:
        on: set[str] = set()
        first = section.section("segment1")
        if first.text("type") == "thin":
            return self._thin(section, first, where)
        parts: list[Segment] = []
        for key, segment in section.sections():
            if key.startswith("segment"):
                parts.append(segments.decode(self, segment, where, on))
        return _Built(MappedSource(where, parts), on)

    def _thin(self, section: Section, segment: Section, where: str) -> _Built:
        extents = sum(
            part.number("extent_count")
            for key, part in section.sections()
            if key.startswith("segment")
        )
        pool_name = segment.text("thin_pool")
        pool, on = self._pool(pool_name)
        on = set(on)
        origin = None
        if segment.text("external_origin"):
            built = self.build(segment.text("external_origin"))
            origin, on = built.source, on | built.on
        size = segments.checked(extents * self._extent, where)
        return _Built(ThinSource(where, size, pool, segment.number("device_id", -1), origin), on)

    def _pool(self, name: str) -> tuple[ThinPool, set[str]]:
        where = f"{self.name}/{name}"
        segment = self._volumes.section(name).section("segment1")
        if segment.text("type") != "thin-pool":
            raise DamagedError("no thin pool", where=where)
        metadata, data = self.build(segment.text("metadata")), self.build(segment.text("pool"))
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = ThinPool(metadata.source, data.source)
            if pool.needs_check:
                self.problems.append(Problem(where, "the thin pool is marked for a check"))
            if pool.transaction != segment.number("transaction_id"):
                what = (
                    f"the thin pool is at transaction {pool.transaction}, its volume group "
                    f"at {segment.number('transaction_id')}"
                )
                self.problems.append(Problem(where, what))
            if pool.version not in (1, 2):
                raise UnsupportedError(f"thin-pool metadata version {pool.version}", where=where)
        return pool, metadata.on | data.on

    @property
    def extent(self) -> int:
        """Bytes of a physical extent."""
        return self._extent

    def target(self, name: str, extent: int, on: set[str]) -> tuple[BlockSource | str, int]:
        """An area of a segment: a member or a volume, and the offset in it, in bytes.

        A missing member is given as the reason why reads there fail.
        """
        if name in self._members:
            source, start = self._members[name]
            if source is None:
                return f"its member {name} is missing", 0
            on.add(source.name)
            return source, start + extent * self._extent
        built = self.build(name)
        on |= built.on
        return built.source, extent * self._extent
