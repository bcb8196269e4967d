"""Recipes of ext images: mke2fs from a tree, filled through a loop mount, or changed by debugfs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.images.kernel import mounted, unmountable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Every file's times, so that two runs of a recipe give the same facts.
WHEN_NS = 1_600_000_000_123_456_789
# How mke2fs is asked for the first revision: by e2fsprogs 1.47.0, and by 1.47.2.
REVISION_0 = (("-r", "0"), ("-E", "revision=0"))


@dataclass(frozen=True, slots=True)
class Case:
    """One feature: mke2fs's options, the mount's type, the image's size in MiB."""

    name: str
    options: tuple[str, ...]
    fstype: str = "ext4"
    size: int = 64


# What this kernel can mount (blocks of at most a page) is compared with its own mount.
CASES = (
    Case("ext2", ("-t", "ext2"), "ext2"),
    Case("ext2-1k", ("-t", "ext2", "-b", "1024"), "ext2"),
    Case("ext2-old-inodes-no-filetype", ("-t", "ext2", "-I", "128", "-O", "^filetype"), "ext2"),
    Case("ext2-revision-0", ("-t", "ext2", "-b", "1024", *REVISION_0[0]), "ext2"),
    Case("ext3", ("-t", "ext3"), "ext3"),
    Case("ext3-meta-bg", ("-t", "ext3", "-O", "meta_bg,^resize_inode", "-b", "1024"), "ext3"),
    Case("ext4", ("-t", "ext4")),
    Case("ext4-1k", ("-t", "ext4", "-b", "1024")),
    Case("ext4-2k", ("-t", "ext4", "-b", "2048")),
    Case("ext4-32bit", ("-t", "ext4", "-O", "^64bit")),
    Case("ext4-uninit", ("-t", "ext4", "-O", "^metadata_csum,uninit_bg")),
    Case("ext4-no-checksums", ("-t", "ext4", "-O", "^metadata_csum,^uninit_bg")),
    Case("ext4-meta-bg", ("-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024")),
    Case("ext4-no-flex-bg", ("-t", "ext4", "-O", "^flex_bg", "-b", "1024")),
    Case("ext4-bigalloc", ("-t", "ext4", "-O", "bigalloc", "-C", "16384")),
    Case("ext4-bigalloc-1k", ("-t", "ext4", "-O", "bigalloc", "-b", "1024", "-C", "8192")),
    Case("ext4-sparse-super2", ("-t", "ext4", "-O", "sparse_super2", "-b", "1024")),
    Case("ext4-no-sparse-super", ("-t", "ext4", "-O", "^sparse_super,^resize_inode")),
    Case("ext4-inline", ("-t", "ext4", "-O", "inline_data")),
    Case("ext4-inline-1k-inodes", ("-t", "ext4", "-O", "inline_data", "-I", "1024")),
    Case("ext4-ea-inode", ("-t", "ext4", "-O", "ea_inode")),
    Case("ext4-csum-seed", ("-t", "ext4", "-O", "metadata_csum_seed")),
    Case("ext4-orphan-file", ("-t", "ext4", "-O", "orphan_file")),
    Case("ext4-large-dir", ("-t", "ext4", "-O", "large_dir", "-b", "1024")),
    Case("ext4-old-inodes", ("-t", "ext4", "-I", "128")),
    Case("ext4-no-extents", ("-t", "ext4", "-O", "^extents,^64bit")),
    Case("ext4-no-journal", ("-t", "ext4", "-O", "^has_journal")),
    Case("ext4-quota", ("-t", "ext4", "-O", "quota,project")),
    Case("ext4-few-inodes-a-group", ("-t", "ext4", "-b", "1024", "-N", "4096")),
)
# What it cannot mount is compared with the tree that mke2fs was given.
UNMOUNTABLE = (
    Case("ext4-8k", ("-t", "ext4", "-b", "8192")),
    Case("ext4-64k", ("-t", "ext4", "-b", "65536"), size=512),
    Case("ext4-casefold", ("-t", "ext4", "-O", "casefold", "-E", "encoding=utf8")),
)


