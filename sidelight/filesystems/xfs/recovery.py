"""Log recovery in memory: what the kernel would write at the next mount, as an overlay.

Two passes over the committed transactions, as in the kernel: the first collects the cancelled
buffers, the second applies. Only what this reader reads is replayed: inodes, directory data, extent
trees, links and the superblock. Space maps, quotas, attributes, directory indices and the lists of
unlinked inodes (which no path leads to) stay as they are on the disk.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING

from sidelight.blocks import OverlaySource
from sidelight.errors import DamagedError, FormatError, LimitError, SidelightError, SourceError
from sidelight.filesystems.xfs import layout, log_layout
from sidelight.filesystems.xfs.extents import Remap
from sidelight.filesystems.xfs.log_items import LogItem, Transaction, transactions
from sidelight.filesystems.xfs.log_replay import Memory, replay_buffer, replay_inode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.xfs.log_head_tail import Ends, XfsLog
    from sidelight.filesystems.xfs.superblock import XfsSuperblock
    from sidelight.filesystems.xfs.volume import XfsVolume

BLOCK = layout.BASIC_BLOCK
# A directory block or a cluster of inodes, in basic blocks.
LARGEST_BUFFER = 128


class XfsRecovery:
    """One replay. `overlay` and `finish` give its result."""

    def __init__(self, source: BlockSource, superblock: XfsSuperblock, volume: XfsVolume) -> None:
        self._source = source
        self._superblock = superblock
        self._volume = volume
        self._memory = Memory(source, superblock)
        self._cancelled: Counter[tuple[int, int]] = Counter()
        self._cancelled_at: Counter[int] = Counter()  # the same by address alone
        self._intents: dict[tuple[int, int], LogItem] = {}
        self._faults = False

    def run(self, log: XfsLog, ends: Ends) -> bool:
        """Replay from tail to head. Whether all of it could be replayed.

        Raises DamagedError where the log as a whole makes no sense, LimitError where it would
        replace more than memory should hold.
        """
        where = self._volume.where
        self._source.prefetch(self._first_pass(transactions(log.records(ends), where)))
        for transaction in transactions(log.records(ends), where):
            self._memory.commit(transaction.lsn)
            for item in transaction.items:
                try:
                    self._replay(item, transaction.lsn)
                except LimitError:
                    raise
                except (SidelightError, struct.error, OverflowError) as error:
                    what = str(error) if isinstance(error, SidelightError) else "a cut item"
                    self._fault(f"cannot be replayed: {what}")
        self._finish_intents()
        return not self._faults

    def overlay(self) -> tuple[OverlaySource, set[int]]:
        """The source as it would be after recovery, and the basic blocks that are not its own."""
        blocks = {number: bytes(data) for number, data in self._memory.written()}
        return OverlaySource(self._source, BLOCK, blocks), set(blocks)

    def _fault(self, what: str) -> None:
        self._faults = True
        self._volume.problem("log", what)

    def _first_pass(self, found: Iterator[Transaction]) -> list[tuple[int, int]]:
        """Collect cancelled buffers; returns what the second pass will read, as byte ranges."""
        ranges = set()
        inode_size = self._superblock.inode_size
        for transaction in found:
            for item in transaction.items:
                head = item.regions[0]
                if item.type == log_layout.BUFFER and len(head) >= log_layout.BUFFER_ITEM.size:
                    _, _, flags, length, address, _ = log_layout.BUFFER_ITEM.unpack_from(head)
                    if flags & log_layout.BUFFER_CANCEL:
                        self._cancelled[address, length] += 1
                        self._cancelled_at[address] += 1
                    elif _is_read(flags):
                        ranges.add((address * BLOCK, min(length, LARGEST_BUFFER) * BLOCK))
                elif item.type == log_layout.INODE and (place := _inode_place(head)):
                    ranges.add((place[1] * BLOCK + place[3], inode_size))
        return sorted(ranges)

    def _replay(self, item: LogItem, lsn: int) -> None:
        head = item.regions[0]
        if item.type == log_layout.BUFFER:
            self._replay_buffer(item, lsn)
        elif item.type == log_layout.INODE:
            place = _inode_place(head)
            if place is None:
                raise DamagedError("an inode item of impossible length", where=self._volume.where)
            number, address, length, offset, fields = place
            if self._cancelled[address, length] <= 0:
                at = address * BLOCK + offset
                replay_inode(self._memory, item, at, fields, lsn)
                if fields & log_layout.FIELD_DATA_OWNER:
                    self._volume.adopted.add(number)
        elif item.type == log_layout.ICREATE:
            self._create_inodes(head)
        elif item.type in (log_layout.BUI, log_layout.XMI):
            self._intents[item.type, _intent(head)] = item
        elif item.type in (log_layout.BUD, log_layout.XMD):
            self._intents.pop((item.type - 1, _intent(head)), None)
        elif item.type not in log_layout.NO_EFFECT:
            raise DamagedError(f"unknown item {item.type:#x}", where=self._volume.where)

    def _replay_buffer(self, item: LogItem, lsn: int) -> None:
        head = item.regions[0]
        _, _, flags, length, address, words = log_layout.BUFFER_ITEM.unpack_from(head)
        if flags & log_layout.BUFFER_CANCEL:
            self._cancelled[address, length] -= 1
            self._cancelled_at[address] -= 1
            return
        if self._cancelled[address, length] > 0 or not _is_read(flags):
            return
        if not 0 < length <= LARGEST_BUFFER or address < 0:
            raise DamagedError("an impossible buffer", where=self._volume.where)
        bits = int.from_bytes(head[log_layout.BUFFER_ITEM.size :][: words * 4], "little")
        replay_buffer(self._memory, item, (address, length), (flags, bits), lsn)

    def _create_inodes(self, head: bytes) -> None:
        """A new chunk of inodes: all of them free, unless its blocks were given up again."""
        group, block, count, size, length, generation = log_layout.ICREATE_ITEM.unpack_from(head)
        sb = self._superblock
        linear = group * sb.ag_blocks + block
        if (
            size != sb.inode_size
            or not 0 < length <= 64 * sb.inode_size // min(sb.inode_size, sb.block_size)
            or block + length > sb.ag_blocks
            or linear + length > sb.blocks
            or count != (length << sb.block_log) >> sb.inode_log
        ):
            raise DamagedError("an impossible chunk of inodes", where=self._volume.where)
        start = linear << sb.block_log
        first, last = start // BLOCK, (start + (length << sb.block_log)) // BLOCK
        if any(self._cancelled_at[at] > 0 for at in range(first, last)):
            return
        number = (group << sb.ag_block_log | block) << sb.inodes_per_block_log
        for index in range(count):
            self._memory.write(
                start + (index << sb.inode_log), _fresh_inode(sb, number + index, generation)
            )

    def _finish_intents(self) -> None:
        """Changes of maps that were promised and not done: kept aside for the reader."""
        for (kind, _), item in self._intents.items():
            try:
                if kind == log_layout.XMI:
                    first, second = log_layout.XMI_ITEM.unpack_from(item.regions[0])[4:6]
                    self._fault(f"an unfinished exchange between inodes {first} and {second}")
                else:
                    self._promise(item.regions[0])
            except (SidelightError, struct.error) as error:
                self._fault(f"an unfinished change of a map: {error}")

    def _promise(self, head: bytes) -> None:
        _, _, count, _ = log_layout.BUI_HEADER.unpack_from(head)
        sb = self._superblock
        for index in range(min(count, 16)):
            owner, block, offset, length, flags = log_layout.BUI_EXTENT.unpack_from(
                head, log_layout.BUI_HEADER.size + index * log_layout.BUI_EXTENT.size
            )
            if flags & log_layout.BUI_ATTRIBUTES:
                continue
            kind = flags & log_layout.BUI_TYPE
            if kind not in (log_layout.BUI_MAP, log_layout.BUI_UNMAP):
                raise DamagedError(f"type {kind}", where=self._volume.where)
            if flags & log_layout.BUI_REALTIME:
                raise DamagedError("a realtime file", where=self._volume.where)
            mapped = kind == log_layout.BUI_MAP and not flags & log_layout.BUI_UNWRITTEN
            physical = sb.block_offset(block) if mapped else -1
            if mapped:
                sb.block_offset(block + length - 1)
            self._volume.remaps.setdefault(owner, []).append(
                Remap(offset << sb.block_log, length << sb.block_log, physical)
            )


def _is_read(flags: int) -> bool:
    """Whether a buffer holds what this reader reads."""
    if flags & (log_layout.BUFFER_INODES | log_layout.BUFFER_DQUOTS):
        return False
    return flags >> log_layout.BUFFER_TYPE_SHIFT not in log_layout.TYPES_NOT_READ


def _inode_place(head: bytes) -> tuple[int, int, int, int, int] | None:
    """Number, buffer's address and length in basic blocks, offset in it, fields; None if cut."""
    if len(head) == log_layout.INODE_ITEM_PACKED.size:
        _, _, fields, _, _, number, address, length, offset = log_layout.INODE_ITEM_PACKED.unpack(
            head
        )
    elif len(head) == log_layout.INODE_ITEM.size:
        _, _, fields, _, _, _, number, address, length, offset = log_layout.INODE_ITEM.unpack(head)
    else:
        return None
    return number, address, length, offset, fields


def _intent(head: bytes) -> int:
    """The number that an intent and its done share."""
    return int(log_layout.INTENT_ID.unpack_from(head)[0])


def _fresh_inode(superblock: XfsSuperblock, number: int, generation: int) -> bytes:
    """A free inode of a new chunk; only version 5 logs make chunks in this way."""
    inode = bytearray(superblock.inode_size)
    struct.pack_into(">HHBB", inode, 0, layout.INODE_MAGIC, 0, 3, 0)
    struct.pack_into(">II", inode, 92, generation, 0xFFFFFFFF)
    struct.pack_into(">Q16s", inode, layout.DI_INO, number, superblock.meta_uuid)
    return bytes(inode)


def recover(volume: XfsVolume, log: XfsLog, ends: Ends) -> tuple[BlockSource, set[int], bool]:
    """Replay the log: the source to read from, its replaced basic blocks, whether all went well.

    Raises FormatError or SourceError where nothing of the log can be replayed.
    """
    recovery = XfsRecovery(volume.source, volume.superblock, volume)
    try:
        complete = recovery.run(log, ends)
    except (FormatError, SourceError):
        volume.remaps.clear()
        volume.adopted.clear()
        raise
    source, replaced = recovery.overlay()
    return source, replaced, complete
