"""Where the sections and segments of a program are: ELF, PE and Mach-O, by random access.

Source: the System V ABI (ELF header, section and program header tables), Microsoft's PE format
(COFF header, optional header, section table), Apple's mach-o/loader.h. Only headers are read here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, LimitError, NotRecognisedError

if TYPE_CHECKING:
    from collections.abc import Callable

SECTION_LIMIT: Final = 4096  # sections or segments of one program; 65279 is ELF's own bound
NAMES_LIMIT: Final = 1 << 20  # bytes of section names
_HEAD: Final = 4096
_NOBITS: Final = 8
_PT_LOAD: Final = 1
_PF_W: Final = 2
_LC_SEGMENT: Final = (0x1, 0x19)
_IMAGE_SCN_MEM_WRITE: Final = 0x80000000


@dataclass(frozen=True, slots=True)
class MappedBytes:
    """Bytes of a file that a program maps. `name` is empty for a segment; `address` is virtual."""

    name: str
    address: int
    offset: int
    size: int
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """`sections` by name and `segments` as loaded (PE has only sections: they are in both).

    `end` is the offset behind all that the headers describe: a larger file has something appended.
    """

    kind: str  # "elf", "pe" or "mach-o"
    order: str  # "<" or ">", as struct has it
    pointer: int  # bytes of an address
    sections: tuple[MappedBytes, ...]
    segments: tuple[MappedBytes, ...]
    end: int = 0

    def section(self, name: str) -> MappedBytes | None:
        """The first section of this name."""
        return next((region for region in self.sections if region.name == name), None)


def program(read_at: Callable[[int, int], bytes]) -> Program:
    """The layout of the program that `read_at(offset, length)` reads.

    Raises NotRecognisedError for anything else, DamagedError and LimitError.
    """
    head = read_at(0, _HEAD)
    try:
        if head[:4] == b"\x7fELF":
            return _elf(head, read_at)
        if head[:2] == b"MZ":
            return _pe(head, read_at)
        if head[:4] in {b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"}:
            return _macho(head, read_at)
    except (struct.error, IndexError):
        raise DamagedError("a program's headers are cut short") from None
    raise NotRecognisedError("neither ELF, PE nor Mach-O")


def _elf(head: bytes, read_at: Callable[[int, int], bytes]) -> Program:
    if head[4] not in {1, 2} or head[5] not in {1, 2}:
        raise DamagedError("ELF of no known class or byte order")
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    header = struct.unpack_from(order + ("16x2HL3QL6H" if wide else "16x2HL3LL6H"), head)
    program_at, section_at = header[4], header[5]
    program_size, programs, section_size, sections, names_index = header[8:13]
    entry = struct.Struct(order + ("2L4Q" if wide else "6L"))
    if sections and section_size < entry.size:
        raise DamagedError("ELF section headers are too small")
    table = _table(read_at, section_at, section_size, sections)
    raw = [entry.unpack_from(table, index * section_size) for index in range(sections)]
    names = b""
    if names_index < len(raw):
        names = read_at(raw[names_index][4], min(raw[names_index][5], NAMES_LIMIT))
    found = tuple(
        MappedBytes(_name(names, item[0]), item[3], item[4], item[5], bool(item[2] & 1))
        for item in raw
        if item[1] != _NOBITS
    )
    segments = _elf_segments(read_at, order, wide, (program_at, program_size, programs))
    end = max(section_at + len(table), _end(found), _end(segments))
    return Program("elf", order, 8 if wide else 4, found, segments, end)


def _end(regions: tuple[MappedBytes, ...]) -> int:
    return max((region.offset + region.size for region in regions), default=0)


def _elf_segments(
    read_at: Callable[[int, int], bytes], order: str, wide: bool, place: tuple[int, int, int]
) -> tuple[MappedBytes, ...]:
    offset, size, count = place
    entry = struct.Struct(order + ("2L6Q" if wide else "8L"))
    if count and size < entry.size:
        raise DamagedError("ELF program headers are too small")
    table = _table(read_at, offset, size, count)
    segments = []
    for index in range(count):
        item = entry.unpack_from(table, index * size)
        if item[0] == _PT_LOAD:
            # kind, flags, offset, address, …, size in 64 bits; flags come later in 32
            flags, at, address, length = (
                (item[1], item[2], item[3], item[5])
                if wide
                else (item[6], item[1], item[2], item[4])
            )
            segments.append(MappedBytes("", address, at, length, bool(flags & _PF_W)))
    return tuple(segments)


def _pe(head: bytes, read_at: Callable[[int, int], bytes]) -> Program:
    start = struct.unpack_from("<L", head, 0x3C)[0]
    header = read_at(start, 24)
    if header[:4] != b"PE\0\0":
        raise NotRecognisedError("no PE program")
    sections, optional_size = struct.unpack_from("<H12xH", header, 6)
    optional = read_at(start + 24, min(optional_size, _HEAD))
    wide = struct.unpack_from("<H", optional)[0] == 0x20B
    base = struct.unpack_from("<Q", optional, 24)[0] if wide else _base32(optional)
    table = _table(read_at, start + 24 + optional_size, 40, sections)
    found = []
    for index in range(sections):
        name, _, address, size, offset, flags = struct.unpack_from("<8s4L12xL", table, index * 40)
        writable = bool(flags & _IMAGE_SCN_MEM_WRITE)
        label = name.rstrip(b"\0").decode("ascii", "replace")
        found.append(MappedBytes(label, base + address, offset, size, writable))
    regions = tuple(found)
    return Program("pe", "<", 8 if wide else 4, regions, regions, _end(regions))


def _base32(optional: bytes) -> int:
    return int(struct.unpack_from("<L", optional, 28)[0])


def _macho(head: bytes, read_at: Callable[[int, int], bytes]) -> Program:
    wide = head[0] == 0xCF
    commands, length = struct.unpack_from("<2L", head, 16)
    start = 32 if wide else 28
    if length > NAMES_LIMIT or commands > SECTION_LIMIT:
        raise LimitError("Mach-O of too many load commands")
    data = read_at(start, length)
    segments: list[MappedBytes] = []
    sections: list[MappedBytes] = []
    position = 0
    for _ in range(commands):
        command, size = struct.unpack_from("<2L", data, position)
        if size < 8:
            raise DamagedError("Mach-O load command without a size")
        if command in _LC_SEGMENT:
            _macho_segment(data[position : position + size], wide, segments, sections)
        position += size
    regions = tuple(segments)
    return Program("mach-o", "<", 8 if wide else 4, tuple(sections), regions, _end(regions))


def _macho_segment(
    data: bytes, wide: bool, segments: list[MappedBytes], sections: list[MappedBytes]
) -> None:
    values = struct.unpack_from("<8x16s4Q4L" if wide else "<8x16s4L4L", data)
    _, address, _, offset, size, _, protection, count, _ = values
    writable = bool(protection & 2)
    segments.append(MappedBytes("", address, offset, size, writable))
    head, entry = (
        (72, struct.Struct("<16s16s2QL28x")) if wide else (56, struct.Struct("<16s16s3L24x"))
    )
    for index in range(min(count, SECTION_LIMIT)):
        name, _, at, length, where = entry.unpack_from(data, head + index * entry.size)
        label = name.rstrip(b"\0").decode("ascii", "replace")
        sections.append(MappedBytes(label, at, where, length, writable))


def _table(read_at: Callable[[int, int], bytes], offset: int, size: int, count: int) -> bytes:
    if count > SECTION_LIMIT:
        raise LimitError(f"a program of {count} sections or segments")
    data = read_at(offset, size * count) if count else b""
    if len(data) < size * count:
        raise DamagedError("a program's section table is cut short")
    return data


def _name(names: bytes, start: int) -> str:
    end = names.find(b"\0", start, start + 256)
    return names[start : max(end, start)].decode("ascii", "replace")
