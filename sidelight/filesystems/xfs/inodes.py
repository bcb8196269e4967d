"""Inode cores: where they lie, and many of them read, verified and decoded at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.blocks.scatter_read import as_rows, windows
from sidelight.filesystems.protocol import KINDS, Inode, InodeKind
from sidelight.filesystems.xfs import layout
from sidelight.filesystems.xfs.volume import column, same_uuid
from sidelight.gc_pause import uncollected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from sidelight.filesystems.xfs.volume import XfsVolume

    Bytes = npt.NDArray[np.uint8]
    Offsets = npt.NDArray[np.int64]

_KIND_BY_TYPE = [KINDS.get(kind << 12, InodeKind.UNKNOWN) for kind in range(16)]
_TYPES = frozenset(kind >> 12 for kind in KINDS)
# Inodes decoded at once: few enough that their bytes stay in the cache from column to column.
AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class RawInode:
    """An inode whose magic, number and CRC are right; the rest is not judged yet."""

    number: int
    kind: InodeKind  # UNKNOWN for impossible mode bits
    format: int
    size: int  # bytes
    extents: int  # in the data fork
    realtime: bool
    fork: bytes  # the data fork's area


def locate(volume: XfsVolume, numbers: Iterable[int]) -> tuple[list[int], Offsets]:
    """Valid inode numbers and their offsets in bytes, both sorted by offset, each once.

    Impossible numbers are Problems.
    """
    sb = volume.superblock
    top = sb.ag_count << (sb.ag_block_log + sb.inodes_per_block_log)
    requested = list(numbers)
    if requested and not (min(requested) > 0 and max(requested) < top):
        for number in sorted(set(requested)):
            if not 0 < number < top:
                volume.problem(f"inode {number}", "no such inode can be")
        requested = [number for number in requested if 0 < number < top]
    array = np.sort(np.array(requested, np.int64))
    array = array[np.diff(array, prepend=-1) != 0]
    offsets, inside = _offsets(volume, array)
    if not inside.all():
        for number in array[~inside].tolist():
            volume.problem(f"inode {number}", "no such inode can be")
    return array[inside].tolist(), offsets[inside]


def _offsets(volume: XfsVolume, numbers: Offsets) -> tuple[Offsets, npt.NDArray[np.bool_]]:
    """Where inodes lie, in bytes, and of which numbers that is within the filesystem."""
    sb = volume.superblock
    index = numbers & ((1 << sb.inodes_per_block_log) - 1)
    block = (numbers >> sb.inodes_per_block_log) & ((1 << sb.ag_block_log) - 1)
    linear = (numbers >> (sb.inodes_per_block_log + sb.ag_block_log)) * sb.ag_blocks + block
    inside = (block < sb.ag_blocks) & (linear < sb.blocks)
    return (linear << sb.block_log) + (index << sb.inode_log), inside


def sampled_kinds(volume: XfsVolume, numbers: Offsets) -> npt.NDArray[np.uint8]:
    """The types of many inodes by their modes alone, UNKNOWN where in doubt; no Problems."""
    kinds = np.zeros(len(numbers), np.uint8)
    known, offsets = _sampled_offsets(volume, numbers)
    kinds[known] = volume.mode_samples.kinds(offsets)
    return kinds


def may_be_programs(volume: XfsVolume, numbers: Sequence[int]) -> list[int]:
    """Those that may be programs by their modes and sizes, and those in doubt; no Problems."""
    every = np.array(numbers, np.uint64).view(np.int64)
    wanted = np.ones(len(every), np.bool_)
    known, offsets = _sampled_offsets(volume, every)
    wanted[known] = volume.mode_samples.programs(offsets)
    return [numbers[at] for at in np.flatnonzero(wanted).tolist()]


def _sampled_offsets(volume: XfsVolume, numbers: Offsets) -> tuple[npt.NDArray[np.bool_], Offsets]:
    """Which inodes can be, and where these lie, in bytes."""
    sb = volume.superblock
    top = sb.ag_count << (sb.ag_block_log + sb.inodes_per_block_log)
    possible = (numbers > 0) & (numbers < top)
    offsets, inside = _offsets(volume, numbers[possible])
    possible[possible] = inside
    return possible, offsets[inside]


def used_kinds(volume: XfsVolume, numbers: Iterable[int]) -> dict[int, int]:
    """The types of inodes in use. One that is free, or cannot be, is absent, with a Problem."""
    return {number: int(inode.kind) for number, inode in read_metadata(volume, numbers).items()}


class Rows(NamedTuple):
    """Inodes, mostly those whose magic, number and CRC are right: the same bytes twice."""

    numbers: list[int]
    array: Bytes  # shape (inodes, size)
    data: bytes


def read_rows(volume: XfsVolume, numbers: Iterable[int]) -> Iterator[Rows]:
    """Windows of verified inodes."""
    valid, offsets = locate(volume, numbers)
    size = volume.superblock.inode_size
    for window in windows(offsets, size):
        where = offsets[window]
        data, errors = volume.harvest.gather(where, size)
        rows = as_rows(data, size)
        wanted = valid[window]
        for row, error in errors.items():
            volume.problem(f"inode {wanted[row]}", str(error))
        good = _verify(volume, Rows(wanted, rows, data), where, set(errors))
        if good.all():
            yield Rows(wanted, rows, data)
        else:
            kept = [n for n, ok in zip(wanted, good.tolist(), strict=True) if ok]
            rows = rows[good]
            yield Rows(kept, rows, rows.tobytes())


def _verify(
    volume: XfsVolume, read: Rows, offsets: Offsets, lost: set[int]
) -> npt.NDArray[np.bool_]:
    """Which rows are the inodes asked for. The others become Problems, all but the `lost`."""
    sb = volume.superblock
    numbers, rows, data = read
    good: npt.NDArray[np.bool_] = column(rows, 0, ">u2") == layout.INODE_MAGIC
    faults: dict[int, str] = {}
    for row in np.flatnonzero(~good).tolist():
        faults[row] = "no inode here (bad magic)"
    version = rows[:, layout.DI_VERSION]
    right = version == 3 if sb.v5 else (version == 1) | (version == 2)
    for row in np.flatnonzero(good & ~right).tolist():
        faults[row] = f"impossible inode version {int(version[row])}"
    if sb.v5:
        good &= right
        stray = column(rows, layout.DI_INO, ">u8") != np.array(numbers, np.uint64)
        for row in np.flatnonzero(good & stray).tolist():
            faults[row] = "another inode lies here (number in the inode differs)"
        bad = volume.bad_checksums(data, rows, layout.DI_CRC, offsets)
        for row in np.flatnonzero(good & bad).tolist():
            faults[row] = "bad checksum of the inode"
        foreign = ~same_uuid(rows, layout.DI_UUID, sb.meta_uuid)
        for row in np.flatnonzero(good & foreign & ~stray & ~bad).tolist():
            faults[row] = "an inode of another filesystem (UUID differs)"
    for row, what in faults.items():
        if row not in lost:
            volume.problem(f"inode {numbers[row]}", what)
        good[row] = False
    return good


def fork_ends(volume: XfsVolume, rows: Bytes) -> Offsets:
    """Where each row's data fork ends, in bytes from the inode's start."""
    sb = volume.superblock
    forkoff = rows[:, layout.DI_FORKOFF].astype(np.int64) * 8
    ends = np.where(forkoff > 0, forkoff + sb.inode_core, sb.inode_size)
    return np.minimum(ends, sb.inode_size)


def extent_counts(volume: XfsVolume, rows: Bytes) -> npt.NDArray[np.uint64]:
    """How many extents each row's data fork says it has."""
    counts = column(rows, layout.DI_NEXTENTS, ">u4").astype(np.uint64)
    if volume.superblock.v5:
        flags2 = column(rows, layout.DI_FLAGS2, ">u8")
        large = (flags2 & np.uint64(layout.FLAG2_NREXT64)) != 0
        if large.any():
            counts = np.where(large, column(rows, layout.DI_BIG_NEXTENTS, ">u8"), counts)
    return counts


