"""Inodes: many located at once, their blocks read in merged spans, decoded in bulk.

Source: the kernel's Documentation/filesystems/ext4/inodes.rst; the checks are those of its
ext4_iget.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.errors import SourceError
from sidelight.filesystems.crc32c import crc32c_many
from sidelight.filesystems.ext import layout
from sidelight.filesystems.protocol import Inode, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sidelight.filesystems.ext.volume import Volume

# Inodes nearer than this in the table are read in one go.
MERGE_GAP = 16 << 10
# Inodes handled at once: bounds memory (256 bytes each).
CHUNK = 1 << 16

KINDS = {
    stat.S_IFREG: Kind.REGULAR,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFSOCK: Kind.SOCKET,
    stat.S_IFLNK: Kind.SYMLINK,
}


class Node(NamedTuple):
    """What finding an inode's contents needs. `raw` is the whole on-disk inode."""

    number: int
    mode: int
    size: int
    flags: int
    generation: int
    raw: bytes

    @property
    def kind(self) -> Kind:
        """By the mode; UNKNOWN for one that names no type."""
        return KINDS.get(stat.S_IFMT(self.mode), Kind.UNKNOWN)


class Inodes:
    """The inode tables of one filesystem."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        # What fast commits made of inodes: number -> the whole on-disk inode.
        self.replaced: dict[int, bytes] = {}

    def raw(self, number: int) -> bytes | None:
        """One inode's bytes, sound or not; None where there are none."""
        found = self.replaced.get(number)
        if found is not None or not 1 <= number <= self._volume.superblock.inodes:
            return found
        offset = int(self._located(np.array([number], dtype=np.int64))[0])
        try:
            return self._volume.source.read_at(offset, self._volume.superblock.inode_size)
        except SourceError:
            return None

    def exists(self, number: int) -> bool:
        """Whether the kernel would open this inode: sound, and linked. No Problem is made."""
        before = len(self._volume.problems)
        node = self.nodes((number,)).get(number)
        del self._volume.problems[before:]
        at = layout.INODE_LINKS
        return node is not None and node.raw[at : at + 2] != bytes(2)

    def nodes(self, numbers: Iterable[int]) -> dict[int, Node]:
        """Many inodes, for their contents. Unreadable ones are absent, with a Problem."""
        found: dict[int, Node] = {}
        for ids, rows in self._gather(numbers):
            size = self._volume.superblock.inode_size
            data = rows.tobytes()
            fields = zip(
                ids.tolist(),
                _u16(rows, layout.INODE_MODE).tolist(),
                self._sizes(rows).tolist(),
                _u32(rows, layout.INODE_FLAGS).tolist(),
                _u32(rows, layout.INODE_GENERATION).tolist(),
                strict=True,
            )
            for at, (number, mode, length, flags, generation) in enumerate(fields):
                raw = data[at * size : (at + 1) * size]
                found[number] = Node(number, mode, length, flags, generation, raw)
        return found

    def kinds(self, numbers: Iterable[int]) -> dict[int, int]:
        """The types alone, for directories that store none."""
        found: dict[int, int] = {}
        for ids, rows in self._gather(numbers):
            kinds = _kinds(_u16(rows, layout.INODE_MODE))
            found.update(zip(ids.tolist(), kinds.tolist(), strict=True))
        return found

    def inodes(self, numbers: Iterable[int]) -> dict[int, Inode]:
        """Metadata of many inodes."""
        found: dict[int, Inode] = {}
        names = {int(kind): kind for kind in Kind}
        for ids, rows in self._gather(numbers):
            modes = _u16(rows, layout.INODE_MODE)
            extra = self._extra(rows)
            columns = zip(
                ids.tolist(),
                [names[kind] for kind in _kinds(modes).tolist()],
                modes.tolist(),
                _wide_id(rows, layout.INODE_UID, layout.INODE_UID_HIGH).tolist(),
                _wide_id(rows, layout.INODE_GID, layout.INODE_GID_HIGH).tolist(),
                self._sizes(rows).tolist(),
                _u16(rows, layout.INODE_LINKS).tolist(),
                _times(rows, extra, layout.INODE_MTIME, layout.INODE_MTIME_EXTRA),
                _times(rows, extra, layout.INODE_CTIME, layout.INODE_CTIME_EXTRA),
                _times(rows, extra, layout.INODE_ATIME, layout.INODE_ATIME_EXTRA),
                _births(rows, extra),
                strict=True,
            )
            for number, *rest in columns:
                found[number] = Inode(number, *rest)
        return found

    def _gather(
        self, numbers: Iterable[int]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Sound inodes as (numbers, rows of inode_size bytes), in the order of the disk."""
        most = self._volume.superblock.inodes
        good: list[int] = []
        bad: list[int] = []
        for number in dict.fromkeys(numbers):
            (good if 1 <= number <= most else bad).append(number)
        for number in bad:
            self._volume.report(f"there are only {most} inodes", f"inode {number}")
        wanted = np.array(sorted(good), dtype=np.int64)
        if self.replaced:
            ours = [number for number in wanted.tolist() if number in self.replaced]
            if ours:
                rows = np.frombuffer(b"".join(map(self.replaced.__getitem__, ours)), dtype=np.uint8)
                ids = np.array(ours, dtype=np.int64)
                yield self._sound(ids, rows.reshape(len(ours), -1), replaced=True)
                wanted = np.setdiff1d(wanted, ids)
        for at in range(0, len(wanted), CHUNK):
            ids = wanted[at : at + CHUNK]
            offsets = self._located(ids)
            known = offsets >= 0
            kept, rows = self._read(ids[known], offsets[known])
            yield self._sound(kept, rows)

    def _located(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Byte offsets of inodes, -1 where the group descriptor is unusable."""
        sb = self._volume.superblock
        groups = (ids - 1) // sb.inodes_per_group
        tables = self._volume.inode_tables(groups)
        offsets = tables * sb.block_size + (ids - 1) % sb.inodes_per_group * sb.inode_size
        lost = tables == 0
        for number in ids[lost].tolist():
            self._volume.report("its group descriptor is unusable", f"inode {number}")
        offsets[lost] = -1
        return offsets

    def _read(
        self, ids: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Rows of the inodes at these offsets; those in unreadable places are dropped."""
        size = self._volume.superblock.inode_size
        order = np.argsort(offsets, kind="stable")
        ids, offsets = ids[order], offsets[order]
        cuts = np.flatnonzero(np.diff(offsets) > MERGE_GAP + size) + 1
        starts = [0, *cuts.tolist()] if len(ids) else []
        ends = [*cuts.tolist(), len(ids)]
        spans = [
            (int(offsets[a]), int(offsets[b - 1] - offsets[a]) + size)
            for a, b in zip(starts, ends, strict=False)
        ]
        self._volume.source.prefetch(spans)
        out = np.zeros((len(ids), size), dtype=np.uint8)
        readable = np.ones(len(ids), dtype=np.bool_)
        for a, b, (begin, length) in zip(starts, ends, spans, strict=False):
            picks = (offsets[a:b] - begin) // size
            try:
                raw = self._volume.source.read_at(begin, length)
                out[a:b] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, size)[picks]
            except SourceError:
                self._read_singly(ids, offsets, range(a, b), out, readable)
        return ids[readable], out[readable]

    def _read_singly(
        self,
        ids: NDArray[np.int64],
        offsets: NDArray[np.int64],
        span: range,
        out: NDArray[np.uint8],
        readable: NDArray[np.bool_],
    ) -> None:
        """One by one, where a span as a whole cannot be read: what is whole is kept."""
        size = self._volume.superblock.inode_size
        for at in span:
            try:
                raw = self._volume.source.read_at(int(offsets[at]), size)
                out[at] = np.frombuffer(raw, dtype=np.uint8)
            except SourceError as error:
                readable[at] = False
                self._volume.report(f"unreadable: {error}", f"inode {ids[at]}")

    def _sound(
        self, ids: NDArray[np.int64], rows: NDArray[np.uint8], *, replaced: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Without the inodes that the kernel refuses too."""
        size = self._volume.superblock.inode_size
        modes, links = _u16(rows, layout.INODE_MODE), _u16(rows, layout.INODE_LINKS)
        checks = [((modes == 0) & (links == 0), "the inode is not in use")]
        if size > layout.GOOD_OLD_INODE_SIZE:
            extra = _u16(rows, layout.INODE_EXTRA_SIZE)
            wild = (extra + layout.GOOD_OLD_INODE_SIZE > size) | (extra & 3 != 0)
            checks.append((wild, "impossible extra inode size"))
        if self._volume.superblock.metadata_csum and not replaced:
            checks.insert(0, (self._bad_checksums(ids, rows), "the inode's checksum is wrong"))
        checks.append((_kinds(modes) == 0, "the inode's mode names no file type"))
        bad = np.zeros(len(ids), dtype=np.bool_)
        for mask, what in checks:
            for number in ids[mask & ~bad].tolist():
                self._volume.report(what, f"inode {number}")
            bad |= mask
        return (ids, rows) if not bad.any() else (ids[~bad], rows[~bad])

    def _bad_checksums(self, ids: NDArray[np.int64], rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
        seeds = self._volume.inode_seeds(ids, _u32(rows, layout.INODE_GENERATION))
        blank = rows.copy()
        halves = blank.view("<u2")
        stored = halves[:, layout.INODE_CHECKSUM // 2].astype(np.uint32)
        halves[:, layout.INODE_CHECKSUM // 2] = 0
        mask: NDArray[np.uint32] = np.full(len(ids), 0xFFFF, dtype=np.uint32)
        if rows.shape[1] > layout.GOOD_OLD_INODE_SIZE:
            wide = _u16(rows, layout.INODE_EXTRA_SIZE) >= 4
            high = layout.INODE_CHECKSUM_HIGH // 2
            stored[wide] |= halves[wide, high].astype(np.uint32) << 16
            halves[wide, high] = 0
            mask[wide] = 0xFFFFFFFF
        bad: NDArray[np.bool_] = (crc32c_many(blank, seeds) & mask) != stored
        return bad

    def _sizes(self, rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Of regular files 64 bits; of others the upper half is something else without largedir."""
        sizes = _u32(rows, layout.INODE_SIZE).astype(np.uint64)
        high = _u32(rows, layout.INODE_SIZE_HIGH).astype(np.uint64) << np.uint64(32)
        if self._volume.superblock.incompat & layout.INCOMPAT_LARGEDIR:
            return sizes | high
        regular = _kinds(_u16(rows, layout.INODE_MODE)) == int(Kind.REGULAR)
        return np.where(regular, sizes | high, sizes)

    def _extra(self, rows: NDArray[np.uint8]) -> NDArray[np.uint16]:
        if rows.shape[1] <= layout.GOOD_OLD_INODE_SIZE:
            return np.zeros(len(rows), dtype=np.uint16)
        return _u16(rows, layout.INODE_EXTRA_SIZE)


def _u16(rows: NDArray[np.uint8], offset: int) -> NDArray[np.uint16]:
    return rows.view("<u2")[:, offset // 2]


def _u32(rows: NDArray[np.uint8], offset: int) -> NDArray[np.uint32]:
    return rows.view("<u4")[:, offset // 4]


def _wide_id(rows: NDArray[np.uint8], low: int, high: int) -> NDArray[np.uint32]:
    upper: NDArray[np.uint32] = _u16(rows, high).astype(np.uint32) << np.uint32(16)
    return _u16(rows, low).astype(np.uint32) | upper


_KIND_OF_FORMAT = np.zeros(16, dtype=np.uint8)
for _format, _kind in KINDS.items():
    _KIND_OF_FORMAT[_format >> 12] = int(_kind)


def _kinds(modes: NDArray[np.uint16]) -> NDArray[np.uint8]:
    kinds: NDArray[np.uint8] = _KIND_OF_FORMAT[modes >> 12]
    return kinds


def _times(rows: NDArray[np.uint8], extra: NDArray[np.uint16], low: int, high: int) -> list[int]:
    """Nanoseconds since the epoch: 32 bits of seconds, then 2 more and the nanoseconds."""
    seconds = _u32(rows, low).view("<i4").astype(np.int64)
    if rows.shape[1] <= layout.GOOD_OLD_INODE_SIZE:
        return [s * 1_000_000_000 for s in seconds.tolist()]
    fits = layout.GOOD_OLD_INODE_SIZE + extra.astype(np.int64) >= high + 4
    more = np.where(fits, _u32(rows, high), 0).astype(np.int64)
    seconds += (more & 3) << 32
    pairs = zip(seconds.tolist(), (more >> 2).tolist(), strict=True)
    return [s * 1_000_000_000 + n for s, n in pairs]


def _births(rows: NDArray[np.uint8], extra: NDArray[np.uint16]) -> Sequence[int | None]:
    if rows.shape[1] <= layout.GOOD_OLD_INODE_SIZE:
        return [None] * len(rows)
    fits = layout.GOOD_OLD_INODE_SIZE + extra.astype(np.int64) >= layout.INODE_CRTIME + 4
    times = _times(rows, extra, layout.INODE_CRTIME, layout.INODE_CRTIME_EXTRA)
    return [time if fit else None for time, fit in zip(times, fits.tolist(), strict=True)]
