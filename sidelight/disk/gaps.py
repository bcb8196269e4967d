"""Filesystems outside of all partitions: between them, behind the last, behind a filesystem's end.

A machine reaches such a one by a loop device or a device-mapper table. Only starts at a multiple of
1 MiB are looked at, and a bounded number: on a snapshot a block that was never written costs
nothing, and one that was is one call.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from sidelight.blocks import SliceSource
from sidelight.disk.signatures import INERT, READABLE, identify
from sidelight.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk.volume_slice import Signature

ALIGNMENT = 1 << 20
# Of one gap: so many MiB from its beginning on, then multiples of 64 MiB; of a disk in all.
NEAR = 32
FAR = 64 << 20
MOST_OF_A_GAP = 96
MOST_OF_A_DISK = 256
SMALLEST = 64 << 10  # bytes of a filesystem

# ext's superblock: s_log_block_size, s_state, s_rev_level; two bytes of magic are too few here.
_EXT = struct.Struct("<I")
_STATE = struct.Struct("<H")


class Gap(NamedTuple):
    """Bytes of a disk that no partition and no filesystem claims."""

    start: int
    end: int


class Stray(NamedTuple):
    """Something recognised in a gap, from `start` to `end` (bytes)."""

    start: int
    end: int
    signature: Signature


def unclaimed(size: int, claimed: Iterable[tuple[int, int]]) -> list[Gap]:
    """The gaps between these (start, end) of a disk of `size` bytes, its first MiB excepted."""
    gaps, at = [], ALIGNMENT
    for start, end in sorted(claimed):
        if start - at >= SMALLEST:
            gaps.append(Gap(at, start))
        at = max(at, end)
    if size - at >= SMALLEST:
        gaps.append(Gap(at, size))
    return gaps


def strays(source: BlockSource, gaps: Sequence[Gap]) -> list[Stray]:
    """Filesystems and the like that begin in these gaps. What cannot be read holds none."""
    wanted = [(start, gap) for gap in gaps for start in _starts(gap)][:MOST_OF_A_DISK]
    source.prefetch([(start, min(ALIGNMENT // 4, gap.end - start)) for start, gap in wanted])
    found: list[Stray] = []
    for start, gap in wanted:
        if found and start < found[-1].end:
            continue
        try:
            signature = _signature(SliceSource(source, start, gap.end - start, source.name))
        except SourceError:
            continue
        if signature is not None:
            end = min(start + signature.extent, gap.end) if signature.extent else gap.end
            found.append(Stray(start, end, signature))
    return found


def _starts(gap: Gap) -> Iterator[int]:
    first = -(-gap.start // ALIGNMENT) * ALIGNMENT
    near = range(first, gap.end - SMALLEST + 1, ALIGNMENT)[:NEAR]
    yield from near
    after = first + NEAR * ALIGNMENT
    yield from range(-(-after // FAR) * FAR, gap.end - SMALLEST + 1, FAR)[: MOST_OF_A_GAP - NEAR]


def _signature(source: BlockSource) -> Signature | None:
    """What certainly begins here, and matters; None for anything else."""
    signature = identify(source)
    kind = signature.kind
    if not kind or kind in INERT:
        return None
    if kind.startswith("ext") or kind == "jbd":
        head = source.read_at(1024, 1024)
        log_size, revision = _EXT.unpack_from(head, 24)[0], _EXT.unpack_from(head, 76)[0]
        if log_size > 6 or revision > 1 or _STATE.unpack_from(head, 58)[0] > 7:
            return None
    return signature if kind in READABLE or signature.uuid else None
