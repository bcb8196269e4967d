"""Inode cores: where they lie, and many of them read, verified and decoded at once."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

import numpy as np

from sidelight.errors import DamagedError, LimitError
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

_SIGNED_TIME = Struct(">ii")
_BIG_TIME = Struct(">Q")


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
    core: bytes


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
                    data[start : start + core],
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


def metadata(volume: Volume, raw: RawInode) -> Inode:
    """An inode's metadata. Raises DamagedError for one that is free or has no possible type."""
    core = raw.core
    mode = int.from_bytes(core[layout.DI_MODE : layout.DI_MODE + 2], "big")
    if raw.kind is Kind.UNKNOWN:
        raise DamagedError(
            "the inode is free" if mode == 0 else f"impossible mode {mode:#o}",
            where=f"{volume.where}: inode {raw.number}",
        )
    if raw.size >= 1 << 63:
        raise LimitError("impossible size", where=f"{volume.where}: inode {raw.number}")
    old = core[layout.DI_VERSION] == 1
    v3 = core[layout.DI_VERSION] == 3
    links = (
        int.from_bytes(core[layout.DI_ONLINK : layout.DI_ONLINK + 2], "big")
        if old
        else int.from_bytes(core[layout.DI_NLINK : layout.DI_NLINK + 4], "big")
    )
    big = v3 and bool(core[layout.DI_FLAGS2 + 7] & layout.FLAG2_BIGTIME)
    return Inode(
        raw.number,
        raw.kind,
        mode,
        int.from_bytes(core[layout.DI_UID : layout.DI_UID + 4], "big"),
        int.from_bytes(core[layout.DI_GID : layout.DI_GID + 4], "big"),
        raw.size,
        links,
        _time(core, layout.DI_MTIME, big),
        _time(core, layout.DI_CTIME, big),
        _time(core, layout.DI_ATIME, big),
        _time(core, layout.DI_CRTIME, big) if v3 else None,
    )


def _time(core: bytes, offset: int, big: bool) -> int:
    """Nanoseconds since 1970."""
    if big:
        (since,) = _BIG_TIME.unpack_from(core, offset)
        return int(since) - layout.BIGTIME_EPOCH * 1_000_000_000
    seconds, nanoseconds = _SIGNED_TIME.unpack_from(core, offset)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
