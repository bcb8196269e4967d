"""Which partition table rules a disk, and its partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.blocks import SliceSource
from sidelight.disk import gpt, mbr
from sidelight.disk.signatures import identify
from sidelight.errors import FormatError, NotRecognisedError, SourceError
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk.volume_slice import Partition


def partitions(source: BlockSource, problems: list[Problem]) -> list[Partition]:
    """The partitions of a disk as the kernel would see them; empty where it has no table.

    An MBR without a protective entry rules over a GPT that is still there, as in the kernel; a
    GPT whose MBR is gone is used, with a Problem. Raises SourceError.
    """
    table: mbr.MbrTable | None
    try:
        table = mbr.read_table(source)
    except NotRecognisedError:
        table = None
    if table is not None and not table.protective and not table.empty:
        return _mbr(source, table, problems)
    try:
        sector, found = gpt.partitions(source, problems)
    except NotRecognisedError:
        if table is None or table.empty:
            return []
        problems.append(Problem(source.name, "a protective MBR, but no GPT"))
        return _mbr(source, table, problems)
    except FormatError as error:
        problems.append(Problem(source.name, error.what))
        return [] if table is None else _mbr(source, table, problems)
    if table is None or not table.protective:
        problems.append(Problem(source.name, "a GPT without a protective MBR"))
    return _checked(source, found, sector, problems)


def _mbr(source: BlockSource, table: mbr.MbrTable, problems: list[Problem]) -> list[Partition]:
    """The MBR's partitions in 512-byte sectors, or in 4096-byte ones where those show more.

    The table does not say which; what begins at the partitions does. Larger sectors are tried only
    where all partitions then lie on the disk.
    """
    noted: list[Problem] = []
    found = mbr.partitions(source, table, 512, noted)
    known = _known(source, found)
    if known < len(found) or noted:
        other: list[Problem] = []
        large = mbr.partitions(source, table, 4096, other)
        fits = all(partition.start + partition.size <= source.size for partition in large)
        if fits and _known(source, large) > known:
            problems += other
            return _checked(source, large, 4096, problems)
    problems += noted
    return _checked(source, found, 512, problems)


def _known(source: BlockSource, found: Sequence[Partition]) -> int:
    """At how many of these partitions something known begins; all where that cannot be known."""
    source.prefetch((partition.start, 4096) for partition in found)
    known = 0
    for partition in found:
        size = min(partition.size, source.size - partition.start)
        if size <= 0:
            continue
        try:
            signature = identify(SliceSource(source, partition.start, size, source.name))
        except SourceError:
            return len(found)
        known += signature.kind not in {"", "blank"}
    return known


def _checked(
    source: BlockSource, found: list[Partition], sector: int, problems: list[Problem]
) -> list[Partition]:
    """The partitions, each start once.

    Note those that a truncated disk cuts and those that overlap; they are offered all the same.
    """
    offered = _distinct(source, found, problems)
    for partition in offered:
        if partition.start + partition.size > source.size:
            where = f"{source.name}/p{partition.number}"
            end = (partition.start + partition.size) // sector
            what = f"ends at sector {end}, past the disk's {source.size // sector}"
            problems.append(Problem(where, what))
    _note_overlaps(source, offered, problems)
    return offered


def _distinct(
    source: BlockSource, found: Sequence[Partition], problems: list[Problem]
) -> list[Partition]:
    """Of partitions with one start, which hold the same filesystem, the largest, then the first.

    The kernel has all of them. One walk finds what is there; a thousand would find it again.
    """
    kept: dict[int, Partition] = {}
    for partition in found:
        known = kept.setdefault(partition.start, partition)
        if partition.size > known.size:
            kept[partition.start] = partition
    for partition in found:
        other = kept[partition.start]
        if other is not partition:
            what = f"begins where partition {other.number} does, and is read as that one alone"
            problems.append(Problem(f"{source.name}/p{partition.number}", what))
    return [partition for partition in found if kept[partition.start] is partition]


def _note_overlaps(
    source: BlockSource, offered: Sequence[Partition], problems: list[Problem]
) -> None:
    """Note each partition that begins within one before it."""
    last: Partition | None = None
    for partition in sorted(offered, key=lambda item: item.start):
        if last is not None and partition.start < last.start + last.size:
            what = f"begins within partition {last.number}"
            problems.append(Problem(f"{source.name}/p{partition.number}", what))
        if last is None or partition.start + partition.size > last.start + last.size:
            last = partition
