"""Inode cores: where they lie, and many of them read, verified and decoded at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sidelight.filesystems.protocol import Inode, Kind
from sidelight.filesystems.xfs import layout
from sidelight.filesystems.xfs.gather import gather, windows
from sidelight.filesystems.xfs.volume import column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from sidelight.filesystems.xfs.volume import Volume

    Bytes = npt.NDArray[np.uint8]
    Offsets = npt.NDArray[np.int64]

KINDS = {
    0x1000: Kind.FIFO,
    0x2000: Kind.CHARACTER,
    0x4000: Kind.DIRECTORY,
    0x6000: Kind.BLOCK,
    0x8000: Kind.REGULAR,
    0xA000: Kind.SYMLINK,
    0xC000: Kind.SOCKET,
}


@dataclass(frozen=True, slots=True)
class RawInode:
    """An inode whose magic, number and CRC are right; the rest is not judged yet."""

    number: int
    kind: Kind  # UNKNOWN for impossible mode bits
    format: int
    size: int  # bytes
    extents: int  # in the data fork
    realtime: bool
    fork: bytes  # the data fork's area


def locate(volume: Volume, numbers: Iterable[int]) -> tuple[list[int], Offsets]:
    """Valid inode numbers and their offsets in bytes, both sorted by offset, each once.

    Impossible numbers are Problems.
    """
    sb = volume.superblock
    top = sb.ag_count << (sb.ag_block_log + sb.inodes_per_block_log)
    valid = []
    for number in set(numbers):
        if 0 < number < top:
            valid.append(number)
        else:
            volume.problem(f"inode {number}", "no such inode can be")
    array = np.array(valid, np.int64)
    array.sort()
    index = array & ((1 << sb.inodes_per_block_log) - 1)
    block = (array >> sb.inodes_per_block_log) & ((1 << sb.ag_block_log) - 1)
    linear = (array >> (sb.inodes_per_block_log + sb.ag_block_log)) * sb.ag_blocks + block
    inside = (block < sb.ag_blocks) & (linear < sb.blocks)
    if not inside.all():
        for number in array[~inside].tolist():
            volume.problem(f"inode {number}", "no such inode can be")
    offsets = (linear << sb.block_log) + (index << sb.inode_log)
    return array[inside].tolist(), offsets[inside]


def read_rows(volume: Volume, numbers: Iterable[int]) -> Iterator[tuple[list[int], Bytes]]:
    """Windows of inodes whose magic, number and CRC are right: numbers and rows of bytes."""
    valid, offsets = locate(volume, numbers)
    for window in windows(offsets, volume.superblock.inode_size):
        where = offsets[window]
        rows, errors = gather(volume.source, where, volume.superblock.inode_size)
        wanted = valid[window]
        for row, error in errors.items():
            volume.problem(f"inode {wanted[row]}", str(error))
        good = _verify(volume, wanted, rows, where, set(errors))
        if good.all():
            yield wanted, rows
        else:
            yield [n for n, ok in zip(wanted, good.tolist(), strict=True) if ok], rows[good]


def _verify(
    volume: Volume, numbers: list[int], rows: Bytes, offsets: Offsets, lost: set[int]
) -> npt.NDArray[np.bool_]:
    """Which rows are the inodes asked for. The others become Problems, all but the `lost`."""
    sb = volume.superblock
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
        bad = volume.bad_checksums(rows, layout.DI_CRC, offsets)
        for row in np.flatnonzero(good & bad).tolist():
            faults[row] = "bad checksum of the inode"
        foreign = (rows[:, layout.DI_UUID : layout.DI_UUID + 16] != _uuid(sb.meta_uuid)).any(axis=1)
        for row in np.flatnonzero(good & foreign & ~stray & ~bad).tolist():
            faults[row] = "an inode of another filesystem (UUID differs)"
    for row, what in faults.items():
        if row not in lost:
            volume.problem(f"inode {numbers[row]}", what)
        good[row] = False
    return good


def _uuid(value: bytes) -> Bytes:
    return np.frombuffer(value, np.uint8)


def fork_ends(volume: Volume, rows: Bytes) -> list[int]:
    """Where each row's data fork ends, in bytes from the inode's start."""
    sb = volume.superblock
    forkoff = rows[:, layout.DI_FORKOFF].astype(np.int64) * 8
    ends = np.where(forkoff > 0, forkoff + sb.inode_core, sb.inode_size)
    return np.minimum(ends, sb.inode_size).tolist()  # type: ignore[no-any-return] # numpy's stub


def extent_counts(volume: Volume, rows: Bytes) -> list[int]:
    """How many extents each row's data fork says it has."""
    counts = column(rows, layout.DI_NEXTENTS, ">u4").astype(np.uint64)
    if volume.superblock.v5:
        flags2 = column(rows, layout.DI_FLAGS2, ">u8")
        large = (flags2 & np.uint64(layout.FLAG2_NREXT64)) != 0
        if large.any():
            counts = np.where(large, column(rows, layout.DI_BIG_NEXTENTS, ">u8"), counts)
    return counts.tolist()  # type: ignore[no-any-return] # numpy's stub


