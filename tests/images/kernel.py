"""The oracle: a filesystem as the kernel's own read-only mount shows it, path by path.

Needs root and loop devices; `unmountable()` says why not. What was attached is always detached.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sidelight.filesystems.protocol import InodeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.filesystems.protocol import Filesystem

# Files are compared whole up to this many bytes.
CONTENT_LIMIT = 1 << 30

KINDS = {
    stat.S_IFREG: InodeKind.REGULAR,
    stat.S_IFDIR: InodeKind.DIRECTORY,
    stat.S_IFCHR: InodeKind.CHARACTER,
    stat.S_IFBLK: InodeKind.BLOCK,
    stat.S_IFIFO: InodeKind.FIFO,
    stat.S_IFSOCK: InodeKind.SOCKET,
    stat.S_IFLNK: InodeKind.SYMLINK,
}

# So that no journal is replayed: the mount must change nothing.
CLEAN_OPTIONS = {
    "ext2": "ro",
    "ext3": "ro,noload",
    "ext4": "ro,noload",
    "xfs": "ro,norecovery,nouuid",
    # The kernel wants a writable device for a log tree; the images compared have none.
    "btrfs": "ro",
}
REPLAY_OPTIONS = {"ext2": "ro", "ext3": "ro", "ext4": "ro", "xfs": "ro,nouuid"}


@dataclass(frozen=True, slots=True)
class PathFacts:
    """What must be equal. `mode` as in st_mode; `content` is a SHA-256 or a link's target."""

    kind: InodeKind
    size: int
    content: bytes
    mode: int
    mtime_ns: int
    uid: int
    gid: int
    links: int


def unmountable() -> str:
    """Why loop mounts do not work here; empty where they do."""
    if os.geteuid() != 0:
        return "needs root, to mount images"
    if not Path("/dev/loop-control").exists():
        return "needs loop devices"
    return ""


@contextmanager
def mounted(image: Path, fstype: str, options: str, offset: int = 0) -> Iterator[Path]:
    """`image` mounted from byte `offset` with these options, unmounted and detached at the end.

    The loop device itself is read-only where the options hold `noload` or `norecovery`.
    """
    keep = {"noload", "norecovery"} & set(options.split(","))
    attach = [
        "losetup",
        "--find",
        "--show",
        f"--offset={offset}",
        *(["--read-only"] if keep else []),
    ]
    device = _run([*attach, str(image)]).strip()
    try:
        with tempfile.TemporaryDirectory(prefix="sidelight-mount-") as point:
            _run(["mount", "-t", fstype, "-o", options, device, point])
            try:
                yield Path(point)
            finally:
                _run(["umount", point])
    finally:
        _run(["losetup", "--detach", device])


@contextmanager
def reflinks(folder: Path, size: int) -> Iterator[Path]:
    """A new directory for files whose `copy_at_once` is of one instant, as a snapshot's blocks are.

    It lies on an XFS of `size` bytes in `folder`. A copy that takes its time while the filesystem
    in the file is in use has states that no disk ever had: an old block, and a log without it.
    """
    host = folder / "host.img"
    with host.open("wb") as file:
        file.truncate(size)
    _run(["mkfs.xfs", "-q", "-m", "reflink=1", str(host)])
    with mounted(host, "xfs", "rw") as place:
        yield place
    host.unlink()


def copy_at_once(image: Path, copy: Path) -> None:
    """By reflink: every write to the image is before it or after it."""
    _run(["cp", "--reflink=always", "--", str(image), str(copy)])


def kernel_view(
    image: Path, fstype: str, offset: int = 0, *, replay: bool = False, writable: bool = False
) -> dict[bytes, PathFacts]:
    """Every path of the image, `/` included, as the kernel shows it.

    With `replay` a copy of the image is mounted, so that the kernel may replay the journal; the
    image itself never changes. `writable` mounts that copy so: ext4 replays fast commits only then.
    """
    if not replay:
        with mounted(image, fstype, CLEAN_OPTIONS[fstype], offset) as point:
            return tree_view(point)
    with tempfile.TemporaryDirectory(prefix="sidelight-replay-") as folder:
        copy = Path(folder) / "copy.img"
        _run(["cp", "--sparse=always", "--", str(image), str(copy)])
        options = "rw" if writable else REPLAY_OPTIONS[fstype]
        with mounted(copy, fstype, options, offset) as point:
            return tree_view(point)


