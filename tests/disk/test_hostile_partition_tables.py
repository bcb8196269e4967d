"""Damaged and hostile partition tables: only our errors (none leaves `volumes`), always an end."""

from __future__ import annotations

import struct
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sidelight.disk import volumes
from tests.fakes.sources import MemorySource
from tests.fixtures.partition_tables import SECTORS, gpt_disk, resealed


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
    for volume_slice in volumes([MemorySource(bytes(disk))], []):
        assert volume_slice.source.size > 0


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
