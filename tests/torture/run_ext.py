"""Images copied while mounted under load, against the kernel after its own replay.

`python -m tests.torture.run_ext --copies 200 --kind ext3` prints one line a fault; exit 1 if any.
Needs root and loop devices. A load of threads makes, renames, truncates, links, syncs and removes
files as package managers do; at random moments the image file is copied as it is, at one instant
as a snapshot is: it lies on an XFS whose reflinks make that so.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sidelight.blocks import ImageFile
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.protocol import InodeKind
from tests.images.kernel import (
    PathFacts,
    copy_at_once,
    differences,
    kernel_view,
    mounted,
    reflinks,
    sidelight_view,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not inline_data: under this load Linux 6.18 was seen to block in jbd2 for good, its commit thread
# waiting for itself. Inline data is compared on clean images.
# kind -> (mke2fs options, file system type to mount, mount options)
KINDS = {
    "ext3": (["-t", "ext3"], "ext3", "rw"),
    "ext3-1k": (["-t", "ext3", "-b", "1024"], "ext3", "rw"),
    "ext4": (["-t", "ext4"], "ext4", "rw"),
    "ext4-1k": (["-t", "ext4", "-b", "1024", "-J", "size=1"], "ext4", "rw"),
    "ext4-small-journal": (["-t", "ext4", "-J", "size=4"], "ext4", "rw,commit=1"),
    "ext4-data-journal": (["-t", "ext4", "-J", "size=8"], "ext4", "rw,data=journal"),
    "ext4-v1-checksum": (
        ["-t", "ext4", "-O", "^metadata_csum"],
        "ext4",
        "rw,journal_checksum",
    ),
    "ext4-async": (["-t", "ext4"], "ext4", "rw,journal_async_commit,data=writeback"),
    "ext4-orphan-file": (["-t", "ext4", "-O", "orphan_file"], "ext4", "rw"),
    "ext4-fast-commit": (["-t", "ext4", "-O", "fast_commit"], "ext4", "rw,commit=300"),
}
SIZE = 96 << 20
HOST_SIZE = 2 << 30
MOST_FILES = 3000


@dataclass(frozen=True, slots=True)
class Fault:
    """One copy that we read otherwise than the kernel."""

    copy: int
    kept: Path | None
    lines: tuple[str, ...]


class Load:
    """A thread that works in one directory of the mounted filesystem until it is stopped."""

    def __init__(self, top: Path, seed: int) -> None:
        self._top = top
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._files: list[Path] = []
        self._serial = 0
        self._thread = threading.Thread(target=self._run, name=f"load-{seed}")

    def __enter__(self) -> Self:
        self._top.mkdir(exist_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        actions = [
            self._install, self._install, self._create, self._rename, self._truncate, self._append,
            self._link, self._remove, self._many, self._folder, self._punch, self._symlink,
            self._orphan,
        ]  # fmt: skip
        while not self._stop.is_set():
            try:
                self._random.choice(actions)()
            except OSError:
                # Full, or the name is gone: make room and go on.
                for _ in range(20):
                    self._remove()

    def _name(self) -> str:
        self._serial += 1
        return f"{self._serial:06}-" + "n" * self._random.choice((1, 5, 20, 60, 200))

    def _data(self) -> bytes:
        size = self._random.choice((0, 10, 100, 1000, 5000, 30000, 200000))
        return self._random.randbytes(size)

    def _install(self) -> None:
        """As dpkg does: write beside, sync, rename over."""
        target = self._top / f"installed-{self._random.randrange(40)}"
        beside = target.with_suffix(".dpkg-new")
        with beside.open("wb") as file:
            file.write(self._data())
            file.flush()
            os.fsync(file.fileno())
        beside.rename(target)

    def _create(self) -> None:
        if len(self._files) > MOST_FILES:
            self._remove()
            return
        path = self._top / self._name()
        path.write_bytes(self._data())
        self._files.append(path)

    def _pick(self) -> Path | None:
        return self._random.choice(self._files) if self._files else None

    def _rename(self) -> None:
        if path := self._pick():
            target = path.parent / self._name()
            path.rename(target)
            self._files[self._files.index(path)] = target

    def _truncate(self) -> None:
        if path := self._pick():
            os.truncate(path, self._random.randrange(100000))

    def _append(self) -> None:
        if path := self._pick():
            with path.open("ab") as file:
                file.write(self._data())
                if self._random.random() < 0.5:
                    file.flush()
                    os.fsync(file.fileno())

    def _punch(self) -> None:
        if path := self._pick():
            with path.open("r+b") as file:
                file.seek(self._random.randrange(1 << 20))
                file.write(self._data())

    def _link(self) -> None:
        if path := self._pick():
            target = path.parent / self._name()
            os.link(path, target)
            self._files.append(target)

    def _symlink(self) -> None:
        path = self._top / self._name()
        path.symlink_to("t" * self._random.choice((5, 59, 60, 61, 300)))
        self._files.append(path)

    def _remove(self) -> None:
        if path := self._pick():
            self._files.remove(path)
            path.unlink(missing_ok=True)

    def _orphan(self) -> None:
        """Unlinked while it is open: on the orphan list until it is closed."""
        path = self._top / self._name()
        with path.open("wb") as file:
            file.write(self._data())
            os.fsync(file.fileno())
            path.unlink()
            self._truncate()
            file.write(self._data())

    def _many(self) -> None:
        """A large directory grows, or goes as a whole."""
        folder = self._top / "many"
        if folder.exists() and self._random.random() < 0.3:
            shutil.rmtree(folder)
            return
        folder.mkdir(exist_ok=True)
        for n in range(self._random.randrange(200)):
            (folder / f"{n}-{self._name()}").touch()

    def _folder(self) -> None:
        folder = self._top / f"folder-{self._random.randrange(20)}"
        if folder.exists():
            folder.rename(self._top / f"folder-{self._random.randrange(20, 1 << 30)}")
        else:
            folder.mkdir()
            (folder / "inner").write_bytes(self._data())


def copies(kind: str, count: int, seed: int, folder: Path) -> Iterator[Path]:
    """`count` copies of an image, made while it is mounted and worked on, one at a time.

    A copy is valid until the next one is asked for. Every twenty copies begin with a new image.
    """
    options, fstype, mount_options = KINDS[kind]
    chance = random.Random(seed)
    done = 0
    with reflinks(folder, HOST_SIZE) as place:
        while done < count:
            image = place / "live.img"
            image.unlink(missing_ok=True)
            with image.open("wb") as file:
                file.truncate(SIZE)
            make = ["mke2fs", "-q", "-F", *options, str(image)]
            subprocess.run(make, check=True, capture_output=True)
            with (
                mounted(image, fstype, mount_options) as point,
                Load(point / "a", seed + done),
                Load(point / "b", seed + done + 1),
            ):
                for _ in range(min(20, count - done)):
                    time.sleep(chance.uniform(0.05, 0.6))
                    copy = place / f"copy-{done}.img"
                    copy_at_once(image, copy)
                    done += 1
                    yield copy
                    copy.unlink(missing_ok=True)


def compare(copy: Path, kind: str) -> list[str]:
    """What differs between our reading of a copy and the kernel's, after its replay."""
    fstype = KINDS[kind][1]
    refused = ""
    kernel_facts: dict[bytes, PathFacts] = {}
    try:
        kernel_facts = kernel_view(copy, fstype, replay=True, writable="fast-commit" in kind)
    except OSError as error:
        refused = str(error)
    with ImageFile(str(copy)) as source:
        fs = ExtFilesystem(source)
        own_facts = sidelight_view(fs)
        lines = [f"problem: {problem}" for problem in fs.problems[:5]]
        if refused:
            # There is nothing to compare with. Some kernels refuse fast commits that fill their
            # whole area; otherwise we must say that there is a problem, too.
            is_reported = "fast-commit" in kind or fs.journal == "unreplayed"
            return [] if is_reported else [refused]
        if fs.journal not in {"replayed", "clean"}:
            lines.append(f"journal {fs.journal}")
    fast = "fast-commit" in kind
    now = time.time_ns()
    return lines + differences(_settled(own_facts, kernel_facts, now, fast=fast), kernel_facts)