def missing() -> str:
    """Why no image can be made here; empty where one can."""
    return "" if shutil.which("mke2fs") else "needs mke2fs"


def make(image: Path, case: Case, tree: Path | None = None) -> Path:
    """An image of one case, from a tree or empty."""
    with image.open("wb") as file:
        file.truncate(case.size << 20)
    from_tree = ["-d", str(tree)] if tree else []
    old, new = REVISION_0
    options = case.options
    if options[-2:] == old and not _knows_revision_0(image):
        options = options[:-2] + new
    _run("mke2fs", "-q", "-F", *options, *from_tree, str(image))
    return image


def _knows_revision_0(image: Path) -> bool:
    """Whether this mke2fs has the older option; nothing is written."""
    command = ["mke2fs", "-n", "-q", "-F", *REVISION_0[0], str(image)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def stored_mtime_ns(image: Path, path: str) -> int:
    """A file's time as debugfs reads it from the image."""
    stat = _run("debugfs", "-R", f"stat {path}", str(image))
    found = re.search(r"^ *mtime: 0x([0-9a-f]{8})(?::([0-9a-f]{8}))?", stat, re.MULTILINE)
    assert found, stat
    seconds, extra = (int(digits or "0", 16) for digits in found.groups())
    seconds -= (seconds & 1 << 31) << 1
    return (seconds + ((extra & 3) << 32)) * 10**9 + (extra >> 2)


def fill(image: Path, case: Case, work: Callable[[Path], None], options: str = "rw") -> Path:
    """Let `work` change the mounted image; it is unmounted cleanly."""
    with mounted(image, case.fstype, options) as top:
        work(top)
    return image


def debugfs(image: Path, *commands: str) -> str:
    """Run debugfs commands that may write."""
    script = "\n".join(commands) + "\n"
    return _run("debugfs", "-w", "-f", "/dev/stdin", str(image), text=script)


def sample_tree(top: Path) -> None:
    """Names, sizes, types and links of every kind, small enough for 64 MiB."""
    top.mkdir(exist_ok=True)
    for size in (0, 1, 59, 60, 61, 100, 160, 1023, 1024, 4096, 4097, 70000):
        (top / f"size-{size}").write_bytes(os.urandom(size))
    with (top / "sparse").open("wb") as file:
        for offset in (3 << 10, 300 << 10, 5 << 20, 70 << 20):
            file.seek(offset)
            file.write(os.urandom(1500))
        file.truncate(71 << 20)
    for length in (1, 59, 60, 61, 200, 1023):
        (top / f"link-{length}").symlink_to("t" * length)
    raw = os.fsencode(top)
    for odd in (b"latin-\xe9\xff", b"n" * 255, b"new\nline", b"\x01", "é".encode()):
        with open(raw + b"/" + odd, "wb") as file:  # noqa: PTH123 - a Path cannot hold these names
            file.write(odd)
    (top / "hard").hardlink_to(top / "size-100")
    for name, count in (("empty", 0), ("few", 3), ("inline", 6), ("many", 900)):
        folder = top / name
        folder.mkdir()
        for n in range(count):
            (folder / f"{n:04}").touch()
    nested = top / "nested"
    for n in range(12):
        nested = nested / f"level-{n}"
    nested.mkdir(parents=True)
    (nested / "deep").write_text("deep")
    os.mkfifo(top / "fifo")
    (top / "size-1").chmod(0o4751)
    if os.geteuid() == 0:
        os.chown(top / "size-0", 70000, 80000)
        os.mknod(top / "null", 0o20666, os.makedev(1, 3))
        os.mknod(top / "disk", 0o60600, os.makedev(300, 70000))
    settle(top)
    os.utime(top / "size-59", ns=(0, -(10**9) * 1000))
    os.utime(top / "size-60", ns=(0, (1 << 33) * 10**9 + 7))


def settle(top: Path) -> None:
    """The same times everywhere."""
    for place, folders, files in os.walk(os.fsencode(top), topdown=False):
        for name in folders + files:
            os.utime(place + b"/" + name, ns=(WHEN_NS, WHEN_NS), follow_symlinks=False)
    os.utime(top, ns=(WHEN_NS, WHEN_NS))


def fragmented(top: Path) -> None:
    """Files whose extent trees are deep: every second block of a file is a hole."""
    block = os.statvfs(top).f_bsize
    with (top / "fragmented").open("wb") as file:
        for n in range(3000):
            file.seek(n * 2 * block)
            file.write(n.to_bytes(4, "little"))


def far_blocks(top: Path) -> None:
    """A file with blocks under the single, double and triple indirect trees."""
    block = os.statvfs(top).f_bsize
    per = block // 4
    with (top / "far").open("wb") as file:
        for at in (0, 11, 12, 12 + per - 1, 12 + per, 12 + per + per * per, 13 + per * (per + 5)):
            file.seek(at * block)
            file.write(at.to_bytes(8, "little"))


def attributes(top: Path) -> None:
    """Extended attributes: in inodes, in blocks and, with ea_inode, in inodes of their own."""
    room = os.statvfs(top).f_bsize // 2
    for n, size in enumerate((4, 60, 300, room, 8000)):
        path = top / f"file-{n}"
        path.write_bytes(b"d" * (n * 40))
        with suppress(OSError):  # 8000 bytes fit only with ea_inode
            os.setxattr(path, "user.attribute", b"v" * size)
        path.with_suffix(".link").symlink_to("t" * 50)
        with suppress(OSError):
            os.setxattr(path.with_suffix(".link"), "trusted.a", b"v" * 300, follow_symlinks=False)


def large_directory(top: Path) -> None:
    """Thousands of names, many removed again: hash trees with more than one level at 1 KiB."""
    folder = top / "large"
    folder.mkdir()
    for n in range(6000):
        (folder / f"{n:06}-{'x' * (n % 180)}").touch()
    for n in range(0, 6000, 3):
        (folder / f"{n:06}-{'x' * (n % 180)}").unlink()


def why_not_mountable() -> str:
    """Why loop mounts or mke2fs are unavailable; empty where both are there."""
    return missing() or unmountable()


def _run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=text)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout + done.stderr


