"""Frozen images against the files they were made of."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight.localcloud.freeze import BLOCK, FrozenImage, freeze
from tests.fixtures.local_clouds import write_blocks

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@given(
    blocks=st.dictionaries(st.integers(0, 40), st.binary(min_size=1, max_size=9), max_size=8),
    tail=st.integers(0, BLOCK),
)
@settings(max_examples=40)
def test_a_frozen_image_has_the_same_bytes_and_lists_what_is_not_zero(
    tmp_path_factory: pytest.TempPathFactory, blocks: dict[int, bytes], tail: int
) -> None:
    home = tmp_path_factory.mktemp("freeze")
    image = home / "disk.img"
    write_blocks(image, 41 * BLOCK + tail, blocks)
    freeze(image, home / "frozen.img")
    frozen = FrozenImage(home / "frozen.img")
    assert list(frozen.written()) == sorted(i for i, data in blocks.items() if data.strip(b"\0"))
    for index, data in blocks.items():
        assert frozen.read(index) == data.ljust(BLOCK, b"\0")
    assert frozen.path.stat().st_size == image.stat().st_size


def test_later_writes_to_the_image_do_not_show(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    write_blocks(image, 8 * BLOCK, {1: b"before"})
    freeze(image, tmp_path / "frozen.img")
    write_blocks(image, 16 * BLOCK, {1: b"after!", 2: b"more"})
    frozen = FrozenImage(tmp_path / "frozen.img")
    assert list(frozen.written()) == [1]
    assert frozen.read(1).startswith(b"before")


def test_a_copy_stays_sparse(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    write_blocks(image, 1 << 34, {5: b"x", 20000: b"y"})
    freeze(image, tmp_path / "frozen.img")
    assert (tmp_path / "frozen.img").stat().st_blocks * 512 < 4 << 20


def test_an_immutable_image_is_linked_not_copied(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    write_blocks(image, BLOCK, {0: b"x"})
    freeze(image, tmp_path / "frozen.img", immutable=True)
    assert (tmp_path / "frozen.img").stat().st_ino == image.stat().st_ino


def test_without_copy_file_range_the_bytes_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError

    image = tmp_path / "disk.img"
    write_blocks(image, 9 * BLOCK + 5, {0: b"a" * 3_000_000, 8: b"b"})
    monkeypatch.setattr(os, "copy_file_range", refuse)
    freeze(image, tmp_path / "frozen.img")
    assert (tmp_path / "frozen.img").read_bytes() == image.read_bytes()


def test_the_last_block_is_filled_with_zeros(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    write_blocks(image, BLOCK + 3, {1: b"end"})
    frozen = FrozenImage(image)
    assert frozen.read(1) == b"end" + bytes(BLOCK - 3)
    assert frozen.read(2) == bytes(BLOCK)


def test_a_digest_is_the_blocks_sha256(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    write_blocks(image, BLOCK, {0: b"x"})
    frozen = FrozenImage(image)
    data = frozen.read(0)
    assert frozen.digest(0, data) == hashlib.sha256(data).digest()