def read_raw(volume: Volume, numbers: Iterable[int]) -> Iterator[list[RawInode]]:
    """Windows of verified inodes with their data forks."""
    size, core = volume.superblock.inode_size, volume.superblock.inode_core
    for wanted, rows in read_rows(volume, numbers):
        data = rows.tobytes()
        modes = column(rows, layout.DI_MODE, ">u2").tolist()
        formats = rows[:, layout.DI_FORMAT].tolist()
        sizes = column(rows, layout.DI_SIZE, ">u8").tolist()
        flags = column(rows, layout.DI_FLAGS, ">u2").tolist()
        ends = fork_ends(volume, rows)
        counts = extent_counts(volume, rows)
        window = []
        for row, number in enumerate(wanted):
            start = row * size
            window.append(
                RawInode(
                    number,
                    KINDS.get(modes[row] & 0xF000, Kind.UNKNOWN),
                    formats[row],
                    sizes[row],
                    counts[row],
                    bool(flags[row] & layout.FLAG_REALTIME),
                    data[start + core : start + ends[row]],
                )
            )
        yield window


def read_kinds(volume: Volume, numbers: Iterable[int]) -> dict[int, Kind]:
    """The types of many inodes, for directories that do not store them."""
    kinds = {}
    for wanted, rows in read_rows(volume, numbers):
        for number, mode in zip(wanted, column(rows, layout.DI_MODE, ">u2").tolist(), strict=True):
            kinds[number] = KINDS.get(mode & 0xF000, Kind.UNKNOWN)
    return kinds


def read_metadata(volume: Volume, numbers: Iterable[int]) -> dict[int, Inode]:
    """Metadata of many inodes. One that is free, or cannot be, is absent, with a Problem."""
    found: dict[int, Inode] = {}
    for wanted, rows in read_rows(volume, numbers):
        modes = column(rows, layout.DI_MODE, ">u2")
        sizes = column(rows, layout.DI_SIZE, ">u8")
        kinds = [KINDS.get(mode & 0xF000, Kind.UNKNOWN) for mode in modes.tolist()]
        old = rows[:, layout.DI_VERSION] == 1
        links = np.where(
            old, column(rows, layout.DI_ONLINK, ">u2"), column(rows, layout.DI_NLINK, ">u4")
        )
        fields = (
            wanted,
            kinds,
            modes.tolist(),
            column(rows, layout.DI_UID, ">u4").tolist(),
            column(rows, layout.DI_GID, ">u4").tolist(),
            sizes.tolist(),
            links.tolist(),
            _times(volume, rows, layout.DI_MTIME),
            _times(volume, rows, layout.DI_CTIME),
            _times(volume, rows, layout.DI_ATIME),
            _times(volume, rows, layout.DI_CRTIME)
            if volume.superblock.v5
            else [None] * len(wanted),
        )
        found.update(zip(wanted, map(Inode, *fields), strict=True))
        for number, kind, mode, size in zip(wanted, kinds, fields[2], fields[5], strict=True):
            if kind is Kind.UNKNOWN or size >= 1 << 63:
                what = f"impossible mode {mode:#o}" if mode else "the inode is free"
                what = "impossible size" if kind is not Kind.UNKNOWN else what
                volume.problem(f"inode {number}", what)
                del found[number]
    return found


def _times(volume: Volume, rows: Bytes, offset: int) -> list[int]:
    """One time of every row, in nanoseconds since 1970."""
    seconds = column(rows, offset, ">i4").astype(np.int64)
    times: list[int] = (seconds * 1_000_000_000 + column(rows, offset + 4, ">i4")).tolist()
    if not volume.superblock.v5:
        return times
    # Big timestamps count nanoseconds in 64 bits from 1901 on: past 2262 they are Python's to hold.
    epoch = layout.BIGTIME_EPOCH * 1_000_000_000
    since = column(rows, offset, ">u8").tolist()
    big = (rows[:, layout.DI_FLAGS2 + 7] & layout.FLAG2_BIGTIME) != 0
    if big.all():
        return [time - epoch for time in since]
    for row in np.flatnonzero(big).tolist():
        times[row] = since[row] - epoch
    return times