def read_raw(volume: XfsVolume, numbers: Iterable[int]) -> Iterator[list[RawInode]]:
    """Windows of verified inodes with their data forks."""
    size, core = volume.superblock.inode_size, volume.superblock.inode_core
    for wanted, rows, data in read_rows(volume, numbers):
        modes = column(rows, layout.DI_MODE, ">u2").tolist()
        formats = rows[:, layout.DI_FORMAT].tolist()
        sizes = column(rows, layout.DI_SIZE, ">u8").tolist()
        flags = column(rows, layout.DI_FLAGS, ">u2").tolist()
        ends = fork_ends(volume, rows).tolist()
        counts = extent_counts(volume, rows).tolist()
        window = []
        for row, number in enumerate(wanted):
            start = row * size
            window.append(
                RawInode(
                    number,
                    KINDS.get(modes[row] & 0xF000, InodeKind.UNKNOWN),
                    formats[row],
                    sizes[row],
                    counts[row],
                    bool(flags[row] & layout.FLAG_REALTIME),
                    data[start + core : start + ends[row]],
                )
            )
        yield window


def read_kinds(volume: XfsVolume, numbers: Iterable[int]) -> dict[int, InodeKind]:
    """The types of many inodes, for directories that do not store them."""
    kinds = {}
    for wanted, rows, _ in read_rows(volume, numbers):
        for number, mode in zip(wanted, column(rows, layout.DI_MODE, ">u2").tolist(), strict=True):
            kinds[number] = KINDS.get(mode & 0xF000, InodeKind.UNKNOWN)
    return kinds


