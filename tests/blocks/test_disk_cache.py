"""Kept blocks: never wrong, never over the budget by much, never the end of a scan."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidelight.blocks.disk_cache import DIGEST, LOOKS, MAGIC, DiskCache

if TYPE_CHECKING:
    from pathlib import Path

SNAP = "snap-00000000000000001"
OTHER = "snap-00000000000000002"


def test_what_was_kept_is_had_again_by_another_reader(tmp_path: Path) -> None:
    DiskCache(tmp_path / "c", 1 << 20).put(SNAP, "7", b"seven")
    again = DiskCache(tmp_path / "c", 1 << 20)
    assert again.get(SNAP, "7") == b"seven"
    assert again.get(SNAP, "8") is None
    assert again.get(OTHER, "7") is None
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700


@given(place=st.integers(0, 200), bit=st.integers(0, 7), cut=st.integers(0, 200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_or_cut_file_is_never_given(
    tmp_path: Path, place: int, bit: int, cut: int
) -> None:
    kept = DiskCache(tmp_path, 1 << 20)
    kept.put(SNAP, "1", bytes(range(100)))
    path = tmp_path / SNAP / "1"
    content = bytearray(path.read_bytes())
    assert len(content) == len(MAGIC) + DIGEST + 100
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    assert kept.get(SNAP, "1") is None
    assert not path.exists(), "it is not looked at twice"
    kept.put(SNAP, "1", bytes(range(100)))
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % len(whole)])
    assert kept.get(SNAP, "1") is None


def test_a_cached_block_under_anothers_name_is_not_returned(tmp_path: Path) -> None:
    kept = DiskCache(tmp_path, 1 << 20)
    kept.put(SNAP, "1", b"one")
    kept.put(OTHER, "1", b"another snapshot's")
    (tmp_path / SNAP / "1").rename(tmp_path / SNAP / "2")
    (tmp_path / OTHER / "1").rename(tmp_path / SNAP / "1")
    assert kept.get(SNAP, "1") is None
    assert kept.get(SNAP, "2") is None


def test_a_deleted_snapshots_blocks_are_removed_and_no_others(tmp_path: Path) -> None:
    kept = DiskCache(tmp_path, 1 << 20)
    for snapshot in (SNAP, OTHER):
        kept.put(snapshot, "list", b"l")
        kept.put(snapshot, "1", b"1")
    kept.forget(SNAP)
    kept.forget("snap-ffff")
    assert kept.get(SNAP, "1") is kept.get(SNAP, "list") is None
    assert kept.get(OTHER, "1") == b"1"


@pytest.mark.parametrize("name", ["../snap-1", "snap-1/..", "", "snap-", "/etc", "snap-../x"])
def test_names_that_are_no_snapshots_leave_the_directory_alone(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "kept"
    kept = DiskCache(inside, 1 << 20)
    (tmp_path / "precious").write_text("x")
    kept.put(name, "1", b"x")
    kept.forget(name)
    kept.put(SNAP, "../../precious", b"x")
    assert kept.get(name, "1") is None
    assert (tmp_path / "precious").read_text() == "x"
    assert not inside.exists()


def test_the_longest_unused_are_evicted_first(tmp_path: Path) -> None:
    kept = DiskCache(tmp_path, 200_000)
    for number in range(16):
        kept.put(SNAP, str(number), bytes(10_000))
        os.utime(tmp_path / SNAP / str(number), ns=(number * 10**9, number * 10**9))
    assert kept.get(SNAP, "0") is not None  # now it is the newest
    for number in range(16, 24):
        kept.put(SNAP, str(number), bytes(10_000))
    assert kept.get(SNAP, "0") is not None
    assert kept.get(SNAP, "1") is None
    assert kept.get(SNAP, "23") is not None
    assert size_of(tmp_path) <= 200_000 * (1 + 1 / LOOKS)


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def write_many(directory: Path, number: int) -> int:
    """A process that keeps and reads; how often it got what nobody had put."""
    kept = DiskCache(directory, 500_000)
    wrong = 0
    for turn in range(150):
        item = str((number * 37 + turn) % 97)
        kept.put(SNAP, item, item.encode() * 4000)
        for key in (item, str(turn % 97)):
            content = kept.get(SNAP, key)
            wrong += content is not None and content != key.encode() * 4000
        if turn % 50 == 49:
            kept.forget(SNAP)
    return wrong


@pytest.mark.slow
def test_several_processes_share_a_directory_within_its_budget(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.starmap(write_many, [(tmp_path, n) for n in range(3)]) == [0, 0, 0]
    assert size_of(tmp_path) <= 500_000 * (1 + 3 / LOOKS)


def test_an_item_larger_than_the_budget_is_not_kept(tmp_path: Path) -> None:
    kept = DiskCache(tmp_path, 100)
    kept.put(SNAP, "1", bytes(200))
    assert kept.get(SNAP, "1") is None


def test_a_full_or_absent_disk_is_reported_once_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no directory")
    kept = DiskCache(tmp_path / "file" / "kept", 1 << 20)
    for number in range(5):
        kept.put(SNAP, str(number), b"x")
        assert kept.get(SNAP, str(number)) is None
    kept.forget(SNAP)
    assert caplog.text.count("nothing is kept") == 1
