"""Logged buffers and inodes, put over the disk's bytes in memory."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, LimitError
from sidelight.filesystems.xfs import layout, log_layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.xfs.log_items import LogItem
    from sidelight.filesystems.xfs.superblock import XfsSuperblock

BLOCK = layout.BASIC_BLOCK
NO_LSN = (1 << 64) - 1
# Basic blocks in memory (half a gigabyte): a few bytes of a hostile log make a chunk of inodes.
BLOCK_CAP = 1 << 20

# An inode's core in the log and on the disk, by whether its times are big.
_CORES = {
    big: (
        Struct("<" + log_layout.LOG_CORE.format(times="QQQ" if big else "6i")),
        Struct(">" + log_layout.LOG_CORE.format(times="QQQ" if big else "6i")),
    )
    for big in (False, True)
}
_CORES_V3 = {
    big: (
        Struct("<" + log_layout.LOG_CORE_V3.format(time="Q" if big else "2i")),
        Struct(">" + log_layout.LOG_CORE_V3.format(time="Q" if big else "2i")),
    )
    for big in (False, True)
}


class Memory:
    """Basic blocks that recovery has touched, and those that it waits to stamp with an LSN."""

    def __init__(self, source: BlockSource, superblock: XfsSuperblock) -> None:
        self._source = source
        self.superblock = superblock
        self._blocks: dict[int, bytearray] = {}
        self._dirty: set[int] = set()
        self._unstamped: set[int] = set()
        self._lsn = 0

    def commit(self, lsn: int) -> None:
        """A transaction of this LSN is about to be applied.

        As the kernel does, buffers get their LSN only once all transactions of one LSN are in:
        several may begin in one record.
        """
        if lsn == self._lsn:
            return
        for block in self._unstamped:
            data = self._blocks[block]
            place = log_layout.LSN_PLACES.get(bytes(data[:4]))
            if place and self.superblock.v5:
                data[place[0] : place[0] + 8] = self._lsn.to_bytes(8, "big")
        self._unstamped.clear()
        self._lsn = lsn

    def read(self, offset: int, length: int) -> bytes:
        """Bytes as they are by now; whole basic blocks are kept."""
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        self._load(first, last)
        data = b"".join([self._blocks[block] for block in range(first, last + 1)])
        return data[offset - first * BLOCK :][:length]

    def write(self, offset: int, data: bytes) -> None:
        """Replace bytes. Raises LimitError beyond what a real log could."""
        at, end = offset, offset + len(data)
        while at < end:
            block, skip = divmod(at, BLOCK)
            take = min(BLOCK - skip, end - at)
            if take < BLOCK:
                self._load(block, block)
                self._blocks[block][skip : skip + take] = data[at - offset : at - offset + take]
            else:
                self._blocks[block] = bytearray(data[at - offset : at - offset + take])
            self._dirty.add(block)
            at += take
        if len(self._blocks) > BLOCK_CAP:
            raise LimitError("the log replaces too much", where=self._source.name)

    def stamp_later(self, block: int) -> None:
        """A buffer that begins here gets the LSN of its transaction."""
        self._unstamped.add(block)

    def written(self) -> Iterable[tuple[int, bytearray]]:
        """Every replaced basic block."""
        return ((block, self._blocks[block]) for block in self._dirty)

    def _load(self, first: int, last: int) -> None:
        if all(block in self._blocks for block in range(first, last + 1)):
            return
        data = self._source.read_at(first * BLOCK, (last + 1 - first) * BLOCK)
        for index, block in enumerate(range(first, last + 1)):
            if block not in self._blocks:
                self._blocks[block] = bytearray(data[index * BLOCK : (index + 1) * BLOCK])


def replay_buffer(
    memory: Memory, item: LogItem, place: tuple[int, int], what: tuple[int, int], lsn: int
) -> None:
    """Apply a buffer's logged chunks, unless the disk already has something newer.

    `place` is address and length in basic blocks, `what` the item's flags and its map as one
    number: bit n stands for the 128 bytes at 128 n. Raises DamagedError for a map that does not
    fit.
    """
    (address, length), (flags, bits) = place, what
    chunk = log_layout.BUFFER_CHUNK
    if bits >> (length * BLOCK // chunk):
        raise DamagedError("a map longer than its buffer", where=f"block {address}")
    first = memory.read(address * BLOCK, BLOCK)
    kind = flags >> log_layout.BUFFER_TYPE_SHIFT
    logged = item.regions[1][:4] if bits & 1 and len(item.regions) > 1 else first[:4]
    if kind == log_layout.TYPE_BTREE and logged in log_layout.GROUP_TREES:
        return
    if memory.superblock.v5 and _lsn_of(memory.superblock, first) >= lsn:
        return
    bit = 0
    for region in item.regions[1:]:
        while bits >> bit and not bits >> bit & 1:
            bit += 1
        run = 0
        while bits >> (bit + run) & 1:
            run += 1
        # Adjacent chunks may come in several regions.
        run = min(run, len(region) // chunk)
        if not run:
            raise DamagedError("regions that do not fit their map", where=f"block {address}")
        memory.write(address * BLOCK + bit * chunk, region[: run * chunk])
        bit += run
    if bits >> bit:
        raise DamagedError("a map without its regions", where=f"block {address}")
    memory.stamp_later(address)


def _lsn_of(superblock: XfsSuperblock, block: bytes) -> int:
    """A block's own LSN, or -1 where it has none that counts: then the log has the last word."""
    place = log_layout.LSN_PLACES.get(block[:4])
    if place is None:
        return -1
    uuid = block[place[1] : place[1] + 16]
    own = superblock.uuid if block[:4] == layout.SB_MAGIC else superblock.meta_uuid
    lsn = int.from_bytes(block[place[0] : place[0] + 8], "big")
    return lsn if uuid == own and lsn not in (0, NO_LSN) else -1


