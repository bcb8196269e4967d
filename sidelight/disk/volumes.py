"""From the disks of one machine to everything on them that may hold a filesystem."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.blocks import SliceSource
from sidelight.disk import gaps, gpt_layout, mbr, partition_tables
from sidelight.disk.device_names import UNKNOWN, device_names, logical_volume_names
from sidelight.disk.lvm import logical_volumes
from sidelight.disk.signatures import (
    INERT,
    LVM_MEMBER,
    MD_MEMBER,
    READABLE,
    identify,
    identify_end,
)
from sidelight.disk.volume_slice import Signature, VolumeSlice
from sidelight.errors import SourceError
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk.device_names import Attachment
    from sidelight.disk.volume_slice import Partition

# A volume may be a member of another group: a virtual machine's disk on its host.
MOST_LEVELS = 4

RAID_TYPES = frozenset({gpt_layout.LINUX_RAID, mbr.LINUX_RAID})
BOOT_TYPES = {gpt_layout.BIOS_BOOT: "bios-boot", gpt_layout.PREP_BOOT: "prep-boot"}


def volumes(
    sources: Sequence[BlockSource],
    problems: list[Problem],
    attachments: Sequence[Attachment] = (),
) -> list[VolumeSlice]:
    """Partitions, logical volumes and whole-disk filesystems of one machine's disks.

    `attachments` are the disks' own, in their order, where known. What is recognised but cannot
    be read is a Problem, and still returned, with its `kind`, since fstab may name it; members of
    a volume group are not returned. No name or type of a partition is passed over. Never raises
    for what is on the disks: a disk that cannot be read is a Problem.
    """
    for source in sources:
        source.prefetch([(0, 1), (source.size - 1, 1)])
    slices: list[VolumeSlice] = []
    for disk, source in enumerate(sources):
        attached = attachments[disk] if disk < len(attachments) else UNKNOWN
        try:
            found = partition_tables.partitions(source, problems)
        except SourceError as error:
            problems.append(Problem(source.name, error.what))
            continue
        slices += [_volume_slice(source, disk, partition, attached) for partition in found]
        if not found:
            slices.append(
                VolumeSlice(
                    source,
                    source.name,
                    disk,
                    device_names=device_names(disk, None, attached),
                    start=0,
                )
            )
    named = _recognised(slices, problems)
    for disk, source in enumerate(sources):
        named += _outside(source, disk, named, problems)
    offered: list[VolumeSlice] = []
    for _ in range(MOST_LEVELS):
        offered += [volume_slice for volume_slice in named if volume_slice.kind != LVM_MEMBER]
        members = [volume_slice for volume_slice in named if volume_slice.kind == LVM_MEMBER]
        if not members:
            return offered
        named = _recognised(_logical(members, problems), problems)
    for volume_slice in named:
        what = f"LVM2: volume groups within each other, more than {MOST_LEVELS} deep"
        problems.append(Problem(volume_slice.name, what))
    return offered


def _outside(
    source: BlockSource, disk: int, named: list[VolumeSlice], problems: list[Problem]
) -> list[VolumeSlice]:
    """What lies on a disk outside of all partitions, and behind the ends of their filesystems."""
    own = [
        volume_slice
        for volume_slice in named
        if volume_slice.disk == disk and volume_slice.start is not None
    ]
    claimed = []
    for volume_slice in own:
        start, size = volume_slice.start or 0, volume_slice.source.size
        if volume_slice.kind == "blank":
            continue  # nothing begins there; something may further on
        claimed.append((start, start + min(size, volume_slice.extent or size)))
    found = []
    for stray in gaps.strays(source, gaps.unclaimed(source.size, claimed)):
        signature = stray.signature
        name = f"{source.name}/at {stray.start >> 20} MiB"
        if signature.kind not in READABLE:
            what = f"unsupported: {signature.kind} outside of any partition"
            problems.append(Problem(name, what))
            continue
        piece = SliceSource(source, stray.start, stray.end - stray.start, name)
        volume_slice = VolumeSlice(piece, name, disk, start=stray.start)
        found.append(_with(volume_slice, signature))
    if any(volume_slice.partition is not None for volume_slice in own):
        _note_a_whole_disk_filesystem(source, problems)
    return found


def _note_a_whole_disk_filesystem(source: BlockSource, problems: list[Problem]) -> None:
    """A filesystem of the whole disk, whose first bytes leave room for a partition table."""
    try:
        kind = identify(source).kind
    except SourceError:
        return  # the table was read: the first block is there
    if kind in READABLE:
        what = f"unsupported: {kind} of the whole disk as well as a partition table"
        problems.append(Problem(source.name, what))


def _with(volume_slice: VolumeSlice, signature: Signature) -> VolumeSlice:
    return replace(
        volume_slice,
        kind=signature.kind,
        uuid=signature.uuid,
        label=signature.label,
        extent=signature.extent,
    )


def _logical(members: list[VolumeSlice], problems: list[Problem]) -> list[VolumeSlice]:
    slices = []
    for volume in logical_volumes([volume_slice.source for volume_slice in members], problems):
        name = f"{volume.group}/{volume.name}"
        disks = {members[index].disk for index in volume.members}
        by_uuid = "/dev/disk/by-id/dm-uuid-LVM-" + volume.uuid.replace("-", "")
        names = (*logical_volume_names(volume.group, volume.name), by_uuid)
        disk = disks.pop() if len(disks) == 1 else -1
        slices.append(VolumeSlice(volume.source, name, disk, lv=name, device_names=names))
    return slices


def _volume_slice(
    source: BlockSource, disk: int, partition: Partition, attached: Attachment
) -> VolumeSlice:
    name = f"{source.name}/p{partition.number}"
    return VolumeSlice(
        SliceSource(source, partition.start, partition.size, name),
        name,
        disk,
        partition.number,
        partition.uuid,
        partition.label,
        partition.type,
        partition.attributes,
        device_names=device_names(disk, partition.number, attached),
        start=partition.start,
    )


def _recognised(slices: list[VolumeSlice], problems: list[Problem]) -> list[VolumeSlice]:
    """Name what each volume slice holds."""
    for volume_slice in slices:
        volume_slice.source.prefetch([(0, 4096)])
    found = []
    for volume_slice in slices:
        try:
            signature = _signature(volume_slice)
        except SourceError as error:
            problems.append(Problem(volume_slice.name, f"cannot be read: {error.what}"))
            continue
        named = _with(volume_slice, signature)
        _note(named, problems)
        found.append(named)
    return found


def _signature(volume_slice: VolumeSlice) -> Signature:
    """The volume slice's signature; its end is read only where an md superblock may be there."""
    source = volume_slice.source
    signature = identify(source)
    whole_disk = volume_slice.partition is None and not volume_slice.lv
    if (
        whole_disk
        or volume_slice.parttype in RAID_TYPES
        or signature.extent > source.size
        or signature.kind in ("", "blank")
    ):
        try:
            end = identify_end(source)
        except SourceError:
            end = Signature()  # a truncated disk: what its beginning says is what is known
        if end.kind:
            return end
    if signature.kind in ("", "blank") and volume_slice.parttype in BOOT_TYPES:
        return Signature(BOOT_TYPES[volume_slice.parttype])
    return signature


def _note(volume_slice: VolumeSlice, problems: list[Problem]) -> None:
    kind = volume_slice.kind
    if kind in READABLE or kind in INERT or kind == LVM_MEMBER:
        return
    if not kind:
        problems.append(Problem(volume_slice.name, "no known filesystem"))
    elif kind == MD_MEMBER:
        problems.append(Problem(volume_slice.name, "unsupported: member of an md RAID array"))
    else:
        problems.append(Problem(volume_slice.name, f"unsupported: {kind}"))
