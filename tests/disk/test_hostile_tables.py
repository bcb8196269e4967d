"""Damaged and hostile partition tables: only our errors (none leaves `volumes`), always an end."""

from __future__ import annotations

import struct
import zlib
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sidelight.disk import volumes
from tests.images.disk.sources import MemorySource

SECTORS = 400


def gpt_disk(sector: int = 512, count: int = 8, size: int = 128) -> bytearray:
    """A small GPT: header, table and backup, with two partitions."""
    disk = bytearray(SECTORS * sector)
    entry = struct.pack("<16s16sQQQ72s", b"T" * 16, b"U" * 16, 40, 79, 0, b"n\0a\0")
    other = struct.pack("<16s16sQQQ72s", b"T" * 16, b"V" * 16, 80, 99, 0, b"")
    table = (entry.ljust(size, b"\0") + other).ljust(count * size, b"\0")
    last = SECTORS - 1
    for lba, alternate, entries in ((1, last, 2), (last, 1, last - 8)):
        fields = (lba, alternate, 34, last - 34, b"D" * 16, entries, count, size)
        head = struct.pack("<8sIIII", b"EFI PART", 0x10000, 92, 0, 0)
        head += struct.pack("<QQQQ16sQII", *fields) + struct.pack("<I", zlib.crc32(table))
        head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
        disk[lba * sector : lba * sector + 92] = head
        disk[entries * sector : entries * sector + len(table)] = table
    disk[446:462] = struct.pack("<B3sB3sII", 0, b"", 0xEE, b"", 1, last)
    disk[510:512] = b"\x55\xaa"
    return disk


def resealed(disk: bytearray) -> None:
    """Make the headers' own checksums right again, so that the damage gets further."""
    for lba in (1, SECTORS - 1):
        head = bytearray(disk[lba * 512 : lba * 512 + 92])
        head[16:20] = bytes(4)
        disk[lba * 512 + 16 : lba * 512 + 20] = struct.pack("<I", zlib.crc32(head))


def test_the_table_written_by_hand_is_read() -> None:
    for sector in (512, 4096):
        found = volumes([MemorySource(bytes(gpt_disk(sector)))], [])
        assert [(r.partition, r.source.size) for r in found] == [(1, 40 * sector), (2, 20 * sector)]


@given(st.data())
def test_any_damage_to_a_gpt_is_survived(data: st.DataObject) -> None:
    disk = gpt_disk()
    spots = [512, 512 * (SECTORS - 1), 1024, 1024 + 128]
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.sampled_from(spots)) + data.draw(st.integers(0, 127))
        disk[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        resealed(disk)
    for region in volumes([MemorySource(bytes(disk))], []):
        assert region.source.size > 0


@given(st.integers(0, 2**32))
def test_any_mbr_is_survived(seed: int) -> None:
    dice = Random(seed)
    disk = bytearray(64 << 10)
    for sector in range(128):
        if sector and dice.randrange(3):
            continue
        for slot in range(4):
            kind = dice.choice([0, 5, 0xF, 0x85, 0x83, 0xEE, 7])
            first, count = (dice.choice([dice.randrange(140), dice.randrange(2**32)]) for _ in "12")
            where = sector * 512 + 446 + slot * 16
            struct.pack_into("<B3sB3sII", disk, where, 0, b"", kind, b"", first, count)
        disk[sector * 512 + 510 : sector * 512 + 512] = b"\x55\xaa"
    found = volumes([MemorySource(bytes(disk))], [])
    assert len(found) < 2000


@given(st.binary(max_size=6000))
def test_any_bytes_are_survived(data: bytes) -> None:
    volumes([MemorySource(data), MemorySource(data[::-1], "other")], [])