def replay_inode(memory: Memory, item: LogItem, at: int, fields: int, lsn: int) -> None:
    """Apply a logged inode at byte `at`: its core, and its data fork where that was logged.

    The attribute fork stays: nothing here reads it. Raises DamagedError where there is no inode.
    """
    sb = memory.superblock
    where = f"inode at {at}"
    if at % sb.inode_size or len(item.regions) < 2:
        raise DamagedError("an inode item that cannot be", where=where)
    disk = bytearray(memory.read(at, sb.inode_size))
    core = item.regions[1]
    magic = layout.INODE_MAGIC
    if int.from_bytes(disk[:2], "big") != magic or int.from_bytes(core[:2], "little") != magic:
        raise DamagedError("no inode where the log has one", where=where)
    if disk[layout.DI_VERSION] >= 3:
        own = int.from_bytes(disk[layout.DI_LSN : layout.DI_LSN + 8], "big")
        if own not in (0, NO_LSN) and own > lsn:
            return
    elif _flushed_later(disk, core):
        return
    _put_core(disk, core, lsn, where)
    if len(item.regions) > 2:
        _put_fork(disk, item.regions[2], fields, sb, where)
    memory.write(at, bytes(disk))


def _flushed_later(disk: bytes | bytearray, core: bytes) -> bool:
    """Old inodes have no LSN but count how often they were written."""
    logged = int.from_bytes(core[30:32], "little")
    flushed = int.from_bytes(disk[30:32], "big")
    wrapped = flushed == 0xFFFF and logged < 0x7FFF
    return logged < flushed and not wrapped


def _put_core(disk: bytearray, core: bytes, lsn: int, where: str) -> None:
    """An inode's core from the machine's byte order to the disk's."""
    version = core[layout.DI_VERSION] if len(core) >= log_layout.LOG_CORE_LENGTH else 0
    v3 = version == 3
    if version not in (1, 2, 3) or (v3 and len(core) < log_layout.LOG_CORE_V3_LENGTH):
        raise DamagedError("a logged inode that cannot be", where=where)
    big = v3 and bool(core[layout.DI_FLAGS2] & layout.FLAG2_BIGTIME)
    logged, stored = _CORES[big]
    stored.pack_into(disk, 0, *logged.unpack_from(core))
    if v3:
        logged, stored = _CORES_V3[big]
        values = list(logged.unpack_from(core, log_layout.LOG_CORE_V3_AT))
        values[log_layout.LSN_IN_V3] = lsn
        stored.pack_into(disk, log_layout.LOG_CORE_V3_AT, *values)
    else:
        disk[30:32] = bytes(2)


def _put_fork(disk: bytearray, fork: bytes, fields: int, sb: XfsSuperblock, where: str) -> None:
    """A logged data fork: as on disk, but for the root of an extent tree."""
    start = sb.inode_core
    offset = disk[layout.DI_FORKOFF] * 8
    room = offset or sb.inode_size - start
    if fields & (log_layout.FIELD_DATA | log_layout.FIELD_EXTENTS):
        data = fork
    elif fields & log_layout.FIELD_BROOT:
        data = _packed_root(fork, room, sb, where)
    else:
        return
    if len(data) > room or start + len(data) > sb.inode_size:
        raise DamagedError("a logged fork that does not fit its inode", where=where)
    disk[start : start + len(data)] = data


def _packed_root(root: bytes, room: int, sb: XfsSuperblock, where: str) -> bytes:
    """The root of an extent tree: a block's form in memory, a shorter one in the inode."""
    header = layout.BMBT_HEADER_V5 if sb.v5 else layout.BMBT_HEADER_V4
    level, count = layout.BMBT_COUNTS.unpack_from(root)
    capacity = (len(root) - header) // 16
    packed = (room - layout.BMDR_HEADER.size) // 16
    if not 0 < count <= min(capacity, packed):
        raise DamagedError("a logged extent tree that does not fit its inode", where=where)
    keys = root[header : header + count * 8]
    pointers = root[header + capacity * 8 : header + capacity * 8 + count * 8]
    gap = bytes((packed - count) * 8)
    return layout.BMDR_HEADER.pack(level, count) + keys + gap + pointers