def read_metadata(volume: XfsVolume, numbers: Iterable[int]) -> dict[int, Inode]:
    """Metadata of many inodes. One that is free, or cannot be, is absent, with a Problem."""
    found: dict[int, Inode] = {}
    with uncollected():
        for wanted, rows, _ in read_rows(volume, numbers):
            for begin in range(0, len(wanted), AT_ONCE):
                part = slice(begin, begin + AT_ONCE)
                _decode(volume, wanted[part], rows[part], found)
    return found


def _decode(volume: XfsVolume, numbers: list[int], rows: Bytes, found: dict[int, Inode]) -> None:
    """Metadata column by column."""
    modes = column(rows, layout.DI_MODE, ">u2")
    sizes = column(rows, layout.DI_SIZE, ">u8")
    types = (modes >> 12).tolist()
    old = rows[:, layout.DI_VERSION] == 1
    links = column(rows, layout.DI_NLINK, ">u4")
    if old.any():
        links = np.where(old, column(rows, layout.DI_ONLINK, ">u2"), links)
    fields = (
        numbers,
        [_KIND_BY_TYPE[kind] for kind in types],
        modes.tolist(),
        column(rows, layout.DI_UID, ">u4").tolist(),
        column(rows, layout.DI_GID, ">u4").tolist(),
        sizes.tolist(),
        links.tolist(),
        _times(volume, rows, layout.DI_MTIME),
        _times(volume, rows, layout.DI_CTIME),
        _times(volume, rows, layout.DI_ATIME),
        _times(volume, rows, layout.DI_CRTIME) if volume.superblock.v5 else repeat(None),
    )
    # As Inode(*values) for each, without a call of Python's own for each.
    rows_of_fields = zip(*fields, strict=False)
    found.update(zip(numbers, map(tuple.__new__, repeat(Inode), rows_of_fields), strict=True))
    if (sizes >= 1 << 63).any() or not _TYPES.issuperset(types):
        _leave_out(volume, numbers, found)


def _leave_out(volume: XfsVolume, numbers: list[int], found: dict[int, Inode]) -> None:
    """Take out what is free or cannot be."""
    for number in numbers:
        inode = found[number]
        what = ""
        if inode.kind is InodeKind.UNKNOWN:
            what = f"impossible mode {inode.mode:#o}" if inode.mode else "the inode is free"
        elif inode.size >= 1 << 63:
            what = "impossible size"
        if what:
            volume.problem(f"inode {number}", what)
            del found[number]


def _times(volume: XfsVolume, rows: Bytes, offset: int) -> list[int]:
    """One time of every row, in nanoseconds since 1970."""
    if not volume.superblock.v5:
        return _old_times(rows, offset).tolist()  # type: ignore[no-any-return] # numpy's stub
    # Big timestamps count nanoseconds in 64 bits from 1901 on.
    epoch = layout.BIGTIME_EPOCH * 1_000_000_000
    big = (rows[:, layout.DI_FLAGS2 + 7] & layout.FLAG2_BIGTIME) != 0
    since = column(rows, offset, ">u8")
    times = since.astype(np.int64) - epoch
    if not big.all():
        times = np.where(big, times, _old_times(rows, offset))
    listed: list[int] = times.tolist()
    # Beyond 2193: Python's to hold.
    for row in np.flatnonzero(big & (since >= 1 << 63)).tolist():
        listed[row] = int(since[row]) - epoch
    return listed


def _old_times(rows: Bytes, offset: int) -> npt.NDArray[np.int64]:
    """Seconds, then nanoseconds."""
    seconds = column(rows, offset, ">i4").astype(np.int64)
    times: npt.NDArray[np.int64] = seconds * 1_000_000_000 + column(rows, offset + 4, ">i4")
    return times
