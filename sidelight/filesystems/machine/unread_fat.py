"""FAT that may hold software: all of it but what firmware, boot loaders and cloud-init read.

An EFI system partition holds no packages, so it is not a Problem. A FAT filesystem that the machine
mounts elsewhere, or that nothing says is such a partition, may hold any program.
Sources: the UEFI specification ("System Partition"), The Boot Loader Specification (XBOOTLDR),
cloud-init's documentation of NoCloud and ConfigDrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.disk.gpt_layout import EFI_SYSTEM
from sidelight.disk.mbr import EFI_SYSTEM as MBR_EFI_SYSTEM
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.disk import VolumeSlice
    from sidelight.filesystems.machine import fstab

_KIND: Final = "vfat"
_TYPES: Final = frozenset({EFI_SYSTEM, MBR_EFI_SYSTEM, "bc13c2ff-59e6-4262-a352-b275fd6f7172"})
_LABELS: Final = frozenset({"cidata", "config-2"})
_BOOT: Final = frozenset(
    {b"boot", b"boot/efi", b"boot/firmware", b"boot/uboot", b"boot/loader", b"efi", b"esp"}
)
_WHAT: Final = "unsupported: vfat; its files are not read"


def is_of_boot(target: bytes) -> bool:
    """Whether what is mounted there is for booting; by a path without a leading slash."""
    return target in _BOOT


def mounted(line: fstab.Line, volume_slice: VolumeSlice) -> list[Problem]:
    """The Problem of a line that mounts FAT where programs may be."""
    if volume_slice.kind != _KIND or is_of_boot(line.target):
        return []
    return [Problem(line.where, f"{volume_slice.name}: {_WHAT}")]


def unexplained(
    slices: Sequence[VolumeSlice], lines: Iterable[fstab.Line], devices: fstab.Devices
) -> Iterator[Problem]:
    """A Problem for each slice of FAT that neither its type nor one of these mounts explains."""
    fat = [item for item in slices if item.kind == _KIND and item.parttype not in _TYPES]
    fat = [item for item in fat if item.label.lower() not in _LABELS]
    if not fat:
        return
    named = {item.name for line in lines for item in devices.matching(line.device)}
    for item in fat:
        if item.name not in named:
            yield Problem(item.name, _WHAT)
