"""Mutated partition tables, signatures and volume groups, fed to their decoders."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from fuzz.choices import Blocks, cut, scramble
from sidelight.disk import gpt, gpt_layout, mbr, partition_tables, volumes
from sidelight.disk.lvm import logical_volumes, thin_layout
from sidelight.disk.lvm.layout import checksum
from sidelight.disk.lvm.physical import Texts, read_label, read_metadata
from sidelight.disk.lvm.text import parse
from sidelight.disk.lvm.thin import ThinPool, ThinSource
from sidelight.disk.signatures import MAGICS, identify, identify_end
from sidelight.errors import SidelightError
from tests.images.disk.lvm_writer import MDA, PE_START, physical_volume

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from sidelight.blocks import BlockSource
    from sidelight.disk.volume_slice import Partition
    from sidelight.model import Problem

SECTOR = 512
DISK = 4096  # sectors
UUIDS = tuple(f"{letter * 6}-ghij-klmn-opqr-stuv-wxyz-012345" for letter in "abc")
SEGMENTS = (
    b'type = "striped" stripe_count = 1 stripes = ["pv0", 1]',
    b'type = "striped" stripe_count = 2 stripe_size = 8 stripes = ["pv0", 0, "pv1", 2]',
    b'type = "mirror" mirror_count = 2 mirrors = ["a", 0, "pv1", 1]',
    b'type = "raid1" device_count = 2 raids = ["m0", "a", "m1", "b"]',
    b'type = "thin" thin_pool = "pool" transaction_id = 0 device_id = 1',
    b'type = "thin-pool" metadata = "a" pool = "b" transaction_id = 1 chunk_size = 128',
    b'type = "snapshot" origin = "a" cow_store = "b" merging_store = "m0"',
    b'type = "zero"',
    b'type = "error"',
    b'type = "cache"',
)
NAMES = (b"root", b"a", b"b", b"m0", b"m1", b"pool")

PIECES = (
    b"a = ",
    b"[",
    b"]",
    b"1, ",
    b'"',
    b'"x",',
    b"\\",
    b"\\\\",
    b"#",
    b"\n",
    b"a {",
    b"}",
    b"=",
    b" ",
    b"a=1\n",
    b"a=[]\n",
    b'a="\\""\n',
    b"-",
    b"9",
    b"\xff",
    b"\0",
)
REPEATS = (1, 1, 1, 2, 50, 5000, 300_000)


class Targets:
    """Each target makes a number of mutated structures, decodes them, and returns that number."""

    def __init__(self) -> None:
        # A block's checksum takes longer than all else: here it is as it should be, or not.
        thin_layout.checksum = _checksum
        self.all: dict[str, Callable[[random.Random], int]] = {
            "disk-mbr": self.mbr,
            "disk-gpt": self.gpt,
            "disk-signatures": self.signatures,
            "disk-volumes": self.volumes,
            "lvm-text": self.lvm_text,
            "lvm-runs": self.lvm_runs,
            "lvm-labels": self.lvm_labels,
            "lvm-groups": self.lvm_groups,
            "lvm-thin": self.lvm_thin,
        }

    def _record(self, chance: random.Random, types: tuple[int, ...]) -> bytes:
        raw = bytearray(SECTOR)
        struct.pack_into("<I", raw, 440, 0x1234)
        for slot in range(4):
            kind = chance.choice(types)
            first, count = chance.choice((1, 8, 64, 100, 4000, 1 << 31)), chance.choice((1, 8, 900))
            if kind and chance.random() < 0.7:
                status = chance.choice((0, 0, 0x80, 0x80, 0x01))
                struct.pack_into("<B3sB3sII", raw, 446 + slot * 16, status if slot == 0 else 0,
                                 b"", kind, b"", first, count)  # fmt: skip
        raw[510:] = b"\x55\xaa"
        return scramble(chance, bytes(raw), 2) if chance.random() < 0.3 else bytes(raw)

    def mbr(self, chance: random.Random) -> int:
        """A table, and chains of extended boot records."""
        types = (0, 0x83, 0x83, 0x8E, 0xFD, 5, 5, 0x0F, 0xEE)
        sectors = {0: self._record(chance, types)}
        for at in (1, 8, 9, 16, 64, 65, 72, 100, 164):
            if chance.random() < 0.6:
                sectors[at] = self._record(chance, (0, 0x83, 0x83, 5, 5))
        problems: list[Problem] = []
        source = Blocks("mbr", DISK * SECTOR, SECTOR, sectors)
        with suppress(SidelightError):
            sector = chance.choice((512, 4096))
            check_partitions(mbr.partitions(source, mbr.read_table(source), sector, problems))
            check_partitions(partition_tables.partitions(source, problems))
        return len(sectors)

    def gpt(self, chance: random.Random) -> int:
        """Headers and tables at both ends, for both sizes of sectors."""
        sector = chance.choice((512, 512, 4096))
        last = DISK * SECTOR // sector - 1
        count, size = chance.choice((1, 4, 4, 128)), chance.choice((128, 128, 256))
        entry = struct.pack("<16s16sQQQ72s", b"k" * 16, b"u" * 16, 40, 60, 0, "é\U0001f600".encode(
            "utf-16-le"))  # fmt: skip
        entries = b"".join(
            (scramble(chance, entry, 3) if chance.random() < 0.5 else entry).ljust(size, b"\0")
            for _ in range(min(count, 4))
        ).ljust(count * size, b"\0")
        blocks = {0: self._record(chance, (0xEE, 0xEE, 0, 0x83))}
        for own, other, at in ((1, last, 2), (last, 1, last - 32)):
            fields = 0x10000, 92, 0, 0, own, other, 34, last - 34, b"d" * 16
            table = at, count, size, zlib.crc32(entries)
            raw = gpt_layout.HEADER.pack(gpt_layout.SIGNATURE, *fields, *table)
            raw = scramble(chance, raw, 2) if chance.random() < 0.5 else raw
            if chance.random() < 0.8:
                raw = raw[:16] + bytes(4) + raw[20:]
                length = int.from_bytes(raw[12:16], "little")
                crc = zlib.crc32(raw.ljust(sector, b"\0")[: min(length, sector)])
                raw = raw[:16] + crc.to_bytes(4, "little") + raw[20:]
            for begin, content in ((own, raw), (at, entries)):
                for number, part in cut(content, SECTOR).items():
                    blocks[begin * sector // SECTOR + number] = part
        source = Blocks("gpt", DISK * SECTOR, SECTOR, blocks)
        problems: list[Problem] = []
        with suppress(SidelightError):
            check_partitions(gpt.partitions(source, problems)[1])
            check_partitions(partition_tables.partitions(source, problems))
        return 2

    def _marked(self, chance: random.Random) -> dict[int, bytes]:
        """The first 256 KiB of a volume slice, with some formats' marks in them."""
        blocks: dict[int, bytes] = {}
        for _ in range(chance.randrange(1, 4)):
            at, magic, _ = chance.choice(MAGICS)
            if chance.random() < 0.4:
                at, magic = chance.choice((
                    (0, b"XFSB"), (1080, b"\x53\xef"), (4086, b"SWAPSPACE2"), (510, b"\x55\xaa"),
                    (512, b"LABELONE"), (0, b"\xfc\x4e\x2b\xa9"), (4096, b"\xfc\x4e\x2b\xa9"),
                    (131072, b"\x0c\xb1\xba\0\0\0\0\0"),
                ))  # fmt: skip
            number, within = divmod(at, 4096)
            block = bytearray(blocks.get(number) or chance.randbytes(64).ljust(4096, b"\0"))
            block[within : within + len(magic)] = magic
            blocks[number] = scramble(chance, bytes(block[:4096]), 2)
        return blocks

    def signatures(self, chance: random.Random) -> int:
        """What a volume slice says that it is."""
        size = chance.choice((1, 511, 512, 4096, 65536, 300 << 10, 300 << 10))
        source = Blocks("volume slice", size, 4096, self._marked(chance))
        with suppress(SidelightError):
            identify(source)
            identify_end(source)
        return 1

    def volumes(self, chance: random.Random) -> int:
        """Whole disks: never an error, only Problems."""
        sources: list[BlockSource] = []
        for number in range(chance.randrange(1, 3)):
            blocks = self._marked(chance)
            if chance.random() < 0.5:
                first = self._record(chance, (0, 0x83, 0x8E, 5, 0xEE))
                blocks[0] = first + blocks.get(0, bytes(4096))[512:]
            size = chance.choice((1, 512, 300 << 10, 1 << 20, (1 << 20) + 7))
            sources.append(Blocks(f"disk{number}", size, 4096, blocks))
        for volume_slice in volumes(sources, []):
            if volume_slice.source.size < 0:
                raise AssertionError("a volume slice of less than nothing")
        return len(sources)

    def _text(self, chance: random.Random) -> bytes:
        """A volume group's text; sometimes broken."""
        parts = []
        for name in NAMES[: chance.randrange(1, 7)]:
            segment = chance.choice(SEGMENTS)
            numbers = chance.choice((b"0", b"0", b"1", b"-1", b"99999999999999")), chance.choice(
                (b"2", b"1", b"4294967295", b"0"))  # fmt: skip
            parts.append(
                name + b' { id = "' + name + b'" status = ["READ", "VISIBLE"] segment_count = 1\n'
                b"segment1 { start_extent = " + numbers[0] + b" extent_count = " + numbers[1]
                + b" " + segment + b" } }\n"
            )  # fmt: skip
        members = b"".join(
            b'pv%d { id = "%s" device = "/dev/sda" pe_start = 2048 pe_count = 8 }\n'
            % (at, uuid.encode())
            for at, uuid in enumerate(UUIDS[: chance.randrange(1, 3)])
        )
        text = b'vg0 { id = "v" seqno = 3 extent_size = 8 physical_volumes { ' + members
        text += b"} logical_volumes {\n" + b"".join(parts) + b"} }\n"
        if chance.random() < 0.5:
            # Other tokens in some places.
            words = text.split(b" ")
            for _ in range(chance.randrange(1, 4)):
                words[chance.randrange(len(words))] = chance.choice((*words, b"", b"#", b'"', b"["))
            text = b" ".join(words)
        return text

    def lvm_text(self, chance: random.Random) -> int:
        """The text alone."""
        text = self._text(chance)
        with suppress(SidelightError):
            parse(scramble(chance, text) if chance.random() < 0.5 else text)
        return 1

    def lvm_runs(self, chance: random.Random) -> int:
        """Pieces of a text, some very many times."""
        runs = [chance.choice(PIECES) * chance.choice(REPEATS) for _ in range(chance.randrange(9))]
        with suppress(SidelightError):
            parse(b"".join(runs))
        return 1

    def lvm_labels(self, chance: random.Random) -> int:
        """Label, header of the member, header of the metadata area, its ring."""
        blocks = member(UUIDS[0], self._text(chance))
        for number in (1, MDA // SECTOR):
            raw = blocks[number]
            raw = scramble(chance, raw, 2) if chance.random() < 0.7 else raw
            if chance.random() < 0.9:
                at, begin = (16, 20) if number == 1 else (0, 4)
                raw = raw[:at] + struct.pack("<I", checksum(raw[begin:])) + raw[at + 4 :]
            blocks[number] = raw
        source = Blocks("pv", 1 << 20, SECTOR, blocks)
        with suppress(SidelightError):
            read_metadata(read_label(source), [], Texts())
        return 1

    def lvm_groups(self, chance: random.Random) -> int:
        """Members to volumes, and every volume's bytes."""
        text = self._text(chance)
        sources: list[BlockSource] = []
        for at in range(chance.randrange(1, 3)):
            extents = struct.pack("<4sIIIQQQ", b"DmRd", 0, 2, at, 7, 0, (1 << 64) - 1)
            blocks = member(UUIDS[at], text) | {PE_START // SECTOR: extents.ljust(SECTOR, b"x")}
            sources.append(Blocks(f"pv{at}", (1 << 20) + 32768, SECTOR, blocks))
        found = logical_volumes(sources, [])
        for volume in found:
            source = volume.source
            source.prefetch([(0, min(9000, source.size))])
            with suppress(SidelightError):
                source.read_at(0, min(9000, source.size))
        return len(sources)

    def lvm_thin(self, chance: random.Random) -> int:
        """A pool's superblock and the nodes of its trees."""
        raw = struct.pack("<IIQ16sQIIQQ", 0, 0, 0, b"", 27022010, chance.choice((1, 2)), 0, 1, 0)
        raw = raw.ljust(320, b"\0") + struct.pack("<QQII", 1, 2, 128, 8)
        blocks = {0: raw.ljust(4096, b"\0")}
        for number in range(1, 8):
            count = chance.randrange(5)
            leaf = chance.choice((1, 2, 2))
            keys = sorted(chance.sample(range(12), count))
            values = [chance.randrange(9) << chance.choice((0, 0, 24)) for _ in keys]
            node = struct.pack("<IIQIIII", 0, leaf, number, count, 252, 8, 0)
            node += struct.pack(f"<{count}Q", *keys).ljust(2016, b"\0")
            node += struct.pack(f"<{count}Q", *values)
            node = node.ljust(4096, b"\0")
            blocks[number] = scramble(chance, node, 2) if chance.random() < 0.3 else node
        if chance.random() < 0.3:
            blocks[0] = scramble(chance, blocks[0][:400], 2) + blocks[0][400:]
        metadata = Blocks("metadata", 8 * 4096, 4096, blocks)
        with suppress(SidelightError):
            pool = ThinPool(metadata, Blocks("data", 1 << 20, 4096, {}))
            source = ThinSource("thin", 1 << 20, pool, chance.randrange(5))
            source.prefetch([(0, 1 << 20)])
            for at in range(0, 1 << 20, 1 << 17):
                with suppress(SidelightError):
                    source.read_at(at, 1 << 17)
        return len(blocks)


def member(uuid: str, text: bytes) -> dict[int, bytes]:
    """The sectors of a member that are not zeros."""
    return cut(physical_volume(uuid, text)[: MDA + SECTOR + len(text)], SECTOR)


def check_partitions(found: list[Partition]) -> None:
    """Sizes and numbers that can be."""
    numbers = [partition.number for partition in found]
    if len(set(numbers)) < len(numbers):
        raise AssertionError(f"a number twice: {numbers}")
    for partition in found:
        if partition.start < 0 or partition.size <= 0:
            raise AssertionError(f"a partition that cannot be: {partition}")


def _checksum(data: bytes, seed: int) -> int:  # noqa: ARG001 - as the function it stands for
    return int.from_bytes(data[:4], "little")
