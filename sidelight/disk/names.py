"""The paths under /dev by which a machine's fstab may name a disk, a partition or a volume."""

from __future__ import annotations

import re
import string

# Xen, virtio, SCSI and the old IDE names; EC2 shows an attachment /dev/sdf as /dev/xvdf.
_LETTERED = ("xvd", "sd", "vd", "hd")
_ATTACHED = re.compile(r"/dev/(?:xvd|sd|vd|hd)([a-z]{1,2})[0-9]*\Z")


def device_names(disk: int, partition: int | None, attached: str = "") -> tuple[str, ...]:
    """Names of partition `partition` (None: the whole) of the `disk`-th disk, counted from 0.

    `attached` is the attachment's name (`/dev/sdf`) where it is known: it then gives the letter.
    NVMe disks are numbered in the order of the disks.
    """
    known = _ATTACHED.match(attached)
    letters = known.group(1) if known else _letters(disk)
    suffix = "" if partition is None else str(partition)
    names = [f"/dev/{prefix}{letters}{suffix}" for prefix in _LETTERED]
    names.append(f"/dev/nvme{disk}n1" + (f"p{suffix}" if suffix else ""))
    if attached and not known:
        separator = "p" if suffix and attached[-1].isdigit() else ""
        names.append(f"{attached}{separator}{suffix}")
    return tuple(names)


def logical_volume_names(group: str, volume: str) -> tuple[str, ...]:
    """Names of a logical volume: /dev/vg/lv, and the mapper's with hyphens doubled."""
    mapped = f"{group.replace('-', '--')}-{volume.replace('-', '--')}"
    return (f"/dev/{group}/{volume}", f"/dev/mapper/{mapped}", f"/dev/disk/by-id/dm-name-{mapped}")


def _letters(index: int) -> str:
    """0 -> a, 25 -> z, 26 -> aa, as the kernel names disks."""
    letters = ""
    index += 1
    while index > 0:
        index, digit = divmod(index - 1, 26)
        letters = string.ascii_lowercase[digit] + letters
    return letters
