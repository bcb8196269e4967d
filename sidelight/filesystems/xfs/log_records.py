"""The log as a ring of records: its head, its tail, and whether it was left clean.

After the kernel's rules: the head is where the cycle number drops; records that may have been in
flight together (eight) can be torn or out of order, so the last ones are checked by CRC, and the
first bad one among them is the head. A tail that such writes have overrun moves forward likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.errors import DamagedError, UnsupportedError
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.xfs import log_layout as layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.xfs.superblock import Superblock

BLOCK = layout.BASIC_BLOCK
# Blocks that eight records of the largest size may have in flight, and those of one record.
IN_FLIGHT = layout.MAX_BUFFERS * layout.MAX_RECORD // BLOCK
ONE_RECORD = layout.MAX_RECORD // BLOCK
# The largest log that mkfs makes has 2 GiB.
MAX_BLOCKS = 1 << 22
# The active part of a log up to this size is kept in memory between the two passes of recovery.
KEEP = 128 << 20


class Record(NamedTuple):
    """One record: `data` with its cycle words put back, `lsn` as cycle << 32 | block."""

    block: int
    lsn: int
    tail: int  # block of the tail when it was written
    operations: int
    blocks: int  # in all, with its headers
    buffer_blocks: int  # of the in-core buffer that it was written from
    data: bytes


class TornError(DamagedError):
    """A record that is not whole; `block` is where it begins."""

    def __init__(self, what: str, *, where: str, block: int) -> None:
        super().__init__(what, where=f"{where}: log block {block}")
        self.block = block


@dataclass(slots=True)
class Ends:
    """What recovery has to go through: blocks from `tail` to `head`."""

    head: int
    tail: int
    clean: bool


class Log:
    """The internal log of a filesystem. Block numbers are basic blocks from its start."""

    def __init__(self, source: BlockSource, superblock: Superblock, where: str) -> None:
        """Raises DamagedError where the superblock's log cannot be."""
        self._source = source
        self._where = where
        self._uuids = (superblock.uuid, superblock.meta_uuid)
        self._strict = superblock.v5
        self.blocks = superblock.log_blocks << superblock.block_log >> 9
        self._start = superblock.block_offset(superblock.log_start)
        self._hint = superblock.log_hint
        if not 8 <= self.blocks <= MAX_BLOCKS:
            raise DamagedError("a log of impossible size", where=where)
        self._kept: dict[tuple[int, int], list[Record]] = {}

    def find_ends(self) -> Ends:
        """Head and tail. Raises DamagedError where the log makes no sense."""
        head = self._find_head()
        if head == 0 and self._cycle(0) == 0:
            return Ends(0, 0, clean=True)
        record = self._last_header(head, head)
        if record is None:
            raise DamagedError("no record in the log", where=self._where)
        ends = self._ends_at(head, record)
        return ends if ends.clean else self._verify_head(ends)

    def records(self, ends: Ends) -> Iterator[Record]:
        """Records from tail to head, each verified. Raises TornError."""
        key = ends.tail, ends.head
        if key not in self._kept:
            count = (ends.head - ends.tail) % self.blocks
            self._prefetch(ends.tail, count)
            if count * BLOCK > KEEP:
                yield from self._walk(ends.tail, ends.head)
                return
            self._kept[key] = list(self._walk(ends.tail, ends.head))
        yield from self._kept[key]

    # Finding the head -------------------------------------------------------------------------

    def _find_head(self) -> int:
        total = self.blocks
        near = min(self._hint, total - 1)
        self._source.prefetch(
            (self._start + block * BLOCK, BLOCK) for block in (0, near, total - 1)
        )
        first, last = self._cycle(0), self._cycle(total - 1)
        if first == 0:
            return 0
        if last == 0:
            head = self._search(0, total - 1, 0)
            if self._unmounted_at(head):
                return head
            scan = min(head, IN_FLIGHT)
            head = self._first_of_cycle(head - scan, scan, 0, head)
            return self._whole_records(head, head - min(head, IN_FLIGHT))
        if first == last:
            head, stop = total, last - 1
        else:
            head, stop = self._search(0, total - 1, last), last
        if self._unmounted_at(head):
            return head % total
        scan = min(total, IN_FLIGHT)
        if head >= scan:
            head = self._first_of_cycle(head - scan, scan, stop, head)
        else:
            # The blocks in flight reach back over the end of the ring.
            ahead = scan - head
            hole = self._first_of_cycle(total - ahead, ahead, stop - 1, -1)
            head = hole if hole >= 0 else self._first_of_cycle(0, head, stop, head)
        return self._whole_records(head, max(0, head - ONE_RECORD)) % total

    def _search(self, low: int, high: int, cycle: int) -> int:
        """The first block of `cycle`, which the upper end has and the lower has not.

        Near where the superblock says that the log stood, mostly: looked for from there on, in
        steps that double, it takes fewer calls than halving alone.
        """
        if low < self._hint < high:
            if self._cycle(self._hint) == cycle:
                high = self._hint
            else:
                low, step = self._hint, ONE_RECORD
                while low + step < high:
                    if self._cycle(low + step) == cycle:
                        high = low + step
                    else:
                        low, step = low + step, step * 2
        while high - low > 1:
            middle = (low + high) // 2
            if self._cycle(middle) == cycle:
                high = middle
            else:
                low = middle
        return high

    def _unmounted_at(self, head: int) -> bool:
        """Whether an unmount record ends here: then nothing was in flight, far to look for."""
        if head < 2:
            return False
        start = max(0, head - ONE_RECORD)
        found = np.flatnonzero(self._words(start, head - start)[:, 0] == layout.HEADER_MAGIC)
        return bool(len(found)) and self._is_unmount(start + int(found[-1]), head)

    def _first_of_cycle(self, start: int, count: int, cycle: int, default: int) -> int:
        """The first block in a range that has this cycle: a hole that a write left."""
        if count <= 0:
            return default
        found = np.flatnonzero(self._cycles(start, count) == cycle % (1 << 32))
        return start + int(found[0]) if len(found) else default

    def _whole_records(self, head: int, start: int) -> int:
        """Move the head back to the start of a record that it would cut."""
        magics = self._words(start, head - start)[:, 0] == layout.HEADER_MAGIC
        found = np.flatnonzero(magics)
        if len(found):
            block = start + int(found[-1])
            return head if head - block == self._length(block) else block
        if start > 0:
            raise DamagedError("no record before the head of the log", where=self._where)
        begin = self.blocks - (ONE_RECORD - head)
        magics = self._words(begin, self.blocks - begin)[:, 0] == layout.HEADER_MAGIC
        found = np.flatnonzero(magics)
        if not len(found):
            raise DamagedError("no record before the head of the log", where=self._where)
        block = begin + int(found[-1])
        return head if self.blocks - block + head == self._length(block) else block

    # The last records -------------------------------------------------------------------------

    def _ends_at(self, head: int, block: int) -> Ends:
        """Head and tail by the last record's own word."""
        if self._is_unmount(block, head):
            return Ends(head, head, clean=True)
        header = self._header(block)
        return Ends(head, self._tail_of(header), clean=False)

    def _tail_of(self, header: bytes) -> int:
        tail = layout.RECORD.unpack_from(header)[5] & 0xFFFFFFFF
        if tail >= self.blocks:
            raise DamagedError("the log's tail lies outside of it", where=self._where)
        return int(tail)

    def _is_unmount(self, block: int, head: int) -> bool:
        """Whether the record here is an unmount record that ends at the head."""
        header = self._header(block)
        operations = layout.RECORD.unpack_from(header)[7]
        headers = self._headers(header)
        if operations != 1 or (block + self._length(block) - head) % self.blocks:
            return False
        data = self._read(block + headers, 1)
        return bool(data[9] & layout.OP_UNMOUNT)

    def _verify_head(self, ends: Ends) -> Ends:
        """Check the records that may have been in flight, then the tail."""
        start = self._last_header(ends.head, ends.tail, layout.MAX_BUFFERS)
        if start is None:
            raise DamagedError("no record between the log's tail and head", where=self._where)
        try:
            for _ in self._walk(start, ends.head):
                pass
        except TornError as torn:
            block = self._last_header(torn.block, ends.tail)
            if block is None:
                raise
            ends = self._ends_at(torn.block, block)
            if ends.clean or ends.head == ends.tail:
                return ends
        return self._verify_tail(ends)

    def _verify_tail(self, ends: Ends) -> Ends:
        """Move the tail over records that the head has begun to overwrite."""
        tail = self._next_header(ends.tail, ends.head)
        for _ in range(IN_FLIGHT // 2):
            found = Ends(ends.head, tail, clean=False)
            try:
                for record in self.records(found):
                    del record
            except TornError as torn:
                gap = (torn.block - ends.head) % self.blocks
                if gap > layout.MAX_BUFFERS * self._buffer_blocks(ends):
                    raise
                tail = self._next_header((torn.block + 1) % self.blocks, ends.head)
                continue
            return found
        raise DamagedError("the log's tail cannot be found", where=self._where)

    def _buffer_blocks(self, ends: Ends) -> int:
        block = self._last_header(ends.head, ends.tail)
        header = self._header(block if block is not None else ends.tail)
        size = int.from_bytes(header[layout.RECORD_SIZE : layout.RECORD_SIZE + 4], "big")
        return min(size, layout.MAX_RECORD) // BLOCK

    def _last_header(self, head: int, tail: int, count: int = 1) -> int | None:
        """The `count`th header (or the farthest there is) going back from the head to the tail."""
        pieces = [(tail if head > tail else 0, head)]
        if tail >= head:
            pieces.append((tail, self.blocks))
        found = None
        for low, high in pieces:
            for block in self._magics(low, high, back=True):
                found = block
                count -= 1
                if not count:
                    return found
        return found

    def _next_header(self, start: int, head: int) -> int:
        """The first header from here to the head."""
        pieces = [(start, head)] if start <= head else [(start, self.blocks), (0, head)]
        for low, high in pieces:
            for block in self._magics(low, high, back=False):
                return block
        raise DamagedError("no record between the log's tail and head", where=self._where)

    def _magics(self, low: int, high: int, *, back: bool) -> Iterator[int]:
        """Blocks of a range that begin a record, forwards or backwards."""
        starts = range(low, high, ONE_RECORD)
        for start in reversed(starts) if back else starts:
            words = self._words(start, min(ONE_RECORD, high - start))[:, 0]
            blocks = (np.flatnonzero(words == layout.HEADER_MAGIC) + start).tolist()
            yield from reversed(blocks) if back else blocks

    # Records ----------------------------------------------------------------------------------

    def _walk(self, start: int, head: int) -> Iterator[Record]:
        left = (head - start) % self.blocks
        block = start
        while left > 0:
            record = self._record(block)
            if record.blocks > left:
                raise self._torn(block, "a record reaches past the head")
            yield record
            left -= record.blocks
            block = (block + record.blocks) % self.blocks

    def _record(self, block: int) -> Record:
        """Read, verify and unpack the record that begins here. Raises TornError."""
        header = self._header(block)
        magic, _, version, length, lsn, _, _, operations = layout.RECORD.unpack_from(header)
        if magic != layout.HEADER_MAGIC or version not in (1, 2):
            raise self._torn(block, "no record here")
        if not 0 < length <= layout.MAX_RECORD or length % 4:
            raise self._torn(block, f"a record of impossible length {length}")
        headers = self._headers(header)
        count = (length + BLOCK - 1) // BLOCK
        if count > headers * 64 or headers + count >= self.blocks:
            raise self._torn(block, f"a record of impossible length {length}")
        heads = self._read(block, headers)
        data = self._read(block + headers, count)[:length]
        stored = heads[layout.RECORD_CRC : layout.RECORD_CRC + 4]
        if (stored != bytes(4) or self._strict) and not _checksum_ok(heads, data, length, stored):
            raise self._torn(block, "bad checksum of a record")
        uuid = header[layout.RECORD_UUID : layout.RECORD_UUID + 16]
        if uuid not in self._uuids and uuid != bytes(16):
            raise self._torn(block, "a record of another filesystem")
        order = int.from_bytes(header[layout.RECORD_FORMAT : layout.RECORD_FORMAT + 4], "big")
        if order != layout.FORMAT_LINUX_LE:
            raise UnsupportedError("a log that a big-endian machine wrote", where=self._where)
        size = int.from_bytes(header[layout.RECORD_SIZE : layout.RECORD_SIZE + 4], "big")
        return Record(
            block,
            lsn,
            self._tail_of(header),
            operations,
            headers + count,
            size // BLOCK,
            _unpack(heads, data),
        )

    def _torn(self, block: int, what: str) -> TornError:
        return TornError(what, where=self._where, block=block)

    def _headers(self, header: bytes) -> int:
        """How many header blocks a record has."""
        version = layout.RECORD.unpack_from(header)[2]
        size = int.from_bytes(header[layout.RECORD_SIZE : layout.RECORD_SIZE + 4], "big")
        if version & layout.VERSION_2 and size > layout.CYCLE_SPAN:
            return min((size + layout.CYCLE_SPAN - 1) // layout.CYCLE_SPAN, 8)
        return 1

    def _length(self, block: int) -> int:
        """Blocks of the record here, by its header."""
        header = self._header(block)
        length = layout.RECORD.unpack_from(header)[3]
        return self._headers(header) + int(length + BLOCK - 1) // BLOCK

    # Blocks -----------------------------------------------------------------------------------

    def _read(self, block: int, count: int) -> bytes:
        """Blocks of the ring; they may wrap."""
        block %= self.blocks
        ahead = min(count, self.blocks - block)
        data = self._source.read_at(self._start + block * BLOCK, ahead * BLOCK)
        if ahead < count:
            data += self._source.read_at(self._start, (count - ahead) * BLOCK)
        return data

    def _prefetch(self, block: int, count: int) -> None:
        ahead = min(count, self.blocks - block)
        ranges = [(self._start + block * BLOCK, ahead * BLOCK)]
        if ahead < count:
            ranges.append((self._start, (count - ahead) * BLOCK))
        self._source.prefetch(ranges)

    def _header(self, block: int) -> bytes:
        return self._read(block, 1)

    def _words(self, start: int, count: int) -> npt.NDArray[np.uint32]:
        """The first two words of blocks, shape (count, 2)."""
        words = np.frombuffer(self._read(start, count), ">u4").reshape(-1, BLOCK // 4)
        return words[:, :2].astype(np.uint32)

    def _cycles(self, start: int, count: int) -> npt.NDArray[np.uint32]:
        """Cycle numbers: the first word, or in a header the second."""
        words = self._words(start, count)
        cycles: npt.NDArray[np.uint32] = np.where(
            words[:, 0] == layout.HEADER_MAGIC, words[:, 1], words[:, 0]
        )
        return cycles

    def _cycle(self, block: int) -> int:
        return int(self._cycles(block, 1)[0])


def _checksum_ok(heads: bytes, data: bytes, length: int, stored: bytes) -> bool:
    """Of the header, of the further headers' cycle words that hold data's, and of the data."""
    further = (length + layout.CYCLE_SPAN - 1) // layout.CYCLE_SPAN
    rest = b"".join(
        heads[index * BLOCK : index * BLOCK + layout.EXTENDED_CRC_LENGTH]
        for index in range(1, min(further, len(heads) // BLOCK))
    )
    expected = int.from_bytes(stored, "little")
    for covered in layout.RECORD_CRC_LENGTHS:
        first = bytearray(heads[:covered])
        first[layout.RECORD_CRC : layout.RECORD_CRC + 4] = bytes(4)
        if crc32c(data, crc32c(rest, crc32c(bytes(first)))) ^ 0xFFFFFFFF == expected:
            return True
    return False


def _unpack(heads: bytes, data: bytes) -> bytes:
    """Put back the words that the cycle numbers displaced at the start of each block."""
    count = (len(data) + BLOCK - 1) // BLOCK
    words = bytearray(data)
    for block in range(count):
        head, index = divmod(block, layout.CYCLE_SPAN // BLOCK)
        at = head * BLOCK + 4 * index + (layout.RECORD_CYCLES if head == 0 else 4)
        words[block * BLOCK : block * BLOCK + 4] = heads[at : at + 4]
    return bytes(words)
