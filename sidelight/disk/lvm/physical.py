"""Physical volumes: label, header, metadata areas, and the newest text that they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.disk.lvm import layout
from sidelight.disk.lvm.text import Section, parse
from sidelight.errors import (
    DamagedError,
    FormatError,
    LimitError,
    NotRecognisedError,
    SidelightError,
)
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """One member; `areas` are its metadata areas as (offset, size) in bytes, often one or none.

    `used`: whether its header says that a volume group has it, which old ones do not say.
    """

    source: BlockSource
    uuid: str
    areas: tuple[tuple[int, int], ...]
    used: bool


@dataclass(frozen=True, slots=True)
class Metadata:
    """One text of one volume group, and the member that it was read from."""

    name: str
    id: str
    seqno: int
    group: Section
    origin: str


def read_label(source: BlockSource) -> PhysicalVolume:
    """The member's header. Raises NotRecognisedError, DamagedError, SourceError."""
    size = layout.LABEL_SECTORS * layout.SECTOR
    head = source.read_at(0, min(size, source.size))
    for sector in range(len(head) // layout.SECTOR):
        raw = head[sector * layout.SECTOR : (sector + 1) * layout.SECTOR]
        magic, _, crc, offset, kind = layout.LABEL.unpack_from(raw)
        if magic != layout.LABEL_MAGIC or kind != layout.LABEL_TYPE:
            continue
        if layout.checksum(raw[layout.LABEL_CRC_FROM :]) != crc:
            raise DamagedError("the LVM2 label fails its checksum", where=source.name)
        if not layout.LABEL.size <= offset <= layout.SECTOR - layout.PV_HEADER.size:
            raise DamagedError(f"the LVM2 header lies at {offset}", where=source.name)
        return _header(source, raw, offset)
    raise NotRecognisedError("no LVM2 label", where=source.name)


def _header(source: BlockSource, raw: bytes, offset: int) -> PhysicalVolume:
    uuid, _ = layout.PV_HEADER.unpack_from(raw, offset)
    position = offset + layout.PV_HEADER.size
    lists: list[list[tuple[int, int]]] = [[], []]
    for areas in lists:
        while position + layout.AREA.size <= len(raw) and len(areas) <= layout.MAX_AREAS:
            start, size = layout.AREA.unpack_from(raw, position)
            position += layout.AREA.size
            if start == 0:
                break
            areas.append((start, size))
    text = layout.hyphened(uuid.decode("latin-1"))
    used = False
    if position + layout.PV_EXTENSION.size <= len(raw):
        version, flags = layout.PV_EXTENSION.unpack_from(raw, position)
        used = version >= layout.PV_USED_SINCE and bool(flags & layout.PV_USED)
    return PhysicalVolume(source, text, tuple(lists[1][: layout.MAX_AREAS]), used)


class Texts:
    """The metadata texts of one machine's members, each parsed once.

    All members of a group carry the same text. Members may overlap on the disk, so that what all
    of them claim together is bounded and not only what one does.
    """

    def __init__(self) -> None:
        """None is known yet."""
        self._known: dict[bytes, Metadata] = {}
        self._read_left = layout.MAX_TEXTS_READ
        self._parse_left = layout.MAX_TEXTS_PARSED

    def read(self, source: BlockSource, start: int, size: int, where: str) -> Metadata | None:
        """The text of a metadata area; None where it holds none.

        Raises LimitError, DamagedError, FormatError, SourceError.
        """
        if self._read_left <= 0:
            what = f"more than {layout.MAX_TEXTS_READ >> 20} MiB of LVM2 metadata"
            raise LimitError(f"{what}: this text is not read")
        data = _text(source, start, size)
        if data is None:
            return None
        self._read_left -= len(data)
        if data not in self._known:
            self._parse_left -= len(data)
            if self._parse_left < 0:
                what = f"more than {layout.MAX_TEXTS_PARSED >> 20} MiB of different LVM2 metadata"
                raise LimitError(f"{what}: this text is not read")
            self._known[data] = _group(parse(data), where)
        return self._known[data]


def read_metadata(volume: PhysicalVolume, problems: list[Problem], texts: Texts) -> list[Metadata]:
    """The text of each of a member's metadata areas. Damage is a Problem."""
    found = []
    for start, size in volume.areas:
        where = f"{volume.source.name}: LVM2 metadata area at {start}"
        try:
            text = texts.read(volume.source, start, size, where)
            if text is not None:
                found.append(text)
        except SidelightError as error:
            problems.append(Problem(where, error.what))
    return found


def newest(texts: Sequence[Metadata]) -> list[Metadata]:
    """Of each volume group (by id) the text with the highest sequence number."""
    best: dict[str, Metadata] = {}
    for text in texts:
        other = best.get(text.id)
        if other is None or text.seqno > other.seqno:
            best[text.id] = text
    return list(best.values())


def _text(source: BlockSource, start: int, size: int) -> bytes | None:
    """The committed text; None where the area holds none or is not in use."""
    raw = source.read_at(start, layout.MDA_HEADER_SIZE)
    crc, magic, version, own, _ = layout.MDA_HEADER.unpack_from(raw)
    if magic != layout.MDA_MAGIC or version != 1 or own != start:
        raise DamagedError("no metadata header")
    if layout.checksum(raw[4:]) != crc:
        raise DamagedError("the metadata header fails its checksum")
    offset, length, text_crc, flags = layout.RAW_LOCATION.unpack_from(raw, layout.MDA_HEADER.size)
    if offset == 0 or flags & layout.RAW_IGNORED:
        return None
    ring = size - layout.MDA_HEADER_SIZE
    if not layout.MDA_HEADER_SIZE <= offset < size or not 0 < length <= min(ring, layout.MAX_TEXT):
        raise DamagedError(f"a text of {length} bytes at {offset} in an area of {size}")
    first = min(length, size - offset)
    source.prefetch([(start + offset, first), (start + layout.MDA_HEADER_SIZE, length - first)])
    data = source.read_at(start + offset, first)
    if first < length:
        # The area is a ring: the text goes on after the header.
        data += source.read_at(start + layout.MDA_HEADER_SIZE, length - first)
    if layout.checksum(data) != text_crc:
        raise DamagedError("the metadata text fails its checksum")
    return data


def _group(root: Section, where: str) -> Metadata:
    for name, group in root.sections():
        if group.text("id"):
            return Metadata(name, group.text("id"), group.number("seqno"), group, where)
    raise FormatError("the metadata text names no volume group")
