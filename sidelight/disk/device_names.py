"""The paths under /dev by which a machine's fstab may name a disk, a partition or a volume."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Xen, virtio, SCSI and the old IDE names; EC2 shows an attachment /dev/sdf as /dev/xvdf.
_LETTERED = ("xvd", "sd", "vd", "hd")
_ATTACHED = re.compile(r"/dev/(?:xvd|sd|vd|hd)([a-z]{1,2})[0-9]*\Z")
_VOLUME = re.compile(r"vol-([0-9a-f]{8}|[0-9a-f]{17})\Z")
_MODEL = "Amazon Elastic Block Store"  # of an EBS volume as NVMe; its serial is the id, no hyphen
_VENDOR = "1d0f"  # Amazon's PCI vendor id


@dataclass(frozen=True, slots=True)
class Attachment:
    """As what a disk is attached (`/dev/sdf`), and its EBS volume (`vol-…`); empty: not known."""

    device: str = ""
    volume: str = ""


UNKNOWN = Attachment()


def attachments_of(volumes: Iterable[str]) -> tuple[Attachment, ...]:
    """Attachments of which only the volumes' ids are known. Raises UsageError."""
    found = tuple(Attachment(volume=volume) for volume in volumes)
    for attachment in found:
        if not _VOLUME.match(attachment.volume):
            raise UsageError("is not an EBS volume's id: write vol-…", where=attachment.volume)
    return found


def device_names(
    disk: int, partition: int | None, attachment: Attachment = UNKNOWN
) -> tuple[str, ...]:
    """Names of partition `partition` (None: the whole) of the `disk`-th disk, counted from 0.

    An attachment's name gives the letter where it is known, its volume the names by id. NVMe disks
    are numbered in the order of the disks.
    """
    attached = attachment.device
    known = _ATTACHED.match(attached)
    letters = known.group(1) if known else _letters(disk)
    suffix = "" if partition is None else str(partition)
    names = [f"/dev/{prefix}{letters}{suffix}" for prefix in _LETTERED]
    names.append(f"/dev/nvme{disk}n1" + (f"p{suffix}" if suffix else ""))
    if attached and not known:
        separator = "p" if suffix and attached[-1].isdigit() else ""
        names.append(f"{attached}{separator}{suffix}")
    return (*names, *_names_by_id(attachment.volume, suffix))


def _names_by_id(volume: str, partition: str) -> list[str]:
    """An EBS volume's links, as udev's rules and those of amazon-ec2-utils (`-ns-1`) make them."""
    found = _VOLUME.match(volume)
    if found is None:
        return []
    serial = f"vol{found.group(1)}"
    plain = f"{_MODEL.replace(' ', '_')}_{serial}"
    wwid = f"nvme.{_VENDOR}-{serial.encode().hex()}-{_MODEL.encode().hex()}-00000001"
    suffix = f"-part{partition}" if partition else ""
    disks = (plain, f"{plain}_1", f"{plain}-ns-1", wwid)
    return [f"/dev/disk/by-id/nvme-{name}{suffix}" for name in disks]


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
