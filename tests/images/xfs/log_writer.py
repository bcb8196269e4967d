"""Logs written by hand: what no kernel writes on demand (torn records, unfinished intents)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from sidelight.filesystems.crc32c import crc32c

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.images.xfs.fixtures import SparseImage

BLOCK = 512
START, COMMIT, UNMOUNT = 0x01, 0x02, 0x20

Operation = tuple[int, int, bytes]  # transaction, flags, bytes


class LogWriter:
    """Puts records into the log of an image that is otherwise left as it is."""

    def __init__(self, image: SparseImage, start: int, cycle: int = 7) -> None:
        """The ring is full of the cycle before; records begin at block `start`."""
        superblock = image.read_at(0, 512)
        (self.log_start,) = struct.unpack_from(">Q", superblock, 48)
        (log_blocks,) = struct.unpack_from(">I", superblock, 96)
        (group_blocks,) = struct.unpack_from(">I", superblock, 84)
        (block_size,) = struct.unpack_from(">I", superblock, 4)
        self.uuid = superblock[32:48]
        group = self.log_start >> superblock[124]
        block = self.log_start & ((1 << superblock[124]) - 1)
        self.offset = (group * group_blocks + block) * block_size
        self.blocks = log_blocks * block_size // BLOCK
        self.image = image
        self.ring = [struct.pack(">I", cycle - 1) + bytes(508) for _ in range(self.blocks)]
        for index in range(start):
            self.ring[index] = struct.pack(">I", cycle) + bytes(508)
        self.at = start
        self.cycle = cycle
        self.tail = (cycle << 32) | start
        # A record before, so that the head is never in nothing.
        self.record([(1, UNMOUNT, struct.pack("<HHI", 0x556E, 0, 0))])
        self.tail = self.lsn

    @property
    def lsn(self) -> int:
        """Of the next record."""
        return (self.cycle << 32) | self.at

    def record(self, operations: Sequence[Operation], *, torn: bool = False) -> int:
        """Append a record; its LSN. A torn one has a checksum that its data do not meet."""
        data = b"".join(
            struct.pack(">IIBBH", ident, len(content), 0x69, flags, 0) + content
            for ident, flags, content in operations
        )
        data += bytes(-len(data) % BLOCK)
        lsn = self.lsn
        cycles = b""
        blocks = []
        for index in range(0, len(data), BLOCK):
            place = self.at + 1 + index // BLOCK
            cycle = self.cycle + (1 if place >= self.blocks else 0)
            cycles += data[index : index + 4]
            blocks.append(struct.pack(">I", cycle) + data[index + 4 : index + BLOCK])
        header = bytearray(BLOCK)
        struct.pack_into(
            ">IIIIQQIII", header, 0,
            0xFEEDBABE, self.cycle, 2, len(data), lsn, self.tail, 0, 0xFFFFFFFF, len(operations),
        )  # fmt: skip
        header[44 : 44 + len(cycles)] = cycles
        struct.pack_into(">I16sI", header, 300, 1, self.uuid, 32768)
        stored = b"".join(blocks)
        register = crc32c(stored, crc32c(bytes(header[:328]))) ^ 0xFFFFFFFF
        struct.pack_into("<I", header, 32, register ^ torn)
        for block in (bytes(header), *blocks):
            self.ring[self.at] = block
            self.at += 1
            if self.at == self.blocks:
                self.at, self.cycle = 0, self.cycle + 1
        return lsn

    def transaction(self, items: Iterable[Sequence[bytes]], *, torn: bool = False) -> int:
        """A record with one committed transaction of these items, each a list of regions."""
        ident = 0x1000 + self.at
        operations = [(ident, START, b""), (ident, 0, struct.pack("<4sIII", b"NART", 1, 1, 1))]
        operations += [(ident, 0, region) for item in items for region in item]
        operations.append((ident, COMMIT, b""))
        return self.record(operations, torn=torn)

    def finish(self) -> SparseImage:
        """The image with this log."""
        return self.image.changed(self.offset, b"".join(self.ring))


def buffer_item(address: int, data: bytes, kind: int, *, length: int = 0) -> list[bytes]:
    """A whole buffer, logged; `address` in basic blocks, `kind` its type."""
    chunks = len(data) // 128
    words = (chunks + 31) // 32
    bits = ((1 << chunks) - 1).to_bytes(words * 4, "little")
    size = length or len(data) // BLOCK
    head = struct.pack("<HHHHqI", 0x123C, 2, kind << 11, size, address, words)
    return [head + bits, data]


def cancel_item(address: int, length: int) -> list[bytes]:
    """A buffer given up; `length` in basic blocks."""
    return [struct.pack("<HHHHqI", 0x123C, 1, 0x02, length, address, 1) + bytes(4)]


def inode_item(number: int, place: int, core: bytes, fork: bytes, fields: int) -> list[bytes]:
    """An inode at byte `place`: its core as on disk (turned to the log's order here), its fork."""
    regions = 3 if fork else 2
    head = struct.pack(
        "<HHIHHIQ16xqii", 0x123B, regions, fields, 0, len(fork), 0, number,
        place // 512 // 8 * 8, 8, place % 4096,
    )  # fmt: skip
    return [head, turned(core), *([fork] if fork else [])]


_WIDTHS = "HHBBHIIIHH8s" + "II" * 3 + "QQIIHBBIHHII"
_WIDTHS_V3 = "4sQQQI12sIIQ16s"


def turned(core: bytes) -> bytes:
    """A core in little-endian order; times as two words each (no big timestamps)."""
    widths = _WIDTHS + (_WIDTHS_V3 if core[4] == 3 else "")
    big_times = core[4] == 3 and core[127] & 8
    if big_times:
        widths = widths.replace("II" * 3, "QQQ").replace("12sII", "12sQ")
    length = 176 if core[4] == 3 else 100
    return struct.pack("<" + widths, *struct.unpack(">" + widths, core[:length]))


def intent_item(kind: int, ident: int, extents: Iterable[tuple[int, int, int, int, int]]) -> bytes:
    """A BUI (0x1244): owner, block, offset, length, flags of each extent."""
    listed = [struct.pack("<QQQII", *extent) for extent in extents]
    return struct.pack("<HHIQ", kind, 1, len(listed), ident) + b"".join(listed)
