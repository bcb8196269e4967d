"""GUID partition tables: header and entries checked, the backup used where the primary is not good.

Source: UEFI specification 2.10, section 5.3.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sidelight.disk import gpt_layout as layout
from sidelight.disk.volume_slice import Partition
from sidelight.errors import DamagedError, NotRecognisedError, SourceError
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.blocks import BlockSource


@dataclass(frozen=True, slots=True)
class Header:
    """One header, decoded. `sector` in bytes, LBAs in sectors; `intact` says that its CRC holds."""

    sector: int
    lba: int
    alternate: int
    entries_lba: int
    entry_count: int
    entry_size: int
    entries_crc: int
    intact: bool


def partitions(source: BlockSource, problems: list[Problem]) -> tuple[int, list[Partition]]:
    """The logical sector size (bytes) and the partitions, numbered from 1 as the kernel does.

    Raises NotRecognisedError where neither header is there, DamagedError where one is but no
    table can be read, and SourceError.
    """
    damage: list[str] = []
    fallback: tuple[Header, bytes] | None = None
    for header in _headers(source, damage):
        try:
            table = _table(source, header)
        except (DamagedError, SourceError) as error:
            damage.append(error.what)
            continue
        if header.intact and zlib.crc32(table) == header.entries_crc:
            _report(source, damage, problems, header)
            return header.sector, _entries(source, header, table, problems)
        if header.intact:
            damage.append(f"the table of the header at sector {header.lba} fails its checksum")
        fallback = fallback or (header, table)
    if fallback is None:
        if damage:
            raise DamagedError("GPT: " + "; ".join(damage), where=source.name)
        raise NotRecognisedError("no GPT header", where=source.name)
    # Neither copy is whole. A table that may be wrong in places is still better read than not.
    header, table = fallback
    _report(source, damage, problems, header)
    return header.sector, _entries(source, header, table, problems)


def _report(
    source: BlockSource, damage: list[str], problems: list[Problem], header: Header
) -> None:
    if damage:
        what = f"GPT damaged: {'; '.join(damage)}; read from the header at sector {header.lba}"
        problems.append(Problem(source.name, what))


def _headers(source: BlockSource, damage: list[str]) -> Iterator[Header]:
    """The headers worth trying, primary first. Notes what is wrong with each in `damage`."""
    primaries = [_header(source, sector, 1) for sector in layout.SECTOR_SIZES]
    found = [header for header in primaries if header is not None]
    for header in found:
        if not header.intact:
            damage.append("the primary header fails its checksum")
        yield header
    if not found:
        damage.append("there is no primary header")
    # A disk that grew has its backup where the primary says, not at its end.
    places = [(header.sector, header.alternate) for header in found]
    places += [(sector, source.size // sector - 1) for sector in layout.SECTOR_SIZES]
    backups = 0
    for sector, lba in dict.fromkeys(places):
        backup = _header(source, sector, lba) if lba != 1 else None
        if backup is None:
            continue
        backups += 1
        if not backup.intact:
            damage.append(f"the backup header at sector {lba} fails its checksum")
        yield backup
    if not found and not backups:
        damage.clear()
    elif not backups:
        damage.append("there is no backup header")


def _header(source: BlockSource, sector: int, lba: int) -> Header | None:
    """The header at this LBA; None where there is none. Raises SourceError."""
    if lba < 1 or (lba + 1) * sector > source.size:
        return None
    raw = source.read_at(lba * sector, sector)
    if not raw.startswith(layout.SIGNATURE):
        return None
    fields = layout.HEADER.unpack_from(raw)
    _, _, size, crc, _, own, alternate, _, _, _, entries, count, entry_size, entries_crc = fields
    intact = layout.HEADER.size <= size <= sector and own == lba
    if intact:
        checked = bytearray(raw[:size])
        start = layout.HEADER_CRC_OFFSET
        checked[start : start + layout.HEADER_CRC_SIZE] = bytes(layout.HEADER_CRC_SIZE)
        intact = zlib.crc32(checked) == crc
    return Header(sector, lba, alternate, entries, count, entry_size, entries_crc, intact)


def _table(source: BlockSource, header: Header) -> bytes:
    """All entries' bytes. Raises DamagedError for impossible sizes, SourceError."""
    size = header.entry_count * header.entry_size
    if not layout.ENTRY.size <= header.entry_size <= layout.MAX_ENTRY_SIZE:
        raise DamagedError(f"entries of {header.entry_size} bytes", where=source.name)
    if not 0 < size <= layout.MAX_TABLE_BYTES or header.entries_lba < 1:
        raise DamagedError(
            f"a table of {header.entry_count} entries at sector {header.entries_lba}",
            where=source.name,
        )
    return source.read_at(header.entries_lba * header.sector, size)


def _entries(
    source: BlockSource, header: Header, table: bytes, problems: list[Problem]
) -> list[Partition]:
    found: list[Partition] = []
    for index in range(header.entry_count):
        fields = layout.ENTRY.unpack_from(table, index * header.entry_size)
        kind, unique, first, last, attributes, name = fields
        if kind == layout.UNUSED:
            continue
        number = index + 1
        if last < first or first == 0:
            where = f"{source.name}/p{number}"
            problems.append(Problem(where, f"GPT entry from sector {first} to {last}"))
            continue
        if len(found) == layout.MAX_PARTITIONS:
            what = f"more than {layout.MAX_PARTITIONS} partitions; the others are left out"
            problems.append(Problem(source.name, what))
            break
        found.append(
            Partition(
                number,
                first * header.sector,
                (last - first + 1) * header.sector,
                str(UUID(bytes_le=kind)),
                str(UUID(bytes_le=unique)),
                name.decode("utf-16-le", "replace").split("\0", 1)[0],
                attributes,
            )
        )
    return found
