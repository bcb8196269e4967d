"""Directory blocks larger than the filesystem's, in several places on the disk."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.images.xfs import fixtures, images

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 1024


@pytest.mark.images
@pytest.mark.skipif(bool(images.missing_tools()), reason=images.missing_tools() or "-")
def test_a_directory_block_in_three_places_gives_the_same_entries(tmp_path: Path) -> None:
    """The kernel makes such blocks when free space has no longer run; here they are moved apart."""
    image = images.make(
        tmp_path / "xfs.img", "-m", "crc=0", "-b", f"size={BLOCK}", "-n", "size=16384",
        "-p", str(fixtures.write_list(tmp_path, 10)), size="24M", small=True,
    )  # fmt: skip
    with ImageFile(str(image)) as source:
        filesystem = XfsFilesystem(source)
        root = dict(filesystem.directories([filesystem.root]))[filesystem.root]
        (number,) = [number for name, number, _ in root if name == b"block"]
        before = dict(filesystem.directories([number]))[number]
        assert len(before) == 41
        superblock = source.read_at(0, 512)
        (group_blocks,) = struct.unpack_from(">I", superblock, 84)
        inode = ((number >> superblock[123]) * BLOCK) + (number & ((1 << superblock[123]) - 1)) * (
            1 << superblock[122]
        )
        (low,) = struct.unpack(">Q", source.read_at(inode + 108, 8))
        block = low >> 21
        assert low & 0x1FFFFF == 16
        data = source.read_at(block * BLOCK, 16 * BLOCK)
    free = group_blocks - 64
    with image.open("r+b") as file:
        records = b""
        for first, count, place in ((0, 5, free + 20), (5, 1, free), (6, 10, free + 5)):
            file.seek(place * BLOCK)
            file.write(data[first * BLOCK : (first + count) * BLOCK])
            records += struct.pack(">QQ", first << 9, place << 21 | count)
        file.seek(block * BLOCK)
        file.write(bytes(16 * BLOCK))
        file.seek(inode + 76)
        file.write(struct.pack(">I", 3))
        file.seek(inode + 100)
        file.write(records)
    with ImageFile(str(image)) as source:
        filesystem = XfsFilesystem(source)
        assert dict(filesystem.directories([number]))[number] == before
        assert filesystem.problems == []
