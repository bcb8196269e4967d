"""Mutated structures of ext2, ext3 and ext4, fed to their decoders without an image around them.

Superblocks, group descriptors, inodes and all that their 60 bytes may be, extent trees, block maps,
directory blocks with hash trees, inline data. Checksums are made right again, or switched off, on
most, or nothing behind them would be reached.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fuzz.choices import Blocks, check_names, cut, scramble
from sidelight.errors import SidelightError
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.ext import layout
from sidelight.filesystems.ext.directories import Directories
from sidelight.filesystems.ext.dirents import DirentArea, decode_area, decode_blocks
from sidelight.filesystems.ext.inline import inline_contents
from sidelight.filesystems.ext.inodes import InodeRecord, Inodes
from sidelight.filesystems.ext.mapping import Mapper
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.ext.superblock import ExtSuperblock, find_superblock
from sidelight.filesystems.ext.volume import ExtVolume
from tests.images.ext import tiny

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from sidelight.filesystems.ext.mapping import BlockMapping

BLOCK = 1024
NAMES = ("tiny-ext2", "tiny-ext4", "tiny-inline")
MODES = (0x81A4, 0x81A4, 0x41ED, 0x41ED, 0xA1FF, 0x21B6, 0x1180, 0)


class Base(NamedTuple):
    """A committed image, its inodes and its directory blocks."""

    name: str
    size: int
    blocks: dict[int, bytes]
    superblock: ExtSuperblock
    rows: dict[int, bytes]  # number -> inode
    listings: list[bytes]  # directory blocks
    table: int  # block of the inode table


def base(name: str) -> Base:
    """Look through an image."""
    data = tiny.load(name)
    blocks = cut(data, BLOCK)
    source = Blocks(name, len(data), BLOCK, blocks)
    superblock = find_superblock(source, name)[0]
    volume = ExtVolume(source, superblock, name, [])
    table = int(volume.inode_tables(np.array([0]))[0])
    size = superblock.inode_size
    rows = {
        number: row
        for number in range(1, superblock.inodes + 1)
        if any(row := source.read_at(table * BLOCK + (number - 1) * size, size))
    }
    inodes = Inodes(volume)
    nodes = [node for node in inodes.nodes(rows).values() if node.kind == 2]
    nodes = [node for node in nodes if not node.flags & layout.FLAG_INLINE_DATA]
    runs = [run for mapping in Mapper(volume).map(nodes) for run in mapping.runs]
    places = [physical + n for _, physical, count in runs for n in range(count)]
    listings = [source.read_at(place * BLOCK, BLOCK) for place in places]
    return Base(name, len(data), blocks, superblock, rows, listings, table)


def fix_superblock(raw: bytes) -> bytes:
    """With its right checksum."""
    at = layout.CHECKSUM_OFFSET
    return raw[:at] + crc32c(raw[:at]).to_bytes(4, "little") + raw[at + 4 :]


class Targets:
    """Each target makes a number of mutated structures, decodes them, and returns that number."""

    def __init__(self) -> None:
        self.bases = [base(name) for name in NAMES]
        self.all: dict[str, Callable[[random.Random], int]] = {
            "ext-superblocks": self.superblocks,
            "ext-descriptors": self.descriptors,
            "ext-inodes": self.inodes,
            "ext-extents": self.extents,
            "ext-trees": self.trees,
            "ext-maps": self.maps,
            "ext-entries": self.entries,
            "ext-lockstep": self.lockstep,
            "ext-directories": self.directories,
            "ext-inline": self.inline,
        }

    def _volume(self, chance: random.Random, one: Base, blocks: dict[int, bytes]) -> ExtVolume:
        """A volume of these blocks; its checksums count now and then."""
        superblock = one.superblock
        if chance.random() < 0.8:
            off = layout.RO_COMPAT_METADATA_CSUM | layout.RO_COMPAT_GDT_CSUM
            superblock = replace(superblock, ro_compat=superblock.ro_compat & ~off)
        return ExtVolume(Blocks(one.name, one.size, BLOCK, blocks), superblock, one.name, [])

    def superblocks(self, chance: random.Random) -> int:
        """The geometry, and now and then all that it leads to."""
        one = chance.choice(self.bases)
        raw = scramble(chance, one.blocks[1])
        raw = fix_superblock(raw) if chance.random() < 0.9 else raw
        blocks = {1: raw} if chance.random() < 0.9 else one.blocks | {1: raw}
        source = Blocks("superblock", one.size, BLOCK, blocks)
        with suppress(SidelightError):
            find_superblock(source, "superblock")
            if len(blocks) > 1:
                check_names(ExtFilesystem(source).directories([2]))
        return 1

    def descriptors(self, chance: random.Random) -> int:
        """Group descriptors of all sizes, kinds of checksums and places."""
        one = chance.choice(self.bases)
        wide = chance.random() < 0.5
        size = chance.choice((64, 64, 128, 1024)) if wide else 32
        groups = chance.randrange(1, 33)
        most = chance.choice((1 << 10, 1 << 16, 1 << 40))
        features = chance.choice((0, layout.INCOMPAT_META_BG)) | (0x80 if wide else 0)
        superblock = replace(
            one.superblock,
            blocks=most if most == 1 << 10 else groups * 8192,
            inodes=groups * 64,
            blocks_per_group=8192 if most > 1 << 10 else max(1 << 10 // groups, 33),
            descriptor_size=size,
            incompat=one.superblock.incompat & ~0x90 | features,
            ro_compat=chance.choice((0, 1, layout.RO_COMPAT_GDT_CSUM | 1, 0x400, 0x401)),
            first_meta_group=chance.randrange(3),
        )
        raw = scramble(chance, one.blocks[2], 12) if chance.random() < 0.7 else chance.randbytes(96)
        blocks = dict.fromkeys((2, 3, 8194, 8195, chance.randrange(1, 9000)), (raw * 32)[:BLOCK])
        source = Blocks("groups", 9000 * BLOCK, BLOCK, blocks)
        volume = ExtVolume(source, superblock, "groups", [])
        # A group past the last is asked for nowhere: inodes are counted first.
        tables = volume.inode_tables(np.arange(min(groups, superblock.groups), dtype=np.int64))
        if ((tables < 0) | (tables >= max(superblock.blocks, 1))).any():
            raise AssertionError(f"a table outside: {tables}")
        return len(tables)

    def _row(self, chance: random.Random, one: Base) -> bytes:
        row = chance.choice(list(one.rows.values()))
        if chance.random() < 0.3:
            row = struct.pack("<H", chance.choice(MODES)) + row[2:]
        return scramble(chance, row) if chance.random() < 0.9 else row

    def inodes(self, chance: random.Random) -> int:
        """Inodes as the tables hold them, and all that can be done with each."""
        one = chance.choice(self.bases)
        size = one.superblock.inode_size
        rows = [self._row(chance, one) for _ in range(chance.choice((4, 8, 32)))]
        blocks = dict(one.blocks)
        raw = b"".join(rows)
        raw += bytes(-len(raw) % BLOCK)
        for at in range(0, len(raw), BLOCK):
            blocks[one.table + at // BLOCK] = raw[at : at + BLOCK]
        volume = self._volume(chance, one, blocks)
        inodes = Inodes(volume)
        numbers = range(1, len(raw) // size + 1)
        inodes.inodes(numbers)
        nodes = inodes.nodes(numbers)
        directories = Directories(volume, inodes, Mapper(volume))
        check_names(directories.read(nodes))
        self._read_all(volume, list(nodes))
        return len(rows)

    @staticmethod
    def _read_all(volume: ExtVolume, numbers: list[int]) -> None:
        """By way of the reader, without a look at the journal."""
        reader = ExtFilesystem.__new__(ExtFilesystem)
        reader.problems = volume.problems
        reader._open(volume)  # noqa: SLF001 - the volume stands for what opening would find
        for _, data in reader.contents(numbers, 1 << 16):
            if not isinstance(data, bytes | SidelightError):
                raise TypeError(repr(data))
        for number in numbers:
            with suppress(SidelightError):
                reader.readlink(number)
            with suppress(SidelightError):
                reader.read(number, 1000, 3000)

    @staticmethod
    def _node(number: int, area: bytes, size: int, flags: int) -> InodeRecord:
        raw = bytes(layout.INODE_BLOCK) + area.ljust(60, b"\0")[:60] + bytes(156)
        return InodeRecord(number, 0x81A4, size, flags, 0, raw)

    def _extent_block(self, chance: random.Random, room: int, children: list[int]) -> bytes:
        """A node or a leaf of an extent tree with `room` bytes."""
        most = (room - 12) // 12
        depth = chance.choice((0, 0, 1, 1, 2, 5))
        count = chance.randrange(min(most, 6) + 1)
        logical, body = 0, b""
        for _ in range(count):
            if depth:
                child = chance.choice(children)
                body += struct.pack("<IIHH", logical, child, 0, 0)
                logical += chance.randrange(1, 4)
            else:
                logical += chance.randrange(3)
                length = chance.choice((1, 1, 2, 5, 32768, 32769, 32770))
                body += struct.pack("<IHHI", logical, length, 0, chance.randrange(1, 1024))
                logical += length & 0x7FFF
        block = struct.pack("<HHHHI", 0xF30A, count, most, depth, 0) + body
        return block.ljust(room, b"\0")

    def extents(self, chance: random.Random) -> int:
        """One root in an inode."""
        one = self.bases[1]
        area = self._extent_block(chance, 60, [1 + chance.randrange(20)])
        area = scramble(chance, area, 3) if chance.random() < 0.7 else area
        size = chance.choice((0, 1, 1 << 10, 50 << 10, 1 << 20, 1 << 40, (1 << 64) - 1))
        node = self._node(12, area, size, layout.FLAG_EXTENTS)
        volume = ExtVolume(Blocks("root", one.size, BLOCK, {}), one.superblock, "root", [])
        check_mappings(volume, Mapper(volume).map([node]))
        return 1

    def trees(self, chance: random.Random) -> int:
        """Extent trees of several files that share blocks."""
        one = self.bases[1]
        places = [10 + n for n in range(chance.randrange(1, 9))]
        blocks = {}
        for place in places:
            block = self._extent_block(chance, BLOCK - 4, places)
            block = scramble(chance, block, 2) if chance.random() < 0.4 else block
            seed = crc32c(struct.pack("<II", 12, 0), one.superblock.checksum_seed)
            most = int.from_bytes(block[4:6], "little")
            tail = min(12 + most * 12, BLOCK - 4)
            block = block[:tail] + crc32c(block[:tail], seed).to_bytes(4, "little") + block[tail:]
            blocks[place] = block[:BLOCK].ljust(BLOCK, b"\0")
        volume = self._volume(chance, one, blocks)
        nodes = []
        for number in range(12, 12 + chance.randrange(1, 4)):
            area = self._extent_block(chance, 60, places)
            if chance.random() < 0.7:
                area = area[:6] + struct.pack("<H", chance.randrange(1, 3)) + area[8:]
            size = chance.choice((1 << 10, 50 << 10, 1 << 20, 1 << 40))
            nodes.append(self._node(number, area, size, layout.FLAG_EXTENTS))
        check_mappings(volume, Mapper(volume).map(nodes))
        return len(places) + len(nodes)

    def maps(self, chance: random.Random) -> int:
        """Block maps: direct, and indirect to the third degree."""
        one = self.bases[0]
        places = [10 + n for n in range(chance.randrange(1, 6))]
        blocks = {}
        for place in places:
            pointers = [0] * chance.randrange(3)
            pointers += [chance.choice(places) for _ in range(chance.randrange(4))]
            first = chance.randrange(1200)
            pointers += range(first, first + chance.randrange(20))
            block = struct.pack(f"<{len(pointers)}I", *pointers)
            block = scramble(chance, block, 3) if block and chance.random() < 0.3 else block
            blocks[place] = block.ljust(BLOCK, b"\0")
        volume = ExtVolume(Blocks("maps", one.size, BLOCK, blocks), one.superblock, "maps", [])
        words = [chance.choice((0, 1, 5, 6, 1023, 1024, *places)) for _ in range(15)]
        area = struct.pack("<15I", *words)
        area = scramble(chance, area, 2) if chance.random() < 0.2 else area
        size = chance.choice((1 << 10, 12 << 10, 13 << 10, 280 << 10, 70 << 20, 1 << 34))
        node = self._node(12, area, size, 0)
        first = chance.randrange(300)
        span = (first, first + chance.randrange(1, 300)) if chance.random() < 0.7 else None
        check_mappings(volume, Mapper(volume).map([node], None if span is None else [span]))
        return len(places) + 1

    def _entry_block(self, chance: random.Random) -> bytes:
        block = chance.choice(chance.choice(self.bases).listings or self.bases[0].listings)
        if chance.random() < 0.3:
            # Aligned words from elsewhere in it: entries in wrong places, lengths that lie.
            words = [block[at : at + 4] for at in range(0, BLOCK, 4)]
            for _ in range(chance.randrange(1, 20)):
                words[chance.randrange(256)] = words[chance.randrange(256)]
            return b"".join(words)
        return scramble(chance, block)

    def entries(self, chance: random.Random) -> int:
        """One directory block in the plain loop."""
        block = self._entry_block(chance)
        begin = chance.choice((0, 0, 0, 4, 24))
        most = chance.choice((64, 1 << 32))
        entries, fault = decode_area(block, DirentArea(begin, BLOCK, most))
        if any(number > most or not number > 0 for _, number, _ in entries) or fault is None:
            raise AssertionError(f"an entry that cannot be: {entries}")
        return 1

    def lockstep(self, chance: random.Random) -> int:
        """Many blocks at once, which must give what the loop gives."""
        blocks = [self._entry_block(chance) for _ in range(16)]
        # Twice, so that there are enough to go in lockstep.
        data = b"".join(blocks * 2)
        most = chance.choice((64, 1 << 32))
        entries, bounds, faults, _ = decode_blocks(data, BLOCK, most)
        for at in range(32):
            loop, fault = decode_area(data, DirentArea(at * BLOCK, (at + 1) * BLOCK, most))
            if loop != entries[bounds[at] : bounds[at + 1]] or fault != faults.get(at, ""):
                raise AssertionError("the two decoders disagree")
        return 16

    def directories(self, chance: random.Random) -> int:
        """Blocks by way of their directory: checksums, hash trees, impossible names."""
        one = self.bases[chance.randrange(2)]
        count = chance.choice((1, 2, 6, 50))
        blocks = {100 + n: self._entry_block(chance) for n in range(count)}
        if chance.random() < 0.5:
            # An index block: an empty entry over all of it, then limit, count, entries.
            head = struct.pack("<IHBB", 0, BLOCK, 0, 0)
            if chance.random() < 0.5:
                head = struct.pack("<IHBB4sIHBB4s8s", 2, 12, 1, 2, b".", 2, BLOCK - 12, 2, 2, b"..",
                                   bytes((0, 0, 0, 0, 1, 8, 0, 0)))  # fmt: skip
            index = head + struct.pack("<HH", chance.choice((123, 126)), chance.randrange(130))
            blocks[100] = scramble(chance, index.ljust(BLOCK, b"\1"), 3)
        area = struct.pack("<HHHHIIHHI", 0xF30A, 1, 4, 0, 0, 0, count, 0, 100)
        volume = ExtVolume(Blocks("dirs", one.size, BLOCK, blocks), one.superblock, "dirs", [])
        flags = layout.FLAG_EXTENTS | chance.choice((0, 0, 0x1000, 0x800, 0x40000000))
        node = self._node(12, area, count * BLOCK, flags)._replace(mode=0x41ED)
        raw = struct.pack("<H", 0x41ED) + node.raw[2:4] + struct.pack("<I", count * BLOCK)
        raw += bytes(18) + struct.pack("<H", 2) + bytes(4) + struct.pack("<I", flags) + bytes(4)
        raw += area.ljust(60, b"\0") + bytes(156)
        inodes = Inodes(volume)
        inodes.replaced[12] = raw
        check_names(Directories(volume, inodes, Mapper(volume)).read([12]))
        return count

    def inline(self, chance: random.Random) -> int:
        """Files and directories within an inode, with attributes after it."""
        one = self.bases[2]
        rows = [row for row in one.rows.values() if row[35] & 0x10]
        row = chance.choice(rows)
        if chance.random() < 0.4:
            extra = chance.choice((0, 28, 32, 96, 124))
            value = chance.randbytes(chance.randrange(40))
            entry = struct.pack("<BBHIII", 4, 7, 40, 0, len(value), 0) + b"data"
            body = struct.pack("<I", 0xEA020000) + entry + bytes(20) + value
            row = (row[:128] + struct.pack("<H", extra) + bytes(extra)[2:] + body)[:256]
            row = row.ljust(256, b"\0")
        row = scramble(chance, row) if chance.random() < 0.9 else row
        volume = self._volume(chance, one, one.blocks)
        inodes = Inodes(volume)
        inodes.replaced[20] = row
        check_names(Directories(volume, inodes, Mapper(volume)).read([20]))
        node = InodeRecord(20, 0x81A4, chance.choice((0, 60, 61, 156, 1 << 40)), 0x10000000, 0, row)
        with suppress(SidelightError):
            if len(inline_contents(node, "inline")) != node.size:
                raise AssertionError("not the size")
        return 1


def check_mappings(volume: ExtVolume, mappings: list[BlockMapping]) -> None:
    """Ascending runs that lie within the filesystem, whatever the faults."""
    for mapping in mappings:
        at = 0
        for logical, physical, count in mapping.runs:
            if logical < at or count <= 0 or not volume.holds(physical, count):
                raise AssertionError(f"a run that cannot be: {(logical, physical, count)}")
            at = logical + count
