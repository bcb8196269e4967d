"""xfs_db as a second oracle: what it reads in images that this machine's kernel need not mount.

Kernels may be built without version 4. mkfs fills the images, from a list of files.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from sidelight.blocks import ImageFile
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.walk import walk
from sidelight.filesystems.xfs import bmap, layout
from sidelight.filesystems.xfs.inodes import read_raw
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.images.xfs import fixtures, images

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.blocks import Extent

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(bool(images.missing_tools()), reason=images.missing_tools() or "-"),
]

TYPES = {
    "unknown": InodeKind.UNKNOWN,
    "regular": InodeKind.REGULAR,
    "directory": InodeKind.DIRECTORY,
    "fifo": InodeKind.FIFO,
    "symlink": InodeKind.SYMLINK,
    "chardev": InodeKind.CHARACTER,
    "blkdev": InodeKind.BLOCK,
    "socket": InodeKind.SOCKET,
}
LISTED = re.compile(r"^\d+\s+(\d+)\s+(\w+)\s+0x[0-9a-f]+\s+(\d+) (.*) \(good\)$")
EXTENT = re.compile(r"^data offset (\d+) startblock (\d+) \(\d+/\d+\) count (\d+) flag 0$")
UNWRITTEN = re.compile(r"^data offset \d+ startblock \d+ .* flag 1$")
FIELD = re.compile(r"^core\.(\w+) = (\d+)")
FIELDS = ("mode", "size", "uid", "gid", "nlinkv2")


class Found(NamedTuple):
    """What xfs_db says of one inode."""

    fields: dict[str, int]
    extents: list[tuple[int, int, int]]  # in filesystem blocks, as they are written
    listed: list[tuple[bytes, int, str]]


def ask(image: Path, numbers: list[int], directories: set[int]) -> dict[int, Found]:
    """Fields and extents of inodes, entries of directories, in one run."""
    commands: list[str] = []
    for number in numbers:
        commands += ["-c", f"inode {number}", "-c", "inode", "-c", "bmap"]
        for field in FIELDS:
            commands += ["-c", f"print core.{field}"]
        if number in directories:
            commands += ["-c", f"inode {number}", "-c", "ls"]
    found: dict[int, Found] = {}
    now = Found({}, [], [])
    done = subprocess.run(["xfs_db", "-r", *commands, str(image)], check=True, capture_output=True)
    for line in done.stdout.decode("latin-1").split("\n"):
        if match := re.match(r"^current inode number is (\d+)$", line):
            now = found.setdefault(int(match[1]), Found({}, [], []))
        elif match := FIELD.match(line):
            now.fields[match[1]] = int(match[2], 8 if match[1] == "mode" else 10)
        elif match := EXTENT.match(line):
            now.extents.append((int(match[1]), int(match[2]), int(match[3])))
        elif match := LISTED.match(line):
            assert len(match[4]) == int(match[3])
            if match[4] not in (".", ".."):
                now.listed.append((match[4].encode("latin-1"), int(match[1]), match[2]))
        else:
            assert UNWRITTEN.match(line) or not line, line
    return found


@pytest.mark.parametrize(
    "options",
    [
        ("-n", "ftype=0"),
        ("-n", "ftype=1"),
        ("-b", "size=1024", "-n", "size=16384"),
        ("-b", "size=512", "-n", "ftype=0", "-i", "size=256"),
        ("-i", "size=2048", "-n", "size=65536"),
    ],
    ids=" ".join,
)
def test_version_4_reads_as_xfs_db_reads_it(tmp_path: Path, options: tuple[str, ...]) -> None:
    image = images.make(
        tmp_path / "xfs.img", "-m", "crc=0", *options,
        "-p", str(fixtures.write_list(tmp_path, 3000)), size="96M", small=True,
    )  # fmt: skip
    compare(image, 3000)


def test_a_committed_image_reads_as_xfs_db_reads_it(tmp_path: Path) -> None:
    pytest.importorskip("zstandard")
    packed = fixtures.load("clean")
    image = tmp_path / "clean.img"
    with image.open("wb") as file:
        file.truncate(packed.size)
        for index, content in packed.pieces.items():
            file.seek(index * fixtures.PIECE)
            file.write(content)
    compare(image, 100)


def compare(image: Path, paths: int) -> None:
    """Entries of every directory, fields and extents of many inodes."""
    with ImageFile(str(image)) as source:
        filesystem = XfsFilesystem(source)
        listings = {number: entries for level in walk(filesystem) for _, number, entries in level}
        kinds = {number: kind for entries in listings.values() for _, number, kind in entries}
        assert len(kinds) > paths
        # Of thousands of equal files a few are enough.
        inode_numbers = sorted({*listings, *list(kinds)[:40], *list(kinds)[::97]})
        reported = ask(image, inode_numbers, set(listings))
        assert set(reported) == set(inode_numbers)
        inodes = filesystem.inodes(inode_numbers)
        mapped = maps(filesystem, inode_numbers)
        assert filesystem.problems == []
        sb = filesystem._volume.superblock
        for number, facts in reported.items():
            inode = inodes[number]
            fields = (inode.mode, inode.size, inode.uid, inode.gid, inode.links)
            assert facts.fields == dict(zip(FIELDS, fields, strict=True))
            assert mapped.get(number, []) == [
                (at << sb.block_log, sb.block_offset(block), count << sb.block_log)
                for at, block, count in facts.extents
            ]
            if number in listings:
                # Where no types are stored, ours are the inodes' own.
                listed = [
                    (name, child, TYPES[kind] if sb.ftype else kinds[child])
                    for name, child, kind in facts.listed
                ]
                assert sorted(listed) == sorted(listings[number])
            assert kinds.get(number, InodeKind.DIRECTORY) == inode.kind


def maps(filesystem: XfsFilesystem, numbers: list[int]) -> dict[int, list[Extent]]:
    """Of those that have extents."""
    forks = [
        bmap.Fork(raw.number, raw.format, raw.extents, raw.fork)
        for window in read_raw(filesystem._volume, numbers)
        for raw in window
        if raw.format in (layout.FORMAT_EXTENTS, layout.FORMAT_BTREE)
    ]
    mapped = bmap.map_forks(filesystem._volume, forks)
    assert not any(mapping.fault for mapping in mapped.values())
    return {number: mapping.extents for number, mapping in mapped.items()}
