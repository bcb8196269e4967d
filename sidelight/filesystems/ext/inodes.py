"""Inodes: many located at once, their blocks read in merged spans, decoded in bulk.

Source: the kernel's Documentation/filesystems/ext4/inodes.rst; the checks are those of its
ext4_iget.
"""

from __future__ import annotations

import stat
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.blocks.scatter_read import as_rows, windows
from sidelight.filesystems.crc32c import advance, all_are, crc32c_pieces
from sidelight.filesystems.ext import layout
from sidelight.filesystems.mode_samples import ModeSamples
from sidelight.filesystems.protocol import KINDS, Inode, InodeKind
from sidelight.gc_pause import uncollected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sidelight.filesystems.ext.volume import ExtVolume

# Inodes handled at once: bounds memory (256 bytes each).
CHUNK = 1 << 16
# Inodes decoded at once: few enough that their bytes stay in the cache from column to column.
AT_ONCE = 4096
# In seconds, at which nanoseconds need more than 63 bits: the year 2262.
FAR_FUTURE = (1 << 63) // 1_000_000_000 - 1


class InodeRecord(NamedTuple):
    """What finding an inode's contents needs. `raw` is the whole on-disk inode."""

    number: int
    mode: int
    size: int
    flags: int
    generation: int
    raw: bytes

    @property
    def kind(self) -> InodeKind:
        """By the mode; UNKNOWN for one that names no type."""
        return KINDS.get(stat.S_IFMT(self.mode), InodeKind.UNKNOWN)


