"""From the disks of one machine to everything on them that may hold a filesystem."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.blocks import SliceSource
from sidelight.disk import gpt_layout, mbr, tables
from sidelight.disk.lvm import logical_volumes
from sidelight.disk.names import UNKNOWN, device_names, logical_volume_names
from sidelight.disk.region import Region, Signature
from sidelight.disk.signatures import (
    INERT,
    LVM_MEMBER,
    MD_MEMBER,
    READABLE,
    identify,
    identify_end,
)
from sidelight.errors import SourceError
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk.names import Attachment
    from sidelight.disk.region import Partition

# A volume may be a member of another group: a virtual machine's disk on its host.
MOST_LEVELS = 4

RAID_TYPES = frozenset({gpt_layout.LINUX_RAID, mbr.LINUX_RAID})
BOOT_TYPES = {gpt_layout.BIOS_BOOT: "bios-boot", gpt_layout.PREP_BOOT: "prep-boot"}


def volumes(
    sources: Sequence[BlockSource],
    problems: list[Problem],
    attachments: Sequence[Attachment] = (),
) -> list[Region]:
    """Partitions, logical volumes and whole-disk filesystems of one machine's disks.

    `attachments` are the disks' own, in their order, where known. What is recognised but cannot
    be read is a Problem, and still returned, with its `kind`, since fstab may name it; members of
    a volume group are not returned. No name or type of a partition is passed over. Never raises
    for what is on the disks: a disk that cannot be read is a Problem.
    """
    for source in sources:
        source.prefetch([(0, 1), (source.size - 1, 1)])
    regions: list[Region] = []
    for disk, source in enumerate(sources):
        attached = attachments[disk] if disk < len(attachments) else UNKNOWN
        try:
            found = tables.partitions(source, problems)
        except SourceError as error:
            problems.append(Problem(source.name, error.what))
            continue
        regions += [_region(source, disk, partition, attached) for partition in found]
        if not found:
            regions.append(
                Region(source, source.name, disk, device_names=device_names(disk, None, attached))
            )
    named = _recognised(regions, problems)
    offered: list[Region] = []
    for _ in range(MOST_LEVELS):
        offered += [region for region in named if region.kind != LVM_MEMBER]
        members = [region for region in named if region.kind == LVM_MEMBER]
        if not members:
            return offered
        named = _recognised(_logical(members, problems), problems)
    for region in named:
        what = f"LVM2: volume groups within each other, more than {MOST_LEVELS} deep"
        problems.append(Problem(region.name, what))
    return offered


def _logical(members: list[Region], problems: list[Problem]) -> list[Region]:
    regions = []
    for volume in logical_volumes([region.source for region in members], problems):
        name = f"{volume.group}/{volume.name}"
        disks = {members[index].disk for index in volume.members}
        by_uuid = "/dev/disk/by-id/dm-uuid-LVM-" + volume.uuid.replace("-", "")
        names = (*logical_volume_names(volume.group, volume.name), by_uuid)
        disk = disks.pop() if len(disks) == 1 else -1
        regions.append(Region(volume.source, name, disk, lv=name, device_names=names))
    return regions


def _region(source: BlockSource, disk: int, partition: Partition, attached: Attachment) -> Region:
    name = f"{source.name}/p{partition.number}"
    return Region(
        SliceSource(source, partition.start, partition.size, name),
        name,
        disk,
        partition.number,
        partition.uuid,
        partition.label,
        partition.type,
        partition.attributes,
        device_names=device_names(disk, partition.number, attached),
    )


def _recognised(regions: list[Region], problems: list[Problem]) -> list[Region]:
    """Name what each region holds."""
    for region in regions:
        region.source.prefetch([(0, 4096)])
    found = []
    for region in regions:
        try:
            signature = _signature(region)
        except SourceError as error:
            problems.append(Problem(region.name, f"cannot be read: {error.what}"))
            continue
        named = replace(region, kind=signature.kind, uuid=signature.uuid, label=signature.label)
        _note(named, problems)
        found.append(named)
    return found


def _signature(region: Region) -> Signature:
    """The region's signature; its end is read only where an md superblock may be there."""
    source = region.source
    signature = identify(source)
    whole_disk = region.partition is None and not region.lv
    if (
        whole_disk
        or region.parttype in RAID_TYPES
        or signature.extent > source.size
        or signature.kind in ("", "blank")
    ):
        try:
            end = identify_end(source)
        except SourceError:
            end = Signature()  # a truncated disk: what its beginning says is what is known
        if end.kind:
            return end
    if signature.kind in ("", "blank") and region.parttype in BOOT_TYPES:
        return Signature(BOOT_TYPES[region.parttype])
    return signature


def _note(region: Region, problems: list[Problem]) -> None:
    kind = region.kind
    if kind in READABLE or kind in INERT or kind == LVM_MEMBER:
        return
    if not kind:
        problems.append(Problem(region.name, "no known filesystem"))
    elif kind == MD_MEMBER:
        problems.append(Problem(region.name, "unsupported: member of an md RAID array"))
    else:
        problems.append(Problem(region.name, f"unsupported: {kind}"))