def _settled(
    own_facts: dict[bytes, PathFacts], kernel_facts: dict[bytes, PathFacts], now: int, *, fast: bool
) -> dict[bytes, PathFacts]:
    """Ours, with the kernel's value where its mount itself stamps or counts again.

    Completing an orphan's truncation sets mtime to the moment of the mount. Replaying a fast
    commit does so to directories, and may pack them into other blocks (their size).
    """
    settled = dict(own_facts)
    for path, facts in own_facts.items():
        other = kernel_facts.get(path)
        if other is None:
            continue
        if facts.mtime_ns != other.mtime_ns and now - other.mtime_ns < 60_000_000_000:
            settled[path] = replace(facts, mtime_ns=other.mtime_ns)
        if fast and facts.kind is InodeKind.DIRECTORY:
            settled[path] = replace(settled[path], size=other.size)
    return settled


def torture(kind: str, count: int, seed: int = 0, keep: Path | None = None) -> Iterator[Fault]:
    """Faults among `count` copies; a faulty copy is kept in `keep`, if given."""
    with tempfile.TemporaryDirectory(prefix="sidelight-torture-") as name:
        for number, copy in enumerate(copies(kind, count, seed, Path(name))):
            lines = compare(copy, kind)
            if lines:
                kept = None
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    kept = keep / f"{kind}-{seed}-{number}.img"
                    subprocess.run(["cp", "--sparse=always", str(copy), str(kept)], check=True)
                yield Fault(number, kept, tuple(lines))


def main() -> int:
    """The long run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=200)
    parser.add_argument("--kind", choices=sorted(KINDS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    faulty = 0
    for kind in arguments.kind or ["ext3", "ext4"]:
        found = 0
        for fault in torture(kind, arguments.copies, arguments.seed, arguments.keep):
            found += 1
            sys.stdout.write(f"{kind}, copy {fault.copy}: {fault.kept}\n")
            sys.stdout.writelines(f"    {line}\n" for line in fault.lines[:5])
        sys.stdout.write(f"{kind}: {arguments.copies} copies, {found} differ from the kernel\n")
        faulty += found
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