class Inodes:
    """The inode tables of one filesystem."""

    def __init__(self, volume: ExtVolume) -> None:
        self._volume = volume
        # What fast commits made of inodes: number -> the whole on-disk inode.
        self.replaced: dict[int, bytes] = {}
        size = volume.superblock.inode_size
        self._samples = ModeSamples(volume.harvest, size, volume.sample)

    def raw(self, number: int) -> bytes | None:
        """One inode's bytes, sound or not; None where there are none. Raises SourceError."""
        found = self.replaced.get(number)
        if found is not None or not 1 <= number <= self._volume.superblock.inodes:
            return found
        offset = int(self._located(np.array([number], dtype=np.int64))[0])
        return self._volume.source.read_at(offset, self._volume.superblock.inode_size)

    def exists(self, number: int) -> bool:
        """Whether the kernel would open this inode: sound, and linked. No Problem is made.

        Raises SourceError where it cannot be read: whether it is there is not known then.
        """
        if self.raw(number) is None:
            return False
        before = len(self._volume.problems)
        node = self.nodes((number,)).get(number)
        del self._volume.problems[before:]
        at = layout.INODE_LINKS
        return node is not None and node.raw[at : at + 2] != bytes(2)

    def nodes(self, numbers: Iterable[int]) -> dict[int, InodeRecord]:
        """Many inodes, for their contents. Unreadable ones are absent, with a Problem."""
        found: dict[int, InodeRecord] = {}
        for ids, rows in self.rows(numbers):
            found.update((node.number, node) for node in self.nodes_of(ids, rows))
        return found

    def nodes_of(self, ids: NDArray[np.int64], rows: NDArray[np.uint8]) -> list[InodeRecord]:
        """The same of inodes already read."""
        size = self._volume.superblock.inode_size
        data = rows.tobytes()
        fields = zip(
            ids.tolist(),
            _u16(rows, layout.INODE_MODE).tolist(),
            self.sizes(rows).tolist(),
            _u32(rows, layout.INODE_FLAGS).tolist(),
            _u32(rows, layout.INODE_GENERATION).tolist(),
            strict=True,
        )
        return [
            InodeRecord(*field, data[at * size : (at + 1) * size])
            for at, field in enumerate(fields)
        ]

    def kinds(self, numbers: Iterable[int]) -> dict[int, int]:
        """The types alone, for directories that store none."""
        found: dict[int, int] = {}
        for ids, rows in self.rows(numbers):
            kinds = _kinds(_u16(rows, layout.INODE_MODE))
            found.update(zip(ids.tolist(), kinds.tolist(), strict=True))
        return found

    def sampled(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The types of many inodes by their modes alone, UNKNOWN where in doubt; no Problems."""
        kinds = np.zeros(len(numbers), dtype=np.uint8)
        known, offsets = self._sampled_offsets(numbers)
        kinds[known] = self._samples.kinds(offsets)
        return kinds

    def may_be_programs(self, numbers: Sequence[int]) -> list[int]:
        """Those that may be programs by their modes and sizes, and those in doubt; no Problems."""
        every = np.array(numbers, dtype=np.uint64).view(np.int64)
        wanted = np.ones(len(every), dtype=np.bool_)
        known, offsets = self._sampled_offsets(every)
        wanted[known] = self._samples.programs(offsets)
        return [numbers[at] for at in np.flatnonzero(wanted).tolist()]

    def _sampled_offsets(
        self, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which inodes have a sample, and where these lie, in bytes."""
        sb = self._volume.superblock
        known = (numbers >= 1) & (numbers <= sb.inodes)
        if self.replaced:
            known &= ~np.isin(numbers, list(self.replaced))
        groups, rows = np.divmod(numbers[known] - 1, sb.inodes_per_group)
        tables = self._volume.inode_tables(groups)
        offsets = tables * sb.block_size + rows * sb.inode_size
        known[known] = usable = tables > 0
        return known, offsets[usable]

    def inodes(self, numbers: Iterable[int]) -> dict[int, Inode]:
        """Metadata of many inodes."""
        found: dict[int, Inode] = {}
        with uncollected():
            for ids, rows in self.rows(numbers):
                for begin in range(0, len(ids), AT_ONCE):
                    part = slice(begin, begin + AT_ONCE)
                    self._decode(ids[part], rows[part], found)
        return found

    def _decode(
        self, ids: NDArray[np.int64], rows: NDArray[np.uint8], found: dict[int, Inode]
    ) -> None:
        """Metadata column by column."""
        numbers = ids.tolist()
        modes = _u16(rows, layout.INODE_MODE)
        extra = self._extra(rows)
        fields = zip(
            numbers,
            [_KIND_BY_TYPE[kind] for kind in (modes >> 12).tolist()],
            modes.tolist(),
            _wide_id(rows, layout.INODE_UID, layout.INODE_UID_HIGH).tolist(),
            _wide_id(rows, layout.INODE_GID, layout.INODE_GID_HIGH).tolist(),
            self.sizes(rows).tolist(),
            _u16(rows, layout.INODE_LINKS).tolist(),
            _times(rows, extra, layout.INODE_MTIME, layout.INODE_MTIME_EXTRA),
            _times(rows, extra, layout.INODE_CTIME, layout.INODE_CTIME_EXTRA),
            _times(rows, extra, layout.INODE_ATIME, layout.INODE_ATIME_EXTRA),
            _births(rows, extra),
            strict=True,
        )
        # As Inode(*fields) for each, without a call of Python's own for each.
        found.update(zip(numbers, map(tuple.__new__, repeat(Inode), fields), strict=True))

    def rows(self, numbers: Iterable[int]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Sound inodes as (numbers, rows of inode_size bytes), in the order of the disk."""
        most = self._volume.superblock.inodes
        requested = np.sort(np.array(list(numbers), dtype=np.int64))
        requested = requested[np.diff(requested, prepend=requested[:1] - 1) != 0]
        for number in requested[(requested < 1) | (requested > most)].tolist():
            self._volume.report(f"there are only {most} inodes", f"inode {number}")
        wanted = requested[(requested >= 1) & (requested <= most)]
        if self.replaced:
            replaced = [number for number in wanted.tolist() if number in self.replaced]
            if replaced:
                data = b"".join(map(self.replaced.__getitem__, replaced))
                ids = np.array(replaced, dtype=np.int64)
                yield self._sound(ids, data, replaced=True)
                wanted = np.setdiff1d(wanted, ids)
        for at in range(0, len(wanted), CHUNK):
            ids = wanted[at : at + CHUNK]
            offsets = self._located(ids)
            order = np.argsort(offsets, kind="stable")[int((offsets < 0).sum()) :]
            ids, offsets = ids[order], offsets[order]
            for window in windows(offsets, self._volume.superblock.inode_size):
                yield self._sound(*self._read(ids[window], offsets[window]))

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
    ) -> tuple[NDArray[np.int64], bytes]:
        """The inodes at these sorted offsets; those in unreadable places are dropped."""
        size = self._volume.superblock.inode_size
        data, errors = self._volume.harvest.gather(offsets, size)
        if not errors:
            return ids, data
        for at, error in errors.items():
            self._volume.report(f"unreadable: {error}", f"inode {ids[at]}")
        readable = np.ones(len(ids), dtype=np.bool_)
        readable[list(errors)] = False
        return ids[readable], as_rows(data, size)[readable].tobytes()

    def _sound(
        self, ids: NDArray[np.int64], data: bytes, *, replaced: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """As rows, without the inodes that the kernel refuses too."""
        size = self._volume.superblock.inode_size
        rows = as_rows(data, size)
        modes, links = _u16(rows, layout.INODE_MODE), _u16(rows, layout.INODE_LINKS)
        checks = [(links == 0, "the inode is not in use")]
        if size > layout.GOOD_OLD_INODE_SIZE:
            extra = _u16(rows, layout.INODE_EXTRA_SIZE)
            wild = (extra + layout.GOOD_OLD_INODE_SIZE > size) | (extra & 3 != 0)
            checks.append((wild, "impossible extra inode size"))
        if self._volume.superblock.metadata_csum and not replaced:
            checks.insert(
                0, (self._bad_checksums(ids, rows, data), "the inode's checksum is wrong")
            )
        checks.append((_kinds(modes) == 0, "the inode's mode names no file type"))
        bad = np.zeros(len(ids), dtype=np.bool_)
        for mask, what in checks:
            for number in ids[mask & ~bad].tolist():
                self._volume.report(what, f"inode {number}")
            bad |= mask
        return (ids, rows) if not bad.any() else (ids[~bad], rows[~bad])

    def _bad_checksums(
        self, ids: NDArray[np.int64], rows: NDArray[np.uint8], data: bytes
    ) -> NDArray[np.bool_]:
        size = rows.shape[1]
        seeds = self._volume.inode_seeds(ids, _u32(rows, layout.INODE_GENERATION))
        # The two halves of the checksum count as zeros: what their bytes add is taken away again.
        stored = _u16(rows, layout.INODE_CHECKSUM).astype(np.uint32)
        own = advance(stored, size - layout.INODE_CHECKSUM)
        mask: NDArray[np.uint32] = np.full(len(ids), 0xFFFF, dtype=np.uint32)
        if size > layout.GOOD_OLD_INODE_SIZE:
            wide = _u16(rows, layout.INODE_EXTRA_SIZE) >= 4
            high = _u16(rows, layout.INODE_CHECKSUM_HIGH).astype(np.uint32) << np.uint32(16)
            high[~wide] = 0
            # The upper half of the word that begins two bytes before.
            own ^= advance(high, size - layout.INODE_EXTRA_SIZE)
            stored |= high
            mask[wide] = 0xFFFFFFFF
            if wide.all() and all_are(data, size, stored ^ own, seeds):
                return np.zeros(len(ids), dtype=np.bool_)
        registers = crc32c_pieces(data, range(0, len(data), size), size, seeds) ^ own
        bad: NDArray[np.bool_] = (registers & mask) != stored
        return bad

    def sizes(self, rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Of regular files 64 bits; of others the upper half is something else without largedir."""
        sizes = _u32(rows, layout.INODE_SIZE).astype(np.uint64)
        high = _u32(rows, layout.INODE_SIZE_HIGH).astype(np.uint64) << np.uint64(32)
        if self._volume.superblock.incompat & layout.INCOMPAT_LARGEDIR:
            return sizes | high
        regular = _kinds(_u16(rows, layout.INODE_MODE)) == int(InodeKind.REGULAR)
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


_KIND_BY_TYPE = [KINDS.get(kind << 12, InodeKind.UNKNOWN) for kind in range(16)]
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
        return (seconds * 1_000_000_000).tolist()  # type: ignore[no-any-return] # numpy's stub
    fits = layout.GOOD_OLD_INODE_SIZE + extra.astype(np.int64) >= high + 4
    more = np.where(fits, _u32(rows, high), 0).astype(np.int64)
    seconds += (more & 3) << 32
    if (seconds >= FAR_FUTURE).any():
        pairs = zip(seconds.tolist(), (more >> 2).tolist(), strict=True)
        return [s * 1_000_000_000 + n for s, n in pairs]
    return (seconds * 1_000_000_000 + (more >> 2)).tolist()  # type: ignore[no-any-return] # likewise


def _births(rows: NDArray[np.uint8], extra: NDArray[np.uint16]) -> Iterable[int | None]:
    if rows.shape[1] <= layout.GOOD_OLD_INODE_SIZE:
        return [None] * len(rows)
    fits = layout.GOOD_OLD_INODE_SIZE + extra.astype(np.int64) >= layout.INODE_CRTIME + 4
    times = _times(rows, extra, layout.INODE_CRTIME, layout.INODE_CRTIME_EXTRA)
    if fits.all():
        return times
    return [time if fit else None for time, fit in zip(times, fits.tolist(), strict=True)]
