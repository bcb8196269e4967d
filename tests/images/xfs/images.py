"""Recipes for XFS images. Needs xfsprogs; filling one needs root and loop devices as well."""

from __future__ import annotations

import functools
import os
import random
import shutil
import subprocess
from pathlib import Path

from tests.images.kernel import mounted, unmountable

# mkfs.xfs refuses filesystems under 300 MB and logs under 64 MB, but for these three names.
# A newer mkfs.xfs than the system's (a path), for what that cannot make.
MKFS = "MKFS_XFS"
SMALL = {"TEST_DIR": "x", "TEST_DEV": "x", "QA_CHECK_FS": "1"}


def run(*command: str, small: bool = False, stdin: str = "") -> str:
    """Run a program of the system; its standard output."""
    environment = os.environ | {"LC_ALL": "C"} | (SMALL if small else {})
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, input=stdin
    )
    return done.stdout


@functools.cache
def missing_tools() -> str:
    """Why no image can be made here; empty where one can."""
    names = [name for name in ("mkfs.xfs", "xfs_db") if not shutil.which(name)]
    return f"{' and '.join(names)} of xfsprogs are absent" if names else ""


@functools.cache
def missing_mounts() -> str:
    """Why no image can be mounted here; empty where one can."""
    known = Path("/proc/filesystems")
    if why := missing_tools() or unmountable():
        return why
    return "" if "xfs" in known.read_text(encoding="ascii").split() else "this kernel has no XFS"


def make(image: Path, *options: str, size: str = "320M", small: bool = False) -> Path:
    """A new filesystem in a sparse file."""
    image.unlink(missing_ok=True)
    run("truncate", "-s", size, str(image))
    run(os.environ.get(MKFS, "mkfs.xfs"), "-q", *options, str(image), small=small)
    return image


def fill(top: Path, seed: int = 1, scale: float = 1.0) -> None:
    """A tree with every form that directories, links and files take."""
    chance = random.Random(seed)
    (top / "a/b/c").mkdir(parents=True)
    for index in range(5):
        (top / f"a/f{index}").write_bytes(b"%06d\n" % index * (index * 500))
    for name, count in (("few", 10), ("block", 30), ("leaf", 500), ("node", 3000)):
        _fill_directory(top / name, int(count * min(scale, 1) if count > 30 else count), chance)
    os.mknod(top / "character", 0o020600, os.makedev(5, 1))
    os.mknod(top / "block-device", 0o060600, os.makedev(7, 1))
    os.link(top / "a/f4", top / "hard")
    (top / os.fsdecode(b"\xff\xfe\x80")).write_bytes(b"no UTF-8")
    (top / ("z" * 255)).touch()
    (top / "long-link").symlink_to("t" * 1023)
    (top / "short-link").symlink_to("short")
    with (top / "pieces").open("wb") as file:
        for index in range(0, int(4000 * scale), 2):
            file.seek(index * 8192)
            file.write(b"%07d\n" % index * 512)
    with (top / "hole").open("wb") as file:
        file.truncate(1 << 28)
    with (top / "allocated-ahead").open("wb") as file:
        file.write(b"q" * 10000)
        file.flush()
        os.posix_fallocate(file.fileno(), 0, 1 << 18)
    os.utime(top / "a/f1", ns=(-5_500_000_000, -7_250_000_001))
    os.chown(top / "a/f2", 70000, 70001)


def _fill_directory(directory: Path, count: int, chance: random.Random) -> None:
    directory.mkdir()
    for index in range(count):
        path = directory / ("n" * chance.randrange(1, 200) + str(index))
        kind = chance.randrange(20)
        if kind == 0:
            path.mkdir()
        elif kind == 1:
            path.symlink_to("t" * chance.randrange(1, 1000))
        elif kind == 2:
            os.mkfifo(path)
        else:
            path.write_bytes(b"x" * chance.randrange(50))
    if count > 100:
        for index, path in enumerate(sorted(directory.iterdir())):
            if index % 3 == 0 and (path.is_symlink() or not path.is_dir()):
                path.unlink()


def make_dirty(
    image: Path, flags: str, *options: str, size: str = "200M", count: int = 300
) -> Path:
    """An image that was shut down hard in the middle of changes that its log holds."""
    make(image, *options, size=size, small=True)
    with mounted(image, "xfs", "rw") as top:
        (top / "old").mkdir()
        for index in range(count):
            (top / f"old/{'n' * 30}{index}").write_bytes(b"x" * index)
        (top / "pieces").write_bytes(b"")
        run("sync", "-f", str(top))
    with mounted(image, "xfs", "rw") as top:
        for index in range(0, count, 2):
            (top / f"old/{'n' * 30}{index}").unlink()
        (top / "new").mkdir()
        for index in range(count * 2 // 3):
            (top / f"new/{index}").symlink_to("t" * (index * 5 % 1000 + 1))
        with (top / "pieces").open("wb") as file:
            for index in range(count * 2 // 3):
                file.seek(index * 16384)
                file.write(b"piece")
        (top / f"old/{'n' * 30}1").rename(top / "new/renamed")
        # Once more around: inode chunks are given up and made again.
        run("rm", "-r", str(top / "new"))
        (top / "newer").mkdir()
        for index in range(count * 5 // 3):
            (top / f"newer/{index}").write_bytes(b"y" * (index % 50))
        run("xfs_io", "-x", "-c", f"shutdown {flags}".strip(), str(top))
    return image
