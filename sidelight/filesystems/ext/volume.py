"""What the parts of the ext reader share: a source, its superblock, its group descriptors."""

from __future__ import annotations

import struct
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.blocks.metadata_cache import MetadataCache
from sidelight.errors import SourceError
from sidelight.filesystems.crc32c import advance, crc32c, crc32c_many
from sidelight.filesystems.ext import layout
from sidelight.filesystems.ext.block_heuristics import scan
from sidelight.filesystems.ext.crc16 import crc16_rows
from sidelight.filesystems.mode_samples import samples_of
from sidelight.filesystems.protocol import PROGRAM_BYTES
from sidelight.model import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sidelight.blocks.source import BlockSource
    from sidelight.filesystems.ext.superblock import ExtSuperblock

# Group descriptors are read this many bytes at a time, so that a huge volume costs what is used.
DESCRIPTOR_PIECE = 64 << 10
MOST_PROBLEMS = 1000
# A table is read as a whole where it has so many directories in each block of a snapshot: then
# hardly one of these is without.
THICK = 2
FAR_BLOCK = 512 << 10
# Groups whose tables are looked at for that.
MOST_AHEAD = 8192


class BlockGroups(NamedTuple):
    """Consecutive groups, by their descriptors."""

    tables: NDArray[np.int64]  # first block of the inode table, 0 where the descriptor is unusable
    used: NDArray[np.int64]  # inodes at the table's beginning that may be in use: a hint
    directories: NDArray[np.int64]  # how many of them are: a hint


