"""`sidelight ls`, `cat` and `tree` on names of all kinds, beside coreutils on the same tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.trees import when
from sidelight.blocks import ImageFile
from sidelight.filesystems.ext import layout
from sidelight.filesystems.ext.reader import ExtFilesystem
from tests.images.ext import tiny

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="needs mkfs.ext4"),
]

ODD = [b"latin-\xe9\xff", b"new\nline", b"\x1b[31mred", b"n" * 255, "é".encode(), b" - ", b"-l"]


@pytest.fixture(scope="module")
def tree_and_disk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tree and the disk that was made of it."""
    folder = tmp_path_factory.mktemp("trees")
    top = folder / "tree"
    (top / "folder/below").mkdir(parents=True)
    raw = os.fsencode(top)
    for name in ODD:
        with open(raw + b"/" + name, "wb") as file:  # noqa: PTH123 - a Path cannot hold these
            file.write(name)
    (top / "large").write_bytes(os.urandom(1 << 20) * 9)
    (top / "folder/link").symlink_to("../large")
    (top / "to-folder").symlink_to("/folder")
    (top / os.fsdecode(b"folder-\xe9/inner")).parent.mkdir()
    (top / os.fsdecode(b"folder-\xe9/inner")).touch()
    (top / "folder/mode").write_text("x")
    (top / "folder/mode").chmod(0o4751)
    os.utime(top / "folder/mode", ns=(0, -(10**9) * 86400 * 365))
    os.utime(top / "large", ns=(0, 10**18))
    os.mkfifo(top / "folder/fifo")
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    command = ["mkfs.ext4", "-q", "-d", str(top), str(image)]
    subprocess.run(command, check=True, capture_output=True)
    return top, image


def sidelight(*words: str | bytes | Path, status: int = 0) -> bytes:
    command = [sys.executable, "-m", "dispatcher.cli", *words]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


def test_a_long_listing_has_the_fields_of_ls(tree_and_disk: tuple[Path, Path]) -> None:
    top, image = tree_and_disk
    ls_lines = subprocess.run(
        ["ls", "-ln", "--time-style=long-iso", str(top / "folder")],
        env={"TZ": "UTC", "LC_ALL": "C", "PATH": os.environ["PATH"]},
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()[1:]  # fmt: skip
    sidelight_lines = sidelight("ls", "-l", image, "/folder").decode().splitlines()

    def fields(line: str) -> list[str]:
        words = line.split()
        # A directory's size is the filesystem's own.
        return [word for at, word in enumerate(words) if at != 4 or line[0] != "d"]

    assert [fields(line) for line in sidelight_lines] == [fields(line) for line in ls_lines]


def test_any_name_is_one_line_and_harmless_to_a_terminal(tree_and_disk: tuple[Path, Path]) -> None:
    top, image = tree_and_disk
    names = sidelight("ls", image, "/").split(b"\n")[:-1]
    assert len(names) == len(list(top.iterdir())) + 1  # lost+found
    assert not any(byte < 0x20 or byte == 0x7F for name in names for byte in name)
    paths = sidelight("tree", image, "/").split(b"\n")[:-1]
    assert {b"/" + name for name in names} <= {path.rstrip(b"/") for path in paths}


@pytest.mark.parametrize("name", ODD[:3])
def test_a_file_of_any_name_is_written_out(tree_and_disk: tuple[Path, Path], name: bytes) -> None:
    assert sidelight("cat", tree_and_disk[1], b"/" + name) == name


def test_a_large_file_is_written_out_whole_through_a_link(tree_and_disk: tuple[Path, Path]) -> None:
    top, image = tree_and_disk
    assert sidelight("cat", image, "/folder/link") == (top / "large").read_bytes()


def test_a_tree_below_a_name_that_is_no_text(tree_and_disk: tuple[Path, Path]) -> None:
    _, image = tree_and_disk
    assert sidelight("tree", image, b"/folder-\xe9/") == b"/folder-\\xe9/inner\n"


def test_a_tree_below_a_link_and_below_a_file(tree_and_disk: tuple[Path, Path]) -> None:
    _, image = tree_and_disk
    below = sidelight("tree", image, "/folder").replace(b"/folder/", b"/to-folder/")
    assert b"/to-folder/below/\n" in below
    assert sidelight("tree", image, "/to-folder") == below
    command = [sys.executable, "-m", "dispatcher.cli", "tree", str(image), "/large"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"/large: not a directory" in done.stderr


def test_a_damaged_inode_leaves_the_listing_of_the_others(tmp_path: Path) -> None:
    data = bytearray(tiny.load("tiny-ext4"))
    image = tmp_path / "disk.img"
    image.write_bytes(data)
    whole = sidelight("ls", "-l", image, "/").splitlines()
    with ImageFile(str(image)) as source:
        fs = ExtFilesystem(source)
        ((_, entries),) = fs.directories([fs.root])
        number = next(number for name, number, _ in entries if name == b"holes")
        raw = fs._inodes.raw(number)
    assert raw is not None
    # A bit of its time: its checksum no longer holds.
    data[data.index(raw) + layout.INODE_MTIME] ^= 1
    image.write_bytes(data)
    damaged = sidelight("ls", "-l", image, "/", status=3).splitlines()
    assert len(damaged) == len(whole)
    assert sum(line.startswith(b"??????????") for line in damaged) == 1


def test_times_past_the_calendar_are_seconds() -> None:
    assert when(0) == "1970-01-01 00:00"
    assert when(10**30) == "1000000000000000000000"
