"""Filesystems that no partition holds are scanned, or a Problem names them."""

from __future__ import annotations

import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.disk import gaps, volumes
from sidelight.scan import inspect
from tests.fakes.sources import MemorySource, counted

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.disk import VolumeSlice
    from sidelight.model import Problem

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(shutil.which("mke2fs") is None, reason="needs mke2fs"),
]
MIB = 1 << 20


def _ext(folder: Path, label: str, mib: int = 4) -> bytes:
    image = folder / f"{label}.img"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", label, str(image), f"{mib}M"]
    subprocess.run(command, check=True, capture_output=True)
    return image.read_bytes()


def _disk(mib: int, *partitions: tuple[int, int]) -> bytearray:
    """A disk with an MBR; partitions as (start, size) in MiB."""
    disk = bytearray(mib * MIB)
    for slot, (start, size) in enumerate(partitions):
        entry = (0, b"\0\0\0", 0x83, b"\0\0\0", start * 2048, size * 2048)
        struct.pack_into("<B3sB3sII", disk, 446 + slot * 16, *entry)
    disk[510:512] = b"\x55\xaa"
    return disk


def _put(disk: bytearray, at: int, data: bytes) -> None:
    disk[at : at + len(data)] = data


def _slices(disk: bytearray) -> tuple[dict[str, VolumeSlice], list[Problem]]:
    problems: list[Problem] = []
    found = volumes([MemorySource(bytes(disk))], problems)
    return {
        volume_slice.label or volume_slice.name: volume_slice for volume_slice in found
    }, problems


@pytest.mark.parametrize(
    ("where", "partitions"),
    [
        ("between partitions", [(1, 4), (12, 4)]),
        ("behind the last", [(1, 4)]),
        ("behind the end of a partition's filesystem", [(1, 20)]),
        ("in an empty partition", [(1, 4), (5, 20)]),
    ],
)
def test_a_filesystem_outside_of_partitions_is_a_slice(
    tmp_path: Path, where: str, partitions: list[tuple[int, int]]
) -> None:
    disk = _disk(40, *partitions)
    _put(disk, MIB, _ext(tmp_path, "own"))
    _put(disk, 7 * MIB, _ext(tmp_path, "hidden"))
    slices, problems = _slices(disk)
    assert slices["hidden"].name == "disk/at 7 MiB", where
    assert slices["hidden"].kind == "ext4"
    assert all("known filesystem" in problem.what for problem in problems)


@pytest.mark.parametrize(
    ("magic", "kind"), [((0, b"LUKS\xba\xbe\0\2", 168, b"u" * 36), "crypto_LUKS")]
)
def test_what_cannot_be_read_there_is_a_problem(
    tmp_path: Path, magic: tuple[int, bytes, int, bytes], kind: str
) -> None:
    disk = _disk(40, (1, 4))
    _put(disk, MIB, _ext(tmp_path, "own"))
    for at, data in (magic[:2], magic[2:]):
        _put(disk, 9 * MIB + int(at), bytes(data))
    _, problems = _slices(disk)
    assert [(problem.where, problem.what) for problem in problems] == [
        ("disk/at 9 MiB", f"unsupported: {kind} outside of any partition")
    ]


def test_a_filesystem_of_the_whole_disk_beside_its_table_is_a_problem(tmp_path: Path) -> None:
    disk = _disk(40, (20, 4))
    whole = _ext(tmp_path, "whole", 16)
    disk[1024 : len(whole)] = whole[1024:]
    _put(disk, 20 * MIB, _ext(tmp_path, "own"))
    _, problems = _slices(disk)
    assert [problem.what for problem in problems] == [
        "unsupported: ext4 of the whole disk as well as a partition table"
    ]


def test_a_name_of_something_inert_hides_no_filesystem(tmp_path: Path) -> None:
    disk = _disk(8, (1, 4))
    _put(disk, MIB, _ext(tmp_path, "own"))
    _put(disk, MIB, b"verity\0\0")
    slices, problems = _slices(disk)
    assert slices["own"].kind == "ext4"
    assert problems == []


def test_random_bytes_in_a_gap_are_nothing(tmp_path: Path) -> None:
    disk = _disk(40, (1, 4))
    _put(disk, MIB, _ext(tmp_path, "own"))
    # The magic of ext alone, as one of 65,536 blocks has it.
    for mib in range(6, 30):
        _put(disk, mib * MIB + 1024, bytes(range(1, 57)) + b"\x53\xef" + b"\xff" * 200)
    assert _slices(disk)[1] == []


def test_a_gap_that_was_never_written_costs_no_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = _disk(64, (1, 4))
    _put(disk, MIB, _ext(tmp_path, "own"))
    path = tmp_path / "disk.img"
    path.write_bytes(disk)
    cache, fetcher = counted(str(path), "disk")

    def written(index: int) -> bool:
        """As a snapshot knows it."""
        size = fetcher.block_size
        return bool(disk[index * size : (index + 1) * size].strip(b"\0"))

    monkeypatch.setattr(fetcher, "present", written)
    try:
        volumes([cache], [])
        assert set(fetcher.fetched) == {0, MIB // fetcher.block_size}
    finally:
        cache.close()
        fetcher.close()


def test_a_disk_of_swap_alone_is_named() -> None:
    disk = bytearray(4 * MIB)
    _put(disk, 4096 - 10, b"SWAPSPACE2")
    inventory = inspect([MemorySource(bytes(disk), "swap.img")])
    (problem, *_) = inventory.problems
    assert (problem.where, problem.what) == ("swap.img", "no filesystem was found, only swap")


@given(
    st.integers(0, 1 << 30),
    st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 1 << 30)), max_size=8),
)
def test_gaps_and_claims_cover_the_disk_and_never_overlap(
    size: int, claims: list[tuple[int, int]]
) -> None:
    claimed = [(min(claim), max(claim)) for claim in claims]
    found = gaps.unclaimed(size, claimed)
    for gap in found:
        assert gaps.ALIGNMENT <= gap.start < gap.end <= max(size, gap.end)
        assert all(end <= gap.start or start >= gap.end for start, end in claimed if start < end)
    assert sorted(found) == found