class ExtVolume:
    """One ext filesystem's geometry. `where` opens every coordinate."""

    def __init__(
        self, source: BlockSource, superblock: ExtSuperblock, where: str, problems: list[Problem]
    ) -> None:
        self.source = source
        self.superblock = superblock
        self.where = where
        self.block_size = superblock.block_size
        self.problems = problems
        self._groups: dict[int, BlockGroups] = {}
        self.harvest = MetadataCache(source, partial(scan, self), self.sample)

    def sample(self, data: bytes) -> bytes:
        """What ModeSamples keeps of inodes' bytes: a byte for each whole one."""
        size = self.superblock.inode_size
        rows = np.frombuffer(data, "<u2", len(data) // size * size // 2).reshape(-1, size // 2)
        words = rows.view("<u4")
        large = words[:, layout.INODE_SIZE // 4] >= PROGRAM_BYTES
        large |= words[:, layout.INODE_SIZE_HIGH // 4] > 0
        return samples_of(rows[:, layout.INODE_MODE // 2], large)

    def report(self, what: str, place: str = "") -> None:
        """One more Problem; past a cap only that there are more."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(f"{self.where}: {place}" if place else self.where, what))
        elif len(self.problems) == MOST_PROBLEMS:
            self.problems.append(Problem(self.where, f"more than {MOST_PROBLEMS} problems"))

    def block(self, number: int) -> bytes:
        """One block. Raises SourceError."""
        return self.source.read_at(number * self.block_size, self.block_size)

    def tree_block(self, number: int) -> bytes:
        """A block that maps others; it may have been kept. Raises SourceError."""
        size = self.block_size
        return self.harvest.take(number * size, size) or self.block(number)

    def holds(self, first: int, count: int = 1) -> bool:
        """Whether these blocks lie within the filesystem, past the primary superblock."""
        sb = self.superblock
        return sb.first_data_block < first and first + count <= sb.blocks and count > 0

    def inode_tables(self, groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first block of each group's inode table, 0 where its descriptor is unusable."""
        per_piece = self._groups_of_piece
        out = np.zeros(len(groups), dtype=np.int64)
        pieces = groups // per_piece
        for piece in np.unique(pieces).tolist():
            mask = pieces == piece
            out[mask] = self._piece(piece).tables[groups[mask] - piece * per_piece]
        return out

    def tables_worth_reading(self) -> list[tuple[int, int]]:
        """(offset, length) in bytes of inode tables' used parts, where directories lie thick.

        Of the first groups of a huge volume. What is wrong with descriptors is left to be found
        when one of them is needed.
        """
        before, known = len(self.problems), dict(self._groups)
        sb = self.superblock
        found: list[tuple[int, int]] = []
        for piece in range(-(-min(sb.groups, MOST_AHEAD) // self._groups_of_piece)):
            groups = self._piece(piece)
            lengths = groups.used * sb.inode_size
            thick = groups.directories >= THICK * (lengths / FAR_BLOCK)
            worth = (groups.tables > 0) & thick & (lengths > 0)
            starts = groups.tables[worth] * self.block_size
            found += zip(starts.tolist(), lengths[worth].tolist(), strict=True)
        if len(self.problems) > before:
            del self.problems[before:]
            self._groups = known
            return []
        return found

    @property
    def _groups_of_piece(self) -> int:
        return max(DESCRIPTOR_PIECE, self.block_size) // self.superblock.descriptor_size

    def _piece(self, piece: int) -> BlockGroups:
        groups = self._groups.get(piece)
        if groups is None:
            first = piece * self._groups_of_piece
            last = min(first + self._groups_of_piece, self.superblock.groups)
            groups = self._groups[piece] = self._load(first, last)
        return groups

    def in_tables(self, first: int, count: int) -> NDArray[np.bool_]:
        """Which of these blocks lie in inode tables of groups whose descriptors were read."""
        sb = self.superblock
        found = np.zeros(count, dtype=np.bool_)
        per_table = -(-sb.inodes_per_group * sb.inode_size // self.block_size)
        for groups in self._groups.values():
            table = groups.tables
            near = table[(table > first - per_table) & (table < first + count) & (table > 0)]
            for start in (near - first).tolist():
                found[max(start, 0) : max(start + per_table, 0)] = True
        return found

    def _load(self, first: int, last: int) -> BlockGroups:
        """The groups [first, last), bad descriptors replaced by a backup's."""
        size = self.superblock.descriptor_size
        per_block = self.block_size // size
        numbers = range(first // per_block, -(-last // per_block))
        raw = self._descriptor_blocks(numbers, 0)
        bad = self._bad(first, raw[: last - first])
        if bad.any():
            for copy in (1, 2):
                spare = self._descriptor_blocks(numbers, copy)
                fix = bad & ~self._bad(first, spare[: last - first])
                raw[: last - first][fix] = spare[: last - first][fix]
                bad &= ~fix
                for group in (np.flatnonzero(fix) + first).tolist():
                    self.report("bad group descriptor; a backup is used", f"group {group}")
                if not bad.any():
                    break
            for group in (np.flatnonzero(bad) + first).tolist():
                self.report("bad group descriptor", f"group {group}")
        table = self._table_blocks(raw[: last - first])
        table[bad] = 0
        return BlockGroups(table, *self._usage(raw[: last - first]))

    def _usage(self, raw: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many inodes at each table's beginning may be in use, and how many directories."""
        sb = self.superblock
        halves = np.ascontiguousarray(raw).view("<u2").astype(np.int64)
        unused = halves[:, layout.GROUP_FREE_INODES // 2]
        if sb.metadata_csum or sb.ro_compat & layout.RO_COMPAT_GDT_CSUM:
            unused = halves[:, layout.GROUP_UNUSED_INODES // 2].copy()
            never = halves[:, layout.GROUP_FLAGS // 2] & layout.GROUP_INODE_UNINIT != 0
            unused[never] = sb.inodes_per_group
        used = np.maximum(sb.inodes_per_group - unused, 0)
        return used, halves[:, layout.GROUP_DIRECTORIES // 2]

    def _table_blocks(self, raw: NDArray[np.uint8]) -> NDArray[np.int64]:
        words = np.ascontiguousarray(raw).view("<u4")
        table = words[:, layout.GROUP_INODE_TABLE // 4].astype(np.int64)
        if self.superblock.incompat & layout.INCOMPAT_64BIT:
            high = words[:, layout.GROUP_INODE_TABLE_HIGH // 4].astype(np.int64)
            # Past 2**48 blocks nothing is addressable; keep the sum within 63 bits.
            table += np.minimum(high, 1 << 16) << 32
        return table

    def _bad(self, first: int, raw: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which descriptors have a wrong checksum, or a table outside of the filesystem."""
        sb = self.superblock
        table = self._table_blocks(raw)
        per_table = -(-sb.inodes_per_group * sb.inode_size // self.block_size)
        bad: NDArray[np.bool_] = (table <= sb.first_data_block) | (table + per_table > sb.blocks)
        at = layout.GROUP_CHECKSUM
        stored = np.ascontiguousarray(raw[:, at : at + 2]).view("<u2")[:, 0]
        groups = np.arange(first, first + len(raw), dtype="<u4").view(np.uint8).reshape(-1, 4)
        if sb.metadata_csum:
            blank = raw.copy()
            blank[:, at : at + 2] = 0
            whole = np.concatenate((groups, blank), axis=1)
            bad |= (crc32c_many(whole, sb.checksum_seed) & 0xFFFF) != stored
        elif sb.ro_compat & layout.RO_COMPAT_GDT_CSUM:
            uuid = np.broadcast_to(np.frombuffer(sb.uuid, dtype=np.uint8), (len(raw), 16))
            whole = np.concatenate((uuid, groups, raw[:, :at], raw[:, at + 2 :]), axis=1)
            bad |= crc16_rows(whole, 0xFFFF) != stored
        return bad

    def _descriptor_blocks(self, numbers: range, copy: int) -> NDArray[np.uint8]:
        """Descriptor blocks by their number, of the primary (0) or a backup; unread ones zeros."""
        places = [self._descriptor_place(number, copy) for number in numbers]
        size = self.block_size
        self.source.prefetch([(place * size, size) for place in places])
        parts = []
        for place in places:
            try:
                parts.append(self.block(place))
            except SourceError as error:
                self.report(f"group descriptors: {error}", f"block {place}")
                parts.append(bytes(size))
        raw = np.frombuffer(b"".join(parts), dtype=np.uint8)
        return raw.reshape(-1, self.superblock.descriptor_size).copy()

    def _descriptor_place(self, number: int, copy: int) -> int:
        """The block of descriptor block `number` in a copy (0 the primary, then the backups)."""
        sb = self.superblock
        meta = bool(sb.incompat & layout.INCOMPAT_META_BG)
        primary = layout.SUPERBLOCK_OFFSET // self.block_size
        if not meta or number < sb.first_meta_group:
            if copy == 0:
                return primary + 1 + number
            group = next(islice(sb.backups(), copy - 1, None), 0)
            begin = sb.first_data_block + group * sb.blocks_per_group
            return (begin if group else primary) + 1 + number
        per_block = self.block_size // sb.descriptor_size
        group = number * per_block + (0, 1, per_block - 1)[copy]
        begin = sb.first_data_block + group * sb.blocks_per_group
        extra = 1 if self.block_size == 1024 and group == 0 and sb.first_data_block == 0 else 0
        return begin + int(sb.has_backup(group)) + extra

    def inode_seeds(
        self, numbers: NDArray[np.int64], generations: NDArray[np.uint32]
    ) -> NDArray[np.uint32]:
        """The CRC32C register after the filesystem's seed, inode number and generation."""
        seed = np.uint32(self.superblock.checksum_seed)
        # A register takes a word in by XOR, and is then moved over the word's length.
        after = advance(numbers.astype(np.uint32) ^ seed, 4)
        return advance(after ^ generations, 4)

    def inode_seed(self, number: int, generation: int) -> int:
        """The same for one inode."""
        return crc32c(struct.pack("<II", number, generation), self.superblock.checksum_seed)
