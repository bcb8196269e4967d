"""XFS images copied in the middle of a load, replayed by us and by the kernel, then compared.

    python tests/torture/run_xfs.py --copies 200 [--seed 1] [--keep DIRECTORY]

Needs root and loop devices. Prints a line for each filesystem; exit status 1 for any difference,
or where a log could not be replayed. With --keep, the images that differ are kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sidelight.blocks import ImageFile
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.images import kernel
from tests.images.xfs import images

if TYPE_CHECKING:
    from collections.abc import Generator

HOST_SIZE = 4 << 30
LOAD = Path(__file__).resolve().parents[1] / "images/xfs/load.py"


class Shape(NamedTuple):
    """A filesystem to torture: mkfs's options and the mount's."""

    name: str
    options: tuple[str, ...]
    mount: str = "rw"
    size: str = "320M"
    small: bool = False


# Without two features that xfsprogs 6.13 makes by default and 6.1 does not: with them mkfs.xfs
# refuses logs under 12 MB, and a small log wraps soon. "plain" has the defaults of this system's.
LEAN = ("-m", "rmapbt=0", "-i", "nrext64=0")
SHAPES = (
    Shape("plain", ()),
    Shape("small-log", (*LEAN, "-l", "size=6m"), size="200M", small=True),
    Shape("small-log-big-buffers", (*LEAN, "-l", "size=6m"), "rw,logbsize=256k", "200M",
          small=True),
    Shape("big-directory-blocks", (*LEAN, "-b", "size=1024", "-n", "size=16384", "-l", "size=4m"),
          size="200M", small=True),
    Shape("big-inodes", (*LEAN, "-i", "size=1024", "-l", "size=6m"), size="200M", small=True),
    Shape("striped-log", (*LEAN, "-l", "size=8m,su=32k"), size="200M", small=True),
    Shape("rmapbt", ("-m", "rmapbt=1,bigtime=0", "-l", "size=13m"), size="200M", small=True),
    Shape("no-sparse-inodes", ("-m", "finobt=0,reflink=0,rmapbt=0", "-i", "sparse=0,nrext64=0",
          "-l", "size=4m"), size="200M", small=True),
    Shape("large-extent-counts", ("-m", "bigtime=1,inobtcount=1,rmapbt=1", "-i", "nrext64=1",
          "-l", "size=13m"), size="200M", small=True),
)  # fmt: skip
# Of an mkfs.xfs of 6.13 or later, which MKFS_XFS names.
NEWER = (
    Shape("parent-pointers", ("-n", "parent=1", "-i", "exchange=1", "-l", "size=10m"),
          size="200M", small=True),
    Shape("metadir", ("-m", "metadir=1,uquota,gquota", "-n", "parent=1", "-l", "size=10m"),
          size="200M", small=True),
)  # fmt: skip


class Outcome(NamedTuple):
    """One copy compared."""

    journal: str
    paths: int
    differences: list[str]


def copies(shape: Shape, count: int, seed: int, folder: Path) -> Generator[Path]:
    """Images of one filesystem under load, at `count` moments; each is the caller's to remove.

    `folder` is one of `reflinks`: a copy is of one instant. The last one is made after the
    filesystem was shut down hard.
    """
    image = images.make(
        folder / f"{shape.name}.img", *shape.options, size=shape.size, small=shape.small
    )
    with kernel.mounted(image, "xfs", shape.mount) as top:
        loads = [
            subprocess.Popen(
                [sys.executable, str(LOAD), str(top / f"w{worker}"), str(seed * 10 + worker)]
            )
            for worker in range(2)
        ]
        try:
            for index in range(count):
                # The moments drift against the periods of the log's and the pages' writers.
                time.sleep(0.15 + (index * 7919 + seed * 31) % 1700 / 1000)
                last = index == count - 1
                if last:
                    flags = ("-f",) if seed % 2 else ()
                    images.run("xfs_io", "-x", "-c", " ".join(("shutdown", *flags)), str(top))
                copy = folder / f"{shape.name}-{seed}-{index}.img"
                kernel.copy_at_once(image, copy)
                yield copy
        finally:
            for load in loads:
                load.kill()
                load.wait()
    image.unlink()


def compare(copy: Path) -> Outcome:
    """Our view of a copy against the kernel's after its own replay."""
    with ImageFile(str(copy)) as source:
        filesystem = XfsFilesystem(source)
        own_facts = kernel.sidelight_view(filesystem)
        faults = [f"{problem.where}: {problem.what}" for problem in filesystem.problems]
        journal = filesystem.journal
    try:
        kernel_facts = kernel.kernel_view(copy, "xfs", replay=True)
    except OSError as error:
        # The kernel refuses the copy: then we must not call it good either.
        refusal = [] if journal == "unreplayed" else [f"the kernel refuses: {error}"]
        return Outcome(f"refused/{journal}", len(own_facts), refusal + faults)
    return Outcome(journal, len(kernel_facts), kernel.differences(own_facts, kernel_facts) + faults)


def main() -> int:
    """Run; the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--copies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--shape", action="append")
    chosen = parser.parse_args()
    known = (*SHAPES, *NEWER) if images.MKFS in os.environ else SHAPES
    shapes = [shape for shape in known if not chosen.shape or shape.name in chosen.shape]
    each = 10
    bad = done = 0
    round_ = 0
    with (
        tempfile.TemporaryDirectory(prefix="torture-xfs-") as scratch,
        kernel.reflinks(Path(scratch), HOST_SIZE) as folder,
    ):
        while done < chosen.copies:
            shape = shapes[round_ % len(shapes)]
            seed = chosen.seed + round_
            round_ += 1
            tally: dict[str, int] = {}
            paths = 0
            for copy in copies(shape, min(each, chosen.copies - done), seed, folder):
                kept = copy.with_suffix(".before")
                if chosen.keep:
                    kernel.copy_at_once(copy, kept)
                outcome = compare(copy)
                done += 1
                paths += outcome.paths
                tally[outcome.journal] = tally.get(outcome.journal, 0) + 1
                if outcome.differences:
                    bad += 1
                    print(copy.name, outcome.journal, *outcome.differences[:6], sep="\n  ")  # noqa: T201 - a script
                    if chosen.keep:
                        shutil.copy(kept, chosen.keep / copy.name)
                kept.unlink(missing_ok=True)
                copy.unlink()
            print(f"{shape.name} seed {seed}: {tally}, {paths} paths", flush=True)  # noqa: T201 - a script
    print(f"{done} copies, {bad} with differences")  # noqa: T201 - a script
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
