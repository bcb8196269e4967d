"""Every form of XFS, made by mkfs, filled by the kernel, and equal to what the kernel sees."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.images import kernel
from tests.images.xfs import images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = [
    pytest.mark.mounts,
    pytest.mark.skipif(bool(images.missing_mounts()), reason=images.missing_mounts() or "-"),
]

SHAPES = {
    "default": (),
    "block-512-directory-4k": ("-m", "crc=1", "-b", "size=1024", "-n", "size=4096"),
    "directory-blocks-unlike": ("-b", "size=1024", "-n", "size=16384"),
    "directory-blocks-64k": ("-n", "size=65536"),
    "inodes-1k": ("-i", "size=1024"),
    "inodes-2k": ("-i", "size=2048"),
    "no-bigtime-no-reflink": ("-m", "bigtime=0,reflink=0"),
    "rmapbt": ("-m", "rmapbt=1"),
    "no-finobt-no-sparse": ("-m", "finobt=0", "-i", "sparse=0"),
    "sectors-4k": ("-s", "size=4096"),
    "many-groups": ("-d", "agcount=17"),
    "own-uuid": ("-m", "uuid=11111111-2222-3333-4444-555555555555"),
    "striped": ("-d", "su=64k,sw=4", "-l", "su=256k"),
}


@pytest.fixture(params=SHAPES)
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    image = images.make(tmp_path / "xfs.img", *SHAPES[request.param], size="400M", small=True)
    with kernel.mounted(image, "xfs", "rw") as top:
        images.fill(top, scale=0.3)
    yield image
    image.unlink()


def compare(image: Path, *, replay: bool = False) -> XfsFilesystem:
    """The reader, once its view has proved equal to the kernel's."""
    source = ImageFile(str(image))
    filesystem = XfsFilesystem(source)
    view = kernel.sidelight_view(filesystem)
    kernel_view = kernel.kernel_view(image, "xfs", replay=replay)
    assert kernel.differences(view, kernel_view) == []
    assert filesystem.problems == []
    return filesystem


def test_every_path_is_as_the_kernel_sees_it(filled: Path) -> None:
    filesystem = compare(filled)
    assert filesystem.journal == "clean"
    assert (
        filesystem.uuid
        == subprocess.run(
            ["blkid", "-o", "value", "-s", "UUID", str(filled)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )


def test_64k_blocks(tmp_path: Path) -> None:
    image = images.make(tmp_path / "xfs.img", "-b", "size=65536", size="3G")
    try:
        with kernel.mounted(image, "xfs", "rw") as top:
            images.fill(top, scale=0.03)
    except OSError as error:
        pytest.skip(f"the kernel does not mount blocks larger than its pages: {error}")
    compare(image)


def test_a_changed_uuid_leaves_the_old_one_in_every_block(tmp_path: Path) -> None:
    image = images.make(tmp_path / "xfs.img", "-L", "label-12byte", size="320M")
    with kernel.mounted(image, "xfs", "rw") as top:
        images.fill(top, scale=0.05)
    images.run("xfs_admin", "-U", "12345678-1234-1234-1234-123456789abc", str(image))
    filesystem = compare(image)
    assert filesystem.uuid == "12345678-1234-1234-1234-123456789abc"
    assert filesystem.label == "label-12byte"


def test_large_extent_counts_where_mkfs_knows_them(tmp_path: Path) -> None:
    try:
        image = images.make(tmp_path / "xfs.img", "-i", "nrext64=1", size="320M")
    except subprocess.CalledProcessError:
        pytest.skip("mkfs.xfs has no nrext64")
    with kernel.mounted(image, "xfs", "rw") as top:
        images.fill(top, scale=0.2)
    compare(image)


def test_clones_and_inodes_in_pieces_of_free_space(tmp_path: Path) -> None:
    """Reflink, and sparse inode chunks: free space is left in single blocks only."""
    image = images.make(tmp_path / "xfs.img", size="64M", small=True)
    with kernel.mounted(image, "xfs", "rw") as top:
        (top / "one").write_bytes(b"one" * 100_000)
        images.run("cp", "--reflink=always", str(top / "one"), str(top / "two"))
        with (top / "two").open("r+b") as file:
            file.seek(8192)
            file.write(b"unshared")
        _leave_holes(top)
        for index in range(3000):
            try:
                (top / f"inode-{index}").touch()
            except OSError:
                break
    compare(image)


def _leave_holes(top: Path, size: int = 4096) -> None:
    """Fill up, then free every second file of one block."""
    # Else the kernel keeps megabytes back, in one piece.
    images.run("xfs_io", "-x", "-c", "resblks 256", str(top))
    folder = top / "filler"
    folder.mkdir()
    (folder / "rest").touch()
    paths = []
    try:
        for index in range(60_000):
            path = folder / str(index)
            path.write_bytes(b"x" * size)
            paths.append(path)
    except OSError:
        pass
    with contextlib.suppress(OSError), (folder / "rest").open("ab", buffering=0) as rest:
        while rest.write(b"r" * size):
            pass
    subprocess.run(["sync", "-f", str(top)], check=True)
    for path in paths[::3]:
        path.unlink()


@pytest.mark.slow
def test_a_directory_whose_extents_need_a_tree(tmp_path: Path) -> None:
    """A directory's blocks lie apart because files are written between them."""
    image = images.make(tmp_path / "xfs.img", "-i", "size=512", "-b", "size=1024", size="320M")
    with kernel.mounted(image, "xfs", "rw") as top:
        folder = top / "crowd"
        folder.mkdir()
        for index in range(6000):
            (folder / f"{'n' * 100}{index}").touch()
            if index % 7 == 0:
                (top / f"between{index}").write_bytes(b"y" * 1000)
    filesystem = compare(image)
    number = {
        name: child
        for name, child, _ in dict(filesystem.directories([filesystem.root]))[filesystem.root]
    }[b"crowd"]
    assert "core.format = 3" in images.run(
        "xfs_db", "-r", "-c", f"inode {number}", "-c", "p core.format", str(image)
    )
