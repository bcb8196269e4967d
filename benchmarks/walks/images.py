"""The disks of the walk benchmarks, made by recipe where they are absent.

`debian-<kind>.img` is the tree of make_debian.sh, `files-<kind>.img` 300,000 small files, both
filled through the kernel. `files-ext4-d.img` holds the latter as `mke2fs -d` lays it out: each
directory between the files of others. Needs root, loop devices, and mmdebstrap for the first.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.images.kernel import mounted  # noqa: E402 - a script finds its own checkout first

BUILD = ROOT / "build"
DEBIAN = BUILD / "debian.img"
PARTITION = 2 << 20
KINDS = ("ext4", "ext3", "xfs")
MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F"),
    "ext3": ("mkfs.ext3", "-q", "-F"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
}
FILES = 300_000


def debian(kind: str) -> Path:
    """The Debian tree on this kind of filesystem, without partitions."""
    image = BUILD / f"debian-{kind}.img"
    if not image.exists():
        if not DEBIAN.exists():
            BUILD.mkdir(exist_ok=True)
            subprocess.run([ROOT / "benchmarks" / "make_debian.sh", DEBIAN], check=True)
        part = _blank(image, 5 << 30)
        subprocess.run([*MAKE[kind], part], check=True)
        with (
            mounted(DEBIAN, "ext4", "ro,noload", PARTITION) as tree,
            mounted(part, kind, "rw") as top,
        ):
            subprocess.run(["cp", "-a", f"{tree}/.", top], check=True)
        part.rename(image)
    return image


def files(kind: str, count: int = FILES) -> Path:
    """So many small files and links on this kind of filesystem."""
    image = BUILD / f"files-{kind}-{count}.img"
    if not image.exists():
        part = _blank(image, (1 << 30) + count * 12_000)
        more = ["-N", str(count * 5 // 4 + 100_000)] if kind.startswith("ext") else []
        subprocess.run([*MAKE[kind], *more, part], check=True)
        with mounted(part, kind, "rw") as top:
            fill(top, count)
        part.rename(image)
    return image


def laid_out_by_mke2fs(count: int = FILES) -> Path:
    """The same files on an ext4 that `mke2fs -d` filled."""
    image = BUILD / f"files-ext4-d-{count}.img"
    if not image.exists():
        part = _blank(image, (1 << 30) + count * 12_000)
        more = ["-N", str(count * 5 // 4 + 100_000)]
        with ExitStack() as stack:
            tree = stack.enter_context(mounted(files("ext4", count), "ext4", "ro,noload"))
            subprocess.run([*MAKE["ext4"], *more, "-d", tree, part], check=True)
        part.rename(image)
    return image


def one_directory(kind: str, count: int) -> Path:
    """So many empty files in one directory, with names without a suffix."""
    image = BUILD / f"one-directory-{kind}-{count}.img"
    if not image.exists():
        BUILD.mkdir(exist_ok=True)
        part = _blank(image, (1 << 30) + count * 2_500)
        more = ["-N", str(count + 100_000)] if kind.startswith("ext") else []
        subprocess.run([*MAKE[kind], *more, part], check=True)
        with mounted(part, kind, "rw") as top:
            spool = top / "var/spool/jobs"
            spool.mkdir(parents=True)
            for number in range(count):
                os.close(os.open(spool / f"{number:08x}-job", os.O_CREAT | os.O_WRONLY, 0o600))
        part.rename(image)
    return image


def fill(top: Path, count: int) -> None:
    """`count` files of up to 240 bytes, in directories of 1 to 5,000 entries, in one deep tree."""
    chance = random.Random(300)  # noqa: S311 - a recipe, not a secret
    folders, written = [str(top)], 0
    while written < count:
        folder = f"{chance.choice(folders[-2000:])}/dir-{len(folders)}"
        Path(folder).mkdir()
        folders.append(folder)
        entries = chance.choice([1, 3, 5, 8, 12, 20, 30, 60])
        if len(folders) % 1500 == 0:
            entries = 5000
        for index in range(min(entries, count - written)):
            ending = chance.choice(["py", "txt", "so.6"])
            path = Path(f"{folder}/{'name' * chance.randrange(1, 5)}-{index}.{ending}")
            if chance.random() < 0.05:
                path.symlink_to("../target")
            else:
                path.write_bytes(b"x" * (index % 60 * 4))
        written += entries


def _blank(image: Path, size: int) -> Path:
    image.parent.mkdir(parents=True, exist_ok=True)
    part = image.with_suffix(".part")
    with part.open("wb") as file:
        file.truncate(size)
    return part
