"""MBR partition tables with extended and logical partitions, numbered as Linux numbers them.

Source: the kernel's documented behaviour (block/partitions), and UEFI specification 2.10, 5.2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.disk.volume_slice import Partition
from sidelight.errors import DamagedError, NotRecognisedError, SourceError
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.blocks import BlockSource

SECTOR = 512  # bytes that hold the table, whatever the logical sector size
MAGIC = b"\x55\xaa"
MAGIC_OFFSET = 510
DISK_SIGNATURE = struct.Struct("<I")
DISK_SIGNATURE_OFFSET = 440
TABLE_OFFSET = 446
# Status (0x80 active), first CHS, type, last CHS, first LBA, sectors.
ENTRY = struct.Struct("<B3sB3sII")
ENTRIES = 4
STATUSES = frozenset({0x00, 0x80})

PROTECTIVE = 0xEE
EXTENDED = frozenset({0x05, 0x0F, 0x85})
LINUX_RAID = "fd"
EFI_SYSTEM = "ef"
FIRST_LOGICAL = 5
MAX_LOGICAL = 256


@dataclass(frozen=True, slots=True)
class MbrEntry:
    """One slot of a table; `first` and `count` in sectors."""

    type: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class MbrTable:
    """A primary table. `signature` is the disk's, from which PARTUUIDs are made."""

    signature: int
    entries: tuple[MbrEntry, ...]

    @property
    def protective(self) -> bool:
        """Whether a GPT is to be used: any slot protective, as a hybrid MBR has it too."""
        return any(entry.type == PROTECTIVE for entry in self.entries)

    def partition(self, number: int, entry: MbrEntry, sector: int) -> Partition:
        """The entry as a partition, with `sector` bytes a sector."""
        uuid = f"{self.signature:08x}-{number:02x}" if self.signature else ""
        return Partition(
            number, entry.first * sector, entry.count * sector, f"{entry.type:02x}", uuid
        )

    @property
    def empty(self) -> bool:
        """Whether no slot is in use."""
        return not any(entry.count for entry in self.entries)


def read_table(source: BlockSource) -> MbrTable:
    """The primary table. Raises NotRecognisedError where sector 0 holds none, SourceError."""
    if source.size < SECTOR:
        raise NotRecognisedError("no MBR: smaller than a sector", where=source.name)
    raw = source.read_at(0, SECTOR)
    entries = _slots(raw)
    if entries is None:
        raise NotRecognisedError("no MBR", where=source.name)
    return MbrTable(DISK_SIGNATURE.unpack_from(raw, DISK_SIGNATURE_OFFSET)[0], entries)


def partitions(
    source: BlockSource, table: MbrTable, sector: int, problems: list[Problem]
) -> list[Partition]:
    """Primary partitions (1-4) and logical ones (from 5 on); no extended ones.

    `sector` is the disk's logical sector size in bytes.
    """
    found: list[Partition] = []
    logical: list[MbrEntry] = []
    for slot, entry in enumerate(table.entries):
        if not entry.count:
            continue
        if entry.type in EXTENDED:
            _follow(source, sector, entry, logical, problems)
        elif entry.type != PROTECTIVE:
            found.append(table.partition(slot + 1, entry, sector))
    numbered = enumerate(logical, FIRST_LOGICAL)
    return found + [table.partition(number, entry, sector) for number, entry in numbered]


def _slots(raw: bytes) -> tuple[MbrEntry, ...] | None:
    if raw[MAGIC_OFFSET : MAGIC_OFFSET + 2] != MAGIC:
        return None
    entries = []
    for slot in range(ENTRIES):
        fields = ENTRY.unpack_from(raw, TABLE_OFFSET + slot * ENTRY.size)
        status, _, kind, _, first, count = fields
        if status not in STATUSES:
            # The kernel takes this for a boot sector's code, not for a table.
            return None
        entries.append(MbrEntry(kind, first, count))
    return tuple(entries)


def _follow(
    source: BlockSource,
    sector: int,
    extended: MbrEntry,
    found: list[MbrEntry],
    problems: list[Problem],
) -> None:
    """Follow one chain of extended boot records; each names one partition and the next record."""
    here: int | None = extended.first
    seen: set[int] = set()
    while here is not None:
        try:
            slots = _record(source, sector, here, seen)
        except (SourceError, DamagedError) as error:
            where = f"{source.name}: extended boot record at sector {here}"
            problems.append(Problem(where, error.what))
            return
        found += _data(slots, extended, here)
        links = [entry.first for entry in slots if entry.count and entry.type in EXTENDED]
        here = extended.first + links[0] if links else None


def _record(source: BlockSource, sector: int, here: int, seen: set[int]) -> tuple[MbrEntry, ...]:
    """The extended boot record at sector `here`. Raises DamagedError, SourceError."""
    if here in seen:
        raise DamagedError("the chain of logical partitions runs in a circle")
    seen.add(here)
    if len(seen) > MAX_LOGICAL:
        raise DamagedError(f"more than {MAX_LOGICAL} extended boot records")
    slots = _slots(source.read_at(here * sector, SECTOR))
    if slots is None:
        raise DamagedError("has no table; later logical partitions are lost")
    return slots


def _data(slots: Sequence[MbrEntry], extended: MbrEntry, here: int) -> Iterator[MbrEntry]:
    """The data partitions of one extended boot record at sector `here`, with absolute sectors."""
    end = extended.first + extended.count
    for slot, entry in enumerate(slots):
        if not entry.count or entry.type in EXTENDED:
            continue
        first = here + entry.first
        # Slots 3 and 4 are not used by the format; the kernel believes them only inside.
        if slot >= 2 and not extended.first <= first <= first + entry.count <= end:
            continue
        yield MbrEntry(entry.type, first, entry.count)
