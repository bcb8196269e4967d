"""The values that pass between the parsers of this package and their callers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.blocks import BlockSource


@dataclass(frozen=True, slots=True)
class Partition:
    """One entry of a partition table; offsets and sizes in bytes of the disk.

    `type` is GPT's type GUID in lower case, or MBR's type as two hexadecimal digits; `attributes`
    are GPT's 64 bits.
    """

    number: int
    start: int
    size: int
    type: str
    uuid: str = ""
    label: str = ""
    attributes: int = 0


@dataclass(frozen=True, slots=True)
class Signature:
    """What the bytes of a volume slice say that they are.

    `kind` is blkid's name where there is one (`ext4`, `xfs`, `swap`, `crypto_LUKS`), `blank` for
    zeros, empty where nothing is known. `extent` is the size in bytes that the structure claims
    for itself, 0 where it was not looked at.
    """

    kind: str = ""
    uuid: str = ""
    label: str = ""
    extent: int = 0


@dataclass(frozen=True, slots=True)
class VolumeSlice:
    """A partition, a logical volume or a whole disk that holds no partition table.

    `disk` is the index of its source in the list given, -1 where it lies on several; `partition`
    its number as the kernel counts. `partuuid` and `partlabel` are as in fstab, `parttype` and
    `attributes` as in Partition. `lv` is `vg/lv`,
    `device_names` every path under /dev that the machine may use for it. `kind`, `uuid` and
    `label` come from its signature (see Signature), as `extent`, the bytes that it claims, 0 where
    that is not known. `start` is its first byte on its disk, None for a logical volume.
    """

    source: BlockSource
    name: str
    disk: int
    partition: int | None = None
    partuuid: str = ""
    partlabel: str = ""
    parttype: str = ""
    attributes: int = 0
    lv: str = ""
    device_names: tuple[str, ...] = ()
    kind: str = ""
    uuid: str = ""
    label: str = ""
    extent: int = 0
    start: int | None = None