# Small enough for thousands of inputs a second; committed beside this file as <name>.img.xz, made
# by `python -m tests.images.ext.tiny`.
TINY = (
    Case("tiny-ext2", ("-t", "ext2", "-b", "1024", "-N", "64"), "ext2", 1),
    Case("tiny-ext4", ("-t", "ext4", "-b", "1024", "-N", "64", "-O", "^has_journal"), size=1),
    Case(
        "tiny-inline",
        ("-t", "ext4", "-b", "1024", "-N", "64", "-O", "^has_journal,^metadata_csum,inline_data"),
        size=1,
    ),
    Case(
        "tiny-journal",
        ("-t", "ext4", "-b", "1024", "-N", "64", "-O", "^metadata_csum,^resize_inode"),
        size=3,
    ),
    Case("tiny-checked-journal", ("-t", "ext4", "-b", "1024", "-N", "64"), size=3),
    Case(
        "tiny-fast-commit",
        ("-t", "ext4", "-b", "1024", "-N", "128", "-J", "fast_commit_size=64", "-O", "fast_commit"),
        size=4,
    ),
)


def tiny_tree(top: Path) -> None:
    """A few of everything, in some 20 inodes."""
    top.mkdir()
    for name in ("one", "two", "three"):
        (top / "folder" / name).mkdir(parents=True)
    (top / "folder/one/text").write_text("text\n" * 5)
    (top / "folder/large").write_bytes(bytes(range(256)) * 120)
    with (top / "holes").open("wb") as file:
        for n in range(14):
            file.seek(n * 20480)
            file.write(b"data")
    (top / "short").symlink_to("folder/one")
    (top / "long").symlink_to("folder/" * 20)
    for n in range(45):
        (top / "folder/two" / f"a-name-of-some-length-{n}").hardlink_to(top / "folder/one/text")
    settle(top)
