"""The segments of a logical volume: from the metadata's text to a mapping."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sidelight.disk.lvm.layout import SECTOR
from sidelight.disk.lvm.mapping import Linear, MappedSource, Striped
from sidelight.errors import DamagedError, SourceError, UnsupportedError
from sidelight.model import Problem

if TYPE_CHECKING:
    from sidelight.blocks import BlockSource
    from sidelight.disk.lvm.mapping import Segment
    from sidelight.disk.lvm.text import Scalar, Section

# Pools: visible, but no place for a filesystem.
INTERNAL = frozenset({"thin-pool", "cache-pool", "vdo-pool", "snapshot"})

MAX_SIZE = 1 << 62
MAX_STRIPES = 128

# dm-raid's superblock in each rmeta volume: magic, features, devices, position, events, failed
# devices (a bit each), offset up to which the device is recovered (sectors).
RAID = struct.Struct("<4sIIIQQQ")
RAID_MAGIC = b"DmRd"
RECOVERED = (1 << 64) - 1


class Members(Protocol):
    """What of a volume group its segments need: its extent's bytes and the devices below."""

    problems: list[Problem]

    @property
    def extent(self) -> int:
        """An extent's size in bytes."""

    def target(self, name: str, extent: int, on: set[str]) -> tuple[BlockSource | str, int]:
        """A member's device, or why there is none, and the offset of an extent on it."""


class Leg(NamedTuple):
    """One copy of a mirrored segment; the greatest is the best."""

    whole: bool
    good: bool
    events: int
    order: int
    target: BlockSource | str
    offset: int


def checked(size: int, where: str) -> int:
    """A size in bytes that a device may have. Raises DamagedError."""
    if not 0 < size < MAX_SIZE:
        raise DamagedError(f"a size of {size} bytes", where=where)
    return size


def decode(group: Members, segment: Section, where: str, on: set[str]) -> Segment:
    """One segment. Adds the names of the members it lies on to `on`.

    Raises UnsupportedError for a type that is not read, DamagedError, SourceError.
    """
    start = segment.number("start_extent", -1) * group.extent
    size = checked(segment.number("extent_count") * group.extent, where)
    if not 0 <= start < MAX_SIZE:
        raise DamagedError(f"a segment at {start}", where=where)
    kind = segment.text("type").partition("+")[0]
    if kind in {"striped", "linear"}:
        return _striped(group, segment, where, on, start, size)
    if kind in {"mirror", "raid1"}:
        return _mirrored(group, segment, where, on, start, size)
    if kind == "zero":
        return Linear(start, size, None)
    if kind == "error":
        return Linear(start, size, "an error segment")
    raise UnsupportedError(f"unsupported: LVM2 {kind or 'segment without a type'}", where=where)


def _areas(values: list[Scalar], where: str) -> list[tuple[str, int]]:
    """`["pv0", 5, "pv1", 7]` as pairs."""
    pairs = list(zip(values[::2], values[1::2], strict=False))
    if not pairs or len(values) % 2 or len(pairs) > MAX_STRIPES:
        raise DamagedError(f"a segment of {len(values)} words", where=where)
    areas = []
    for name, extent in pairs:
        if not isinstance(name, str) or not isinstance(extent, int) or not 0 <= extent < MAX_SIZE:
            raise DamagedError(f"a segment at {name!r} {extent!r}", where=where)
        areas.append((name, extent))
    return areas


def _striped(  # noqa: PLR0913, PLR0917 -- the segment's own fields
    group: Members, segment: Section, where: str, on: set[str], start: int, size: int
) -> Segment:
    areas = _areas(segment.words("stripes"), where)
    targets = tuple(group.target(name, extent, on) for name, extent in areas)
    if len(targets) == 1:
        return Linear(start, size, targets[0][0], targets[0][1])
    stripe = segment.number("stripe_size") * SECTOR
    if stripe <= 0:
        raise DamagedError(f"{len(targets)} stripes of {stripe} bytes", where=where)
    return Striped(start, size, targets, stripe)


def _mirrored(  # noqa: PLR0913, PLR0917 -- the segment's own fields
    group: Members, segment: Section, where: str, on: set[str], start: int, size: int
) -> Segment:
    """The best of the copies, all of whose members are there; else the best there is."""
    legs: list[Leg] = []
    if segment.text("type").startswith("raid1"):
        names = [name for name in segment.words("raids") if isinstance(name, str)]
        if not names or len(names) % 2 or len(names) > 2 * MAX_STRIPES:
            raise DamagedError(f"a raid1 segment of {len(names)} parts", where=where)
        for order, (meta, image) in enumerate(zip(names[::2], names[1::2], strict=True)):
            target, offset = group.target(image, 0, on)
            good, events = _state(group, meta, order)
            legs.append(Leg(_whole(target), good, events, -order, target, offset))
        _settle(group, legs, where)
    else:
        for order, (name, extent) in enumerate(_areas(segment.words("mirrors"), where)):
            target, offset = group.target(name, extent, on)
            # The first leg is the one that a mirror is synchronised from.
            legs.append(Leg(_whole(target), True, 0, -order, target, offset))
    best = max(legs, key=lambda leg: leg[:4])
    if not best.whole:
        group.problems.append(Problem(where, "no copy of the mirror is whole"))
    return Linear(start, size, best.target, best.offset)


def _settle(group: Members, legs: list[Leg], where: str) -> None:
    """Note where the copy that will be read may be behind the others."""
    usable = [leg for leg in legs if leg.whole]
    if usable and not any(leg.good for leg in usable):
        group.problems.append(Problem(where, "the copies that are there are not in step"))


def _whole(target: BlockSource | str) -> bool:
    """Whether no member of an area is missing."""
    if isinstance(target, str):
        return False
    return target.whole if isinstance(target, MappedSource) else True


def _state(group: Members, meta: str, order: int) -> tuple[bool, int]:
    """Whether a raid1 image is in step, and its count of events, from its rmeta volume."""
    try:
        source, offset = group.target(meta, 0, set())
        if isinstance(source, str):
            return False, 0
        fields = RAID.unpack(source.read_at(offset, RAID.size))
    except SourceError:
        return False, 0
    magic, _, _, position, events, failed, recovered = fields
    if magic != RAID_MAGIC:
        # Never activated: nothing was ever written through the mirror.
        return True, 0
    in_step = position == order and not failed >> order & 1 and recovered == RECOVERED
    return in_step, events
