"""Write partition tables into image files: no tool, no kernel, no root.

Sources: UEFI specification 2.10, 5.2 and 5.3, for GPT and its protective MBR; the MBR's entries as
Linux reads them (block/partitions/msdos.c). Sectors are 512 bytes, offsets and sizes MiB.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECTOR = 512
SECTORS_PER_MIB = (1 << 20) // SECTOR
ENTRY_COUNT, ENTRY_SIZE = 128, 128
ENTRIES_SECTORS = ENTRY_COUNT * ENTRY_SIZE // SECTOR
# A cylinder, head and sector beyond what that form can say: the reader goes by the sector's number.
BEYOND_CHS = b"\xfe\xff\xff"
LINUX_MBR, PROTECTIVE_MBR = 0x83, 0xEE
LINUX = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
BIOS_BOOT = UUID("21686148-6449-6e6f-744e-656564454649")


@dataclass(frozen=True)
class GptPartition:
    """One entry: `start` and `size` in MiB."""

    start: int
    size: int
    uuid: UUID
    type: UUID = LINUX
    name: str = ""


def write_gpt(image: Path, disk: UUID, partitions: Sequence[GptPartition]) -> None:
    """Write both headers, both tables and the protective MBR into a file of its final size."""
    sectors = image.stat().st_size // SECTOR
    last = sectors - 1
    entries = b"".join(map(_gpt_entry, partitions)).ljust(ENTRY_COUNT * ENTRY_SIZE, b"\0")
    with image.open("r+b") as file:
        file.write(_mbr(0, [(PROTECTIVE_MBR, 1, min(last, 0xFFFFFFFF))]))
        for lba, alternate, table in ((1, last, 2), (last, 1, last - ENTRIES_SECTORS)):
            file.seek(lba * SECTOR)
            file.write(_gpt_header((lba, alternate, table), disk, entries))
            file.seek(table * SECTOR)
            file.write(entries)


def write_mbr(image: Path, label: int, partitions: Sequence[tuple[int, int]]) -> None:
    """Write up to four Linux partitions, each (start, size) in MiB; `label` is the disk's id."""
    entries = [
        (LINUX_MBR, start * SECTORS_PER_MIB, size * SECTORS_PER_MIB) for start, size in partitions
    ]
    with image.open("r+b") as file:
        file.write(_mbr(label, entries))


def _gpt_entry(partition: GptPartition) -> bytes:
    first = partition.start * SECTORS_PER_MIB
    last = first + partition.size * SECTORS_PER_MIB - 1
    name = partition.name.encode("utf-16-le")
    kind, unique = partition.type.bytes_le, partition.uuid.bytes_le
    return struct.pack("<16s16sQQQ72s", kind, unique, first, last, 0, name)


def _gpt_header(places: tuple[int, int, int], disk: UUID, entries: bytes) -> bytes:
    """A header; `places` are the sectors of itself, of the other one and of its table."""
    lba, alternate, table = places
    last = max(lba, alternate)
    usable = (2 + ENTRIES_SECTORS, last - ENTRIES_SECTORS - 1)

    def packed(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            *(b"EFI PART", 0x00010000, 92, checksum, 0, lba, alternate, *usable, disk.bytes_le),
            *(table, ENTRY_COUNT, ENTRY_SIZE, zlib.crc32(entries)),
        )

    return packed(zlib.crc32(packed(0)))


def _mbr(label: int, entries: Sequence[tuple[int, int, int]]) -> bytes:
    """The first sector: (type, first sector, sectors) each."""
    table = b"".join(
        struct.pack("<B3sB3sII", 0, BEYOND_CHS, kind, BEYOND_CHS, first, count)
        for kind, first, count in entries
    )
    return struct.pack("<440xI2x64s2s", label, table, b"\x55\xaa")