def tree_view(top: Path) -> dict[bytes, PathFacts]:
    """Every path under a directory, relative to it, beginning with `/`."""
    root = os.fsencode(top)
    view = {b"/": _facts(root)}
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                facts = _facts(entry.path)
                view[entry.path[len(root) :]] = facts
                if facts.kind is InodeKind.DIRECTORY:
                    waiting.append(entry.path)
    return view


def sidelight_view(fs: Filesystem) -> dict[bytes, PathFacts]:
    """Every path as a reader shows it, made with the protocol's own batched calls.

    What the reader could not give is absent, so that a comparison shows it.
    """
    paths: dict[bytes, int] = {b"/": fs.root}
    kinds: dict[bytes, int] = {b"/": InodeKind.DIRECTORY}
    level: list[tuple[bytes, int]] = [(b"", fs.root)]
    while level:
        names: dict[int, list[bytes]] = {}
        for path, number in level:
            names.setdefault(number, []).append(path)
        level = []
        for number, entries in fs.directories(list(names)):
            for name, child, kind in entries:
                for parent in names[number]:
                    path = parent + b"/" + name
                    paths[path] = child
                    kinds[path] = kind
                    if kind == InodeKind.DIRECTORY:
                        level.append((path, child))
    inodes = fs.inodes(list(set(paths.values())))
    regular = [inode.number for inode in inodes.values() if inode.kind is InodeKind.REGULAR]
    content = {
        number: hashlib.sha256(data).digest()
        for number, data in fs.contents(regular, CONTENT_LIMIT)
        if isinstance(data, bytes)
    }
    view = {}
    for path, number in paths.items():
        inode = inodes.get(number)
        if inode is None or (inode.kind is InodeKind.REGULAR and number not in content):
            continue
        if kinds[path] != inode.kind:
            raise AssertionError(f"{path!r}: entry says {kinds[path]}, inode says {inode.kind}")
        link = inode.kind is InodeKind.SYMLINK
        view[path] = PathFacts(
            kind=inode.kind,
            size=inode.size,
            content=fs.readlink(number) if link else content.get(number, b""),
            mode=inode.mode,
            mtime_ns=inode.mtime_ns,
            uid=inode.uid,
            gid=inode.gid,
            links=inode.links,
        )
    return view


def differences(
    own_facts: dict[bytes, PathFacts], kernel_facts: dict[bytes, PathFacts], most: int = 20
) -> list[str]:
    """What differs, a line a path, at most `most` of them; empty where the views are equal."""
    lines = [
        f"{path!r}: ours {own_facts.get(path)} kernel {kernel_facts.get(path)}"
        for path in sorted(own_facts.keys() | kernel_facts.keys())
        if own_facts.get(path) != kernel_facts.get(path)
    ]
    return lines[:most]


def _facts(path: bytes) -> PathFacts:
    status = os.lstat(path)
    kind = KINDS[stat.S_IFMT(status.st_mode)]
    content = b""
    if kind is InodeKind.REGULAR:
        with Path(os.fsdecode(path)).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    elif kind is InodeKind.SYMLINK:
        content = os.readlink(path)  # noqa: PTH115 - a Path cannot hold every bytes name
    return PathFacts(
        kind=kind,
        size=status.st_size,
        content=content,
        mode=status.st_mode,
        mtime_ns=status.st_mtime_ns,
        uid=status.st_uid,
        gid=status.st_gid,
        links=status.st_nlink,
    )


def _run(command: list[str]) -> str:
    """Standard output; the error has what the program wrote."""
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(f"{command[0]} is not installed")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
