"""Mutated structures of XFS, fed to their decoders without an image around them.

An image costs milliseconds, a structure microseconds: superblocks, inode cores with what their
forks hold, directories in all forms, extent trees, the log's ring and the items in it. Their
checksums are made right again on most, or nothing behind them would be reached.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fuzz.choices import check_names, scramble
from fuzz.xfs import CHECKSUM_OK, any_checksum, sealed
from sidelight.errors import SidelightError
from sidelight.filesystems.xfs import bmap, directory_entries, layout, log_records
from sidelight.filesystems.xfs.directories import read_directories
from sidelight.filesystems.xfs.inodes import read_metadata, read_raw
from sidelight.filesystems.xfs.links import read_link
from sidelight.filesystems.xfs.log_head_tail import Ends, XfsLog
from sidelight.filesystems.xfs.log_records import Record
from sidelight.filesystems.xfs.reader import XfsFilesystem
from sidelight.filesystems.xfs.recovery import recover
from sidelight.filesystems.xfs.superblock import XfsSuperblock, read_superblock
from sidelight.filesystems.xfs.volume import XfsVolume
from tests.images.xfs import log_writer
from tests.images.xfs.fixtures import PIECE, SparseImage, load

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


class Base(NamedTuple):
    """A committed image and where its structures are."""

    image: SparseImage
    superblock: XfsSuperblock
    inode_pieces: list[int]
    inodes: dict[int, list[int]]  # of each such piece, the numbers
    directory_pieces: list[int]
    directories: list[int]  # inodes


def base(name: str) -> Base:
    """Look through an image."""
    image = load(name)
    superblock = read_superblock(image, name)
    filesystem = XfsFilesystem(image)
    inodes = {}
    for piece, content in sorted(image.pieces.items()):
        if content[:2] == b"IN" and content[superblock.inode_size :][:2] == b"IN":
            group, block = divmod(piece, superblock.ag_blocks)
            first = (group << superblock.ag_block_log | block) << superblock.inodes_per_block_log
            inodes[piece] = [first + index for index in range(PIECE // superblock.inode_size)]
    magics = (b"XDB3", b"XDD3", b"XD2B", b"XD2D")
    pieces = [at for at, content in sorted(image.pieces.items()) if content[:4] in magics]
    level, found = [filesystem.root], [filesystem.root]
    while level:
        level = [
            number
            for _, entries in filesystem.directories(level)
            for _, number, kind in entries
            if kind == 2
        ]
        found += level
    return Base(image, superblock, list(inodes), inodes, pieces, found)


def volume_of(image: SparseImage, superblock: XfsSuperblock) -> XfsVolume:
    """A volume without a look at the log."""
    return XfsVolume(image, superblock, image.name, [])


class Targets:
    """Each target makes a number of mutated structures, decodes them, and returns that number."""

    def __init__(self) -> None:
        self.bases = [base("tiny"), base("version4"), base("tiny-dirty")]
        self.log_base = self.bases[0]
        self.all: dict[str, Callable[[random.Random], int]] = {
            "xfs-superblocks": self.superblocks,
            "xfs-inodes": self.inodes,
            "xfs-shortform": self.shortform,
            "xfs-blocks": self.blocks,
            "xfs-directories": self.directories,
            "xfs-extents": self.extents,
            "xfs-trees": self.trees,
            "xfs-log-items": self.log_items,
            "xfs-log-rings": self.log_rings,
        }

    def superblocks(self, chance: random.Random) -> int:
        """The geometry, and now and then all that it leads to."""
        one = chance.choice(self.bases)
        for _ in range(4):
            sector = scramble(chance, one.image.pieces[0][:512])
            pieces = {0: sealed(sector + one.image.pieces[0][512:])}
            with suppress(SidelightError):
                read_superblock(SparseImage("sb", one.image.size, pieces), "sb")
                if chance.random() < 0.02:
                    whole = SparseImage("sb", one.image.size, one.image.pieces | pieces)
                    filesystem = XfsFilesystem(whole)
                    list(filesystem.directories([filesystem.root]))
        return 4

    def _scrambled_inodes(self, chance: random.Random) -> tuple[XfsVolume, list[int]]:
        one = chance.choice(self.bases)
        size = one.superblock.inode_size
        pieces, numbers = dict(one.image.pieces), []
        for piece in chance.sample(one.inode_pieces, min(4, len(one.inode_pieces))):
            content = one.image.pieces[piece]
            rows = [content[at : at + size] for at in range(0, PIECE, size)]
            donors = [row for row in rows if row[2:4] != b"\0\0"] or rows
            for index, row in enumerate(rows):
                # Free inodes become something, with their own numbers.
                chosen = row if row[2:4] != b"\0\0" else chance.choice(donors)
                chosen = chosen[:152] + row[152:160] + chosen[160:] if size > 256 else chosen
                rows[index] = scramble(chance, chosen) if chance.random() < 0.9 else chosen
            content = b"".join(rows)
            pieces[piece] = sealed(content) if chance.random() < 0.9 else content
            numbers += one.inodes[piece]
        return volume_of(SparseImage("inodes", one.image.size, pieces), one.superblock), numbers

    def inodes(self, chance: random.Random) -> int:
        """Cores, forks, links and directories of many inodes at once."""
        volume, numbers = self._scrambled_inodes(chance)
        read_metadata(volume, numbers)
        check_names(read_directories(volume, numbers))
        for window in read_raw(volume, numbers):
            forks = [bmap.Fork(raw.number, raw.format, raw.extents, raw.fork) for raw in window]
            check_mappings(volume, bmap.map_forks(volume, forks))
            for raw in window:
                with suppress(SidelightError):
                    read_link(volume, raw)
        return len(numbers)

    def shortform(self, chance: random.Random) -> int:
        """Directories in inodes."""
        for _ in range(8):
            large, ftype = chance.random() < 0.3, chance.random() < 0.7
            width = 8 if large else 4
            count = chance.randrange(6)
            area = bytes((count, count if large else 0)) + chance.randbytes(width)
            for _ in range(count):
                length = chance.randrange(1, 20)
                area += bytes((length, 0, 48)) + b"n" * length + bytes((1,) if ftype else ())
                area += chance.randbytes(width)
            size = len(area) if chance.random() < 0.8 else chance.randrange(1 << 10)
            area = scramble(chance, area, 3) + bytes(chance.randrange(3))
            entries, fault = directory_entries.parse_shortform(area, size, ftype)
            if not fault and len(entries) != area[0]:
                raise AssertionError("entries lost without a word")
        return 8

    def _scrambled_block(self, chance: random.Random, one: Base) -> bytes:
        content = one.image.pieces[chance.choice(one.directory_pieces)]
        if chance.random() < 0.3:
            # Aligned words from elsewhere in it: entries in wrong places, ends that lie.
            words = [content[at : at + 8] for at in range(0, PIECE, 8)]
            for _ in range(chance.randrange(1, 20)):
                words[chance.randrange(512)] = words[chance.randrange(512)]
            return b"".join(words)
        return scramble(chance, content, 12)

    def blocks(self, chance: random.Random) -> int:
        """Data blocks: by the loop and all at once, which must agree."""
        one = chance.choice(self.bases[:2])
        data = b"".join([self._scrambled_block(chance, one) for _ in range(24)])
        header = layout.DIR_HEADER_V5 if one.superblock.v5 else layout.DIR_HEADER_V4
        begins = np.arange(24, dtype=np.int64) * PIECE + header
        ends = begins - header + PIECE
        ends -= np.array([8 * chance.randrange(60) for _ in range(24)])
        ftype = one.superblock.ftype
        each = directory_entries.parse_each(data, begins, ends, ftype)
        if each != directory_entries.parse_many(data, begins, ends, ftype, PIECE):
            raise AssertionError("the two parsers disagree")
        return 24

    def directories(self, chance: random.Random) -> int:
        """Data blocks by way of their directories."""
        one = chance.choice(self.bases[:2])
        pieces = dict(one.image.pieces)
        for piece in one.directory_pieces:
            content = self._scrambled_block(chance, one) if chance.random() < 0.3 else pieces[piece]
            content = scramble(chance, content)
            pieces[piece] = sealed(content) if chance.random() < 0.9 else content
        image = SparseImage("directories", one.image.size, pieces)
        check_names(read_directories(volume_of(image, one.superblock), one.directories))
        return len(one.directory_pieces)

    def extents(self, chance: random.Random) -> int:
        """Extent lists in forks."""
        one = chance.choice(self.bases[:2])
        volume, forks = volume_of(one.image, one.superblock), []
        for number in range(64):
            area, logical = b"", 0
            count = chance.randrange(5)
            for _ in range(count):
                logical += chance.randrange(3)
                run = chance.randrange(1, 4)
                block = chance.randrange(one.superblock.ag_blocks)
                area += struct.pack(">QQ", logical << 9, block << 21 | run)
                logical += run
            area = scramble(chance, area, 3) if area and chance.random() < 0.7 else area
            claimed = count if chance.random() < 0.8 else chance.randrange(1 << 40)
            fork = bmap.Fork(number, layout.FORMAT_EXTENTS, claimed, area + bytes(20))
            forks.append(fork)
        check_mappings(volume, bmap.map_forks(volume, forks))
        return 64

    def trees(self, chance: random.Random) -> int:
        """Extent trees: roots, nodes and leaves, of several files that share the blocks."""
        one = chance.choice(self.bases[:2])
        sb = one.superblock
        places = chance.sample(range(sb.ag_blocks), 8)
        pieces = {}
        for place in places:
            level = chance.choice((0, 0, 1))
            count = chance.randrange(1, 5)
            if level:
                keys = b"".join(struct.pack(">Q", key) for key in range(count))
                room = (PIECE - (72 if sb.v5 else 24)) // 16
                pointers = [chance.choice(places) for _ in range(count)]
                content = keys.ljust(room * 8, b"\0") + struct.pack(f">{count}Q", *pointers)
            else:
                start = chance.randrange(50)
                content = b"".join(
                    struct.pack(">QQ", (start + at) << 9, chance.choice(places) << 21 | 1)
                    for at in range(count)
                )
            head = struct.pack(">4sHHqq", b"BMA3" if sb.v5 else b"BMAP", level, count, -1, -1)
            if sb.v5:
                head += struct.pack(">QQ16sQ8x", place * 8, 0, sb.meta_uuid, chance.randrange(4))
            block = (head + content).ljust(PIECE, b"\0")
            pieces[place] = sealed(scramble(chance, block, 2) if chance.random() < 0.5 else block)
        volume = volume_of(SparseImage("trees", one.image.size, pieces), sb)
        forks = []
        for number in range(4):
            count = chance.randrange(1, 4)
            room = (160 - 4) // 16
            area = struct.pack(">HH", chance.choice((1, 1, 2, 2, 3)), count) + bytes(room * 8)
            area += b"".join(struct.pack(">Q", chance.choice(places)) for _ in range(count))
            area = area.ljust(160, b"\0")
            area = scramble(chance, area, 1) if chance.random() < 0.2 else area
            forks.append(bmap.Fork(number, layout.FORMAT_BTREE, chance.randrange(20), area))
        check_mappings(volume, bmap.map_forks(volume, forks))
        return len(places) + len(forks)

    def log_items(self, chance: random.Random) -> int:
        """Items of a few transactions, as the log's records carry them."""
        one = self.log_base
        operations = []
        changes = 0
        for ident in range(1, 5):
            operations += [(ident, 1, b""), (ident, 0, struct.pack("<4sIII", b"NART", 1, 1, 1))]
            for _ in range(4):
                operations += [(ident, 0, part) for part in self._item(chance, one) if part]
                changes += 1
            operations.append((ident, 2, b""))
        if chance.random() < 0.3:
            at = chance.randrange(len(operations))
            ident, flags, part = operations[at]
            flags = chance.choice((flags, 4, 8, 12, 16, 0x20, 0x40))
            operations[at] = chance.choice((ident, 9)), flags, part
        data = b"".join(
            struct.pack(">IIBBH", ident, len(part), 0x69, flags, 0) + part
            for ident, flags, part in operations
        )
        data = scramble(chance, data, 2) if chance.random() < 0.3 else data
        record = Record(8, 1 << 40, 8, len(operations), 2 + len(data) // 512, 64, data)
        volume = volume_of(one.image, one.superblock)
        with suppress(SidelightError):
            source, replaced, _ = recover(volume, _RecordsLog([record]), Ends(9, 8, clean=False))
            volume.source, volume.replayed = source, replaced
            check_names(read_directories(volume, one.directories[:4]))
        return changes

    def _item(self, chance: random.Random, one: Base) -> list[bytes]:
        """A log item, whole or not."""
        piece = chance.choice(one.inode_pieces)
        number = chance.choice(one.inodes[piece])
        size = one.superblock.inode_size
        at = piece * PIECE + (number - one.inodes[piece][0]) * size
        kind = chance.randrange(7)
        if kind == 0:
            block = chance.choice(one.directory_pieces)
            regions = log_writer.buffer_item(
                block * 8, one.image.pieces[block][: 128 * chance.randrange(1, 33)],
                chance.randrange(32), length=chance.choice((8, 8, 16, 128)),
            )  # fmt: skip
        elif kind == 1:
            regions = log_writer.cancel_item(chance.choice(one.directory_pieces) * 8, 8)
        elif kind in (2, 3):
            row = one.image.read_at(at, size)
            fork = row[176 : 176 + 4 * chance.randrange(84)]
            fields = 1 | chance.choice((0, 2, 4, 8, 0x200))
            regions = log_writer.inode_item(number, at, row[:176], fork, fields)
        elif kind == 4:
            heads = (0, chance.choice((3, 4, 8)), 64, size, 8, 1)
            regions = [struct.pack("<HHI", 0x123F, 1, 0)[:4] + struct.pack(">6I", *heads)]
        elif kind == 5:
            block, place, what = chance.randrange(4096), chance.randrange(50), chance.choice((1, 2))
            intent = chance.choice((0x1244, 0x1245))
            regions = [log_writer.intent_item(intent, 5, [(number, block, place, 1, what)])]
        else:
            regions = [struct.pack("<HHIQQQ", chance.choice((0x1248, 0x1249, 0x1236, 0x1299)), 1, 0,
                                   5, number, number)]  # fmt: skip
        if chance.random() < 0.6:
            at = chance.randrange(len(regions))
            regions[at] = scramble(chance, regions[at], 3)
        if chance.random() < 0.2:
            at = chance.randrange(len(regions))
            regions[at] = regions[at][: chance.randrange(4, 64) // 4 * 4]
        return regions

    def log_rings(self, chance: random.Random) -> int:
        """A small ring of records: its ends, torn writes, lies in headers."""
        one = self.log_base
        sector = bytearray(one.image.pieces[0])
        struct.pack_into(">I", sector, 96, 16)  # blocks of the log
        image = SparseImage("ring", one.image.size, {0: bytes(sector)})
        log = log_writer.LogWriter(image, chance.choice((0, 3, 60, 100, 120, 126)))
        for _ in range(chance.randrange(8)):
            log.transaction([self._item(chance, one)], torn=chance.random() < 0.1)
        for _ in range(chance.randrange(5)):
            at = chance.randrange(len(log.ring))
            if log.ring[at][:4] == b"\xfe\xed\xba\xbe" or chance.random() < 0.3:
                log.ring[at] = scramble(chance, log.ring[at][:340], 3) + log.ring[at][340:]
            else:
                log.ring[at] = log.ring[chance.randrange(len(log.ring))]
        image = log.finish()
        superblock = read_superblock(image, "ring")
        # A record's checksum is not made right again.
        log_records._checksum_ok = any_checksum if chance.random() < 0.7 else CHECKSUM_OK  # noqa: SLF001
        with suppress(SidelightError):
            found = XfsLog(image, superblock, "ring")
            ends = found.find_ends()
            if not ends.clean:
                recover(volume_of(image, superblock), found, ends)
        return 1


class _RecordsLog(XfsLog):
    """A log of these records."""

    def __init__(self, records: list[Record]) -> None:
        self._all = records

    def records(self, ends: Ends) -> list[Record]:  # type: ignore[override] # noqa: ARG002
        return self._all


def check_mappings(volume: XfsVolume, mapped: dict[int, bmap.ExtentMapping]) -> None:
    """Without a fault: ascending extents that lie within the filesystem."""
    end = volume.superblock.blocks << volume.superblock.block_log
    for mapping in mapped.values():
        if mapping.fault:
            continue
        at = 0
        for logical, physical, length in mapping.extents:
            if logical < at or length <= 0 or physical < 0 or physical + length > end:
                raise AssertionError(f"an extent that cannot be: {(logical, physical, length)}")
            at = logical + length
