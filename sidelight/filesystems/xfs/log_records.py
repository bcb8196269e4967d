"""The log as a ring of blocks, and the records in it, each verified.

A record's blocks begin with the number of the log's cycle, so that a torn write shows; the words
that those displaced are put back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.errors import DamagedError, UnsupportedError
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.xfs import log_layout as layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.xfs.superblock import XfsSuperblock

BLOCK = layout.BASIC_BLOCK
# Blocks of a record of the largest size.
ONE_RECORD = layout.MAX_RECORD // BLOCK
# The largest log that mkfs makes has 2 GiB.
MAX_BLOCKS = 1 << 22


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


class Ring:
    """The internal log of a filesystem. Block numbers are basic blocks from its start."""

    def __init__(self, source: BlockSource, superblock: XfsSuperblock, where: str) -> None:
        """Raises DamagedError where the superblock's log cannot be."""
        self._source = source
        self.where = where
        self._uuids = (superblock.uuid, superblock.meta_uuid)
        self._strict = superblock.v5
        self.blocks = superblock.log_blocks << superblock.block_log >> 9
        self._start = superblock.block_offset(superblock.log_start)
        if not 8 <= self.blocks <= MAX_BLOCKS:
            raise DamagedError("a log of impossible size", where=where)

    def walk(self, start: int, head: int) -> Iterator[Record]:
        """The records from block `start` to `head`. Raises TornError."""
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
        header = self.header(block)
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
            raise UnsupportedError("a log that a big-endian machine wrote", where=self.where)
        size = int.from_bytes(header[layout.RECORD_SIZE : layout.RECORD_SIZE + 4], "big")
        return Record(
            block,
            lsn,
            self.tail_of(header),
            operations,
            headers + count,
            size // BLOCK,
            _unpack(heads, data),
        )

    def _torn(self, block: int, what: str) -> TornError:
        return TornError(what, where=self.where, block=block)

    def _headers(self, header: bytes) -> int:
        """How many header blocks a record has."""
        version = layout.RECORD.unpack_from(header)[2]
        size = int.from_bytes(header[layout.RECORD_SIZE : layout.RECORD_SIZE + 4], "big")
        if version & layout.VERSION_2 and size > layout.CYCLE_SPAN:
            return min((size + layout.CYCLE_SPAN - 1) // layout.CYCLE_SPAN, 8)
        return 1

    def length(self, block: int) -> int:
        """Blocks of the record here, by its header."""
        header = self.header(block)
        length = layout.RECORD.unpack_from(header)[3]
        return self._headers(header) + int(length + BLOCK - 1) // BLOCK

    def tail_of(self, header: bytes) -> int:
        """The block of the log's tail when this record was written. Raises DamagedError."""
        tail = layout.RECORD.unpack_from(header)[5] & 0xFFFFFFFF
        if tail >= self.blocks:
            raise DamagedError("the log's tail lies outside of it", where=self.where)
        return int(tail)

    def is_unmount(self, block: int, head: int) -> bool:
        """Whether the record here is an unmount record that ends at the head."""
        header = self.header(block)
        operations = layout.RECORD.unpack_from(header)[7]
        headers = self._headers(header)
        if operations != 1 or (block + self.length(block) - head) % self.blocks:
            return False
        data = self._read(block + headers, 1)
        return bool(data[9] & layout.OP_UNMOUNT)

    # Blocks -----------------------------------------------------------------------------------

    def _read(self, block: int, count: int) -> bytes:
        """Blocks of the ring; they may wrap."""
        block %= self.blocks
        ahead = min(count, self.blocks - block)
        data = self._source.read_at(self._start + block * BLOCK, ahead * BLOCK)
        if ahead < count:
            data += self._source.read_at(self._start, (count - ahead) * BLOCK)
        return data

    def prefetch(self, block: int, count: int) -> None:
        """Say that these blocks will be read; they may wrap."""
        ahead = min(count, self.blocks - block)
        ranges = [(self._start + block * BLOCK, ahead * BLOCK)]
        if ahead < count:
            ranges.append((self._start, (count - ahead) * BLOCK))
        self._source.prefetch(ranges)

    def prefetch_each(self, blocks: Iterable[int]) -> None:
        """Say that these single blocks will be read."""
        self._source.prefetch((self._start + block * BLOCK, BLOCK) for block in blocks)

    def header(self, block: int) -> bytes:
        """The block as it is, of a record the first of its headers."""
        return self._read(block, 1)

    def words(self, start: int, count: int) -> npt.NDArray[np.uint32]:
        """The first two words of blocks, shape (count, 2)."""
        words = np.frombuffer(self._read(start, count), ">u4").reshape(-1, BLOCK // 4)
        return words[:, :2].astype(np.uint32)

    def cycles(self, start: int, count: int) -> npt.NDArray[np.uint32]:
        """Cycle numbers: the first word, or in a header the second."""
        words = self.words(start, count)
        cycles: npt.NDArray[np.uint32] = np.where(
            words[:, 0] == layout.HEADER_MAGIC, words[:, 1], words[:, 0]
        )
        return cycles

    def cycle(self, block: int) -> int:
        """The cycle number of one block."""
        return int(self.cycles(block, 1)[0])

    def magics(self, low: int, high: int, *, back: bool) -> Iterator[int]:
        """Blocks of a range that begin a record, forwards or backwards."""
        starts = range(low, high, ONE_RECORD)
        for start in reversed(starts) if back else starts:
            words = self.words(start, min(ONE_RECORD, high - start))[:, 0]
            blocks = (np.flatnonzero(words == layout.HEADER_MAGIC) + start).tolist()
            yield from reversed(blocks) if back else blocks


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
