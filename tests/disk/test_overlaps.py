"""Partitions that share their bytes: read once, and a Problem."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from sidelight.disk import volumes
from tests.fakes.sources import MemorySource
from tests.fixtures.partition_tables import SECTORS, gpt_disk, resealed

if TYPE_CHECKING:
    from sidelight.model import Problem

SECTOR = 512
_COUNT = 100


def _many_of_one_start() -> bytes:
    """A GPT of a hundred partitions that begin at sector 40, the eighth the largest."""
    disk = gpt_disk(count=_COUNT)
    table = b"".join(
        struct.pack("<16s16sQQQ72s", b"T" * 16, bytes([number] * 16), 40, last, 0, b"")
        for number in range(1, _COUNT + 1)
        for last in [99 if number == 8 else 79]
    )
    room = -(-len(table) // SECTOR)
    for header, at in ((1, 2), (SECTORS - 1, SECTORS - 1 - room)):
        disk[at * SECTOR : at * SECTOR + len(table)] = table
        struct.pack_into("<QIII", disk, header * SECTOR + 72, at, _COUNT, 128, zlib.crc32(table))
    resealed(disk)
    return bytes(disk)


def test_partitions_of_one_start_are_read_once_as_the_largest() -> None:
    problems: list[Problem] = []
    found = volumes([MemorySource(_many_of_one_start())], problems)
    assert [volume_slice.partition for volume_slice in found] == [8]
    noted = [problem for problem in problems if "begins where partition 8 does" in problem.what]
    assert len(noted) == _COUNT - 1


class _Counting(MemorySource):
    reads = 0

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads += 1
        return super().read_at(offset, length)


def test_each_of_the_partitions_of_one_start_costs_no_read() -> None:
    few, many = _Counting(bytes(gpt_disk())), _Counting(_many_of_one_start())
    volumes([few], [])
    volumes([many], [])
    assert many.reads <= few.reads


def _mbr(*partitions: tuple[int, int, int]) -> bytearray:
    disk = bytearray(4096 * SECTOR)
    for slot, (kind, first, count) in enumerate(partitions):
        struct.pack_into("<B3sB3sII", disk, 446 + 16 * slot, 0, b"", kind, b"", first, count)
    disk[510:512] = b"\x55\xaa"
    return disk


def test_an_overlap_is_a_problem_and_both_are_offered() -> None:
    problems: list[Problem] = []
    disk = _mbr((0x83, 100, 1000), (0x83, 500, 100), (0x83, 1100, 50), (0x83, 1149, 10))
    found = volumes([MemorySource(bytes(disk))], problems)
    assert [volume_slice.partition for volume_slice in found if volume_slice.partition] == [
        1,
        2,
        3,
        4,
    ]
    noted = {problem.where[-1]: problem.what for problem in problems if "within" in problem.what}
    assert noted == {"2": "begins within partition 1", "4": "begins within partition 3"}


def test_partitions_side_by_side_are_no_problem() -> None:
    problems: list[Problem] = []
    volumes([MemorySource(bytes(_mbr((0x83, 100, 100), (0x83, 200, 100))))], problems)
    assert not [problem for problem in problems if "begins" in problem.what]


def test_four_extended_partitions_of_one_chain_give_its_partitions_once() -> None:
    disk = _mbr(*[(0x05, 100, 3000)] * 4)
    for number in range(10):
        at = (100 + 10 * number) * SECTOR
        entries = [(0x83, 5, 5), (0x05, 10 * (number + 1), 10)][: 2 if number < 9 else 1]
        for slot, (kind, first, count) in enumerate(entries):
            struct.pack_into(
                "<B3sB3sII", disk, at + 446 + 16 * slot, 0, b"", kind, b"", first, count
            )
        disk[at + 510 : at + 512] = b"\x55\xaa"
    problems: list[Problem] = []
    found = volumes([MemorySource(bytes(disk))], problems)
    assert sum(volume_slice.partition is not None for volume_slice in found) == 10
    assert len([problem for problem in problems if "begins where" in problem.what]) == 30
