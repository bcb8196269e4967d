"""The committed XFS images, for tests where nothing can be mounted, and how they were made.

    python -m tests.images.xfs.fixtures

makes them again beside this file (root, loop devices, xfsprogs, zstd): each image packed with zstd,
and what the kernel saw in it, after its own replay, as JSON: path -> [mode, size, links, content].

    clean.img    version 5, all forms of directories, links and files
    dirty.img    version 5, shut down hard: its log holds files, directories, links, freed inodes
    tiny.img, tiny-dirty.img   the same with few paths, for fuzzing
    version4.img version 4 without types in directories, made by mkfs alone from a list of files

What Debian 12's xfsprogs 6.1 cannot make is made with `MKFS_XFS=…/mkfs.xfs python -m … newer`, by
that of xfsprogs 6.13 (Debian 13), and read back by a kernel of 6.13 or later:

    parent.img         parent pointers in every inode's attributes
    metadir.img        a tree of metadata beside the root's, quota and parent pointers
    metadir-dirty.img  the same shut down hard
    realtime.img       realtime groups, whose bitmaps and summaries are files of that tree; by mkfs
                       alone
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.images import kernel
from tests.images.xfs import images

FOLDER = Path(__file__).resolve().parent
NAMES = ("tiny", "tiny-dirty", "version4", "clean", "dirty")
NEWER = ("parent", "metadir", "metadir-dirty", "realtime")
PIECE = 4096

Expected = dict[str, list[object]]


class SparseImage:
    """A BlockSource of only the pieces of an image that are not zeros; cheap to copy and change.

    `unit` as a BlockCache's, or 0.
    """

    def __init__(self, name: str, size: int, pieces: dict[int, bytes], unit: int = 0) -> None:
        self.name = name
        self.unit = unit
        self.size = size
        self.pieces = pieces

    def read_at(self, offset: int, length: int) -> bytes:
        """As BlockSource."""
        from sidelight.errors import OutOfRangeError

        if offset < 0 or length < 0 or offset + length > self.size:
            raise OutOfRangeError(f"{length} bytes at {offset}", where=self.name)
        first, last = offset // PIECE, (offset + length - 1) // PIECE
        zeros = bytes(PIECE)
        data = b"".join([self.pieces.get(piece, zeros) for piece in range(first, last + 1)])
        return data[offset - first * PIECE :][:length]

    def prefetch(self, ranges: object) -> None:
        """Nothing is far away here."""

    def changed(self, offset: int, data: bytes) -> SparseImage:
        """Another image, with these bytes."""
        pieces = dict(self.pieces)
        at, end = offset, offset + len(data)
        while at < end:
            piece, skip = divmod(at, PIECE)
            take = min(PIECE - skip, end - at)
            old = pieces.get(piece, bytes(PIECE))
            new = data[at - offset : at - offset + take]
            pieces[piece] = old[:skip] + new + old[skip + take :]
            at += take
        return SparseImage(self.name, self.size, pieces, self.unit)


@functools.cache
def load(name: str) -> SparseImage:
    """A committed image, unpacked. Needs the module zstandard."""
    import zstandard

    packed = (FOLDER / f"{name}.img.zst").read_bytes()
    with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        pieces, index = {}, 0
        while piece := reader.read(PIECE):
            if piece.count(0) != len(piece):
                pieces[index] = piece
            index += 1
    return SparseImage(f"{name}.img", index * PIECE, pieces)


def expected(name: str) -> Expected:
    """What the kernel saw; of version 4, what mkfs was given."""
    found: Expected = json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))
    return found


def facts(view: dict[bytes, kernel.PathFacts]) -> Expected:
    """A view in the form of the JSON."""
    return {
        os.fsdecode(path): [
            found.mode,
            found.size,
            found.links,
            os.fsdecode(found.content) if found.mode & 0xF000 == 0xA000 else found.content.hex(),
        ]
        for path, found in sorted(view.items())
    }


def write_list(folder: Path, count: int) -> Path:
    """A prototype file for mkfs -p: a small tree, a directory of `count` entries, long links."""
    source = folder / "source"
    source.write_bytes(b"a file of version 4\n" * 500)
    lines = ["/stand/boot", "0 0", "d--755 0 0"]
    for name, entries in (("inline", 4), ("block", 40), ("many", count)):
        lines.append(f"{name} d--755 0 0")
        lines += [f"{'n' * (index % 50)}{index} ---644 0 0 {source}" for index in range(entries)]
        lines.append(f"link l--777 0 0 {'t' * 300}")
        lines.append("$")
    lines += [f"file ---600 3 4 {source}", "short l--777 0 0 target", "pipe p--644 0 0", "$"]
    prototype = folder / "prototype"
    prototype.write_text("\n".join(lines) + "\n", encoding="ascii")
    return prototype


def _pack(image: Path, name: str, view: dict[bytes, kernel.PathFacts]) -> None:
    text = json.dumps(facts(view), ensure_ascii=True, indent=0)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="ascii")
    packed = FOLDER / f"{name}.img.zst"
    subprocess.run(["zstd", "-19", "-qf", str(image), "-o", str(packed)], check=True)


def newer() -> int:
    """Make those that need a newer mkfs.xfs."""
    parent = ("-n", "parent=1", "-i", "exchange=1")
    both = ("-m", "metadir=1,uquota,gquota,pquota", "-n", "parent=1")
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image"
        for name, options in (("parent", parent), ("metadir", both)):
            images.make(image, *options, size="24M", small=True)
            with kernel.mounted(image, "xfs", "rw") as top:
                images.fill(top, scale=0.04)
            _pack(image, name, kernel.kernel_view(image, "xfs"))
        images.make_dirty(image, "-f", *both, size="24M", count=60)
        _pack(image, "metadir-dirty", kernel.kernel_view(image, "xfs", replay=True))
        prototype = write_list(Path(folder), 300)
        realtime = Path(folder) / "realtime"
        images.run("truncate", "-s", "64M", str(realtime))
        # Kernels without realtime support mount it neither: a twin shows what is in it.
        images.make(image, "-p", str(prototype), size="24M", small=True)
        view = kernel.kernel_view(image, "xfs")
        with_device = ("-m", "metadir=1", "-r", f"rtdev={realtime}", "-p", str(prototype))
        images.make(image, *with_device, size="24M", small=True)
        _pack(image, "realtime", view)
    return 0


def main() -> int:
    """Make them all."""
    if why := images.missing_mounts():
        print(why, file=sys.stderr)  # noqa: T201 - a script
        return 1
    if sys.argv[1:] == ["newer"]:
        return newer()
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image"
        images.make(image, size="24M", small=True)
        with kernel.mounted(image, "xfs", "rw") as top:
            images.fill(top, scale=0.04)
        _pack(image, "clean", kernel.kernel_view(image, "xfs"))
        images.make_dirty(image, "-f", size="24M")
        _pack(image, "dirty", kernel.kernel_view(image, "xfs", replay=True))
        images.make(image, size="24M", small=True)
        with kernel.mounted(image, "xfs", "rw") as top:
            images.fill(top, scale=0.01)
        _pack(image, "tiny", kernel.kernel_view(image, "xfs"))
        images.make_dirty(image, "-f", size="24M", count=12)
        _pack(image, "tiny-dirty", kernel.kernel_view(image, "xfs", replay=True))
        prototype = write_list(Path(folder), 300)
        options = ("-n", "ftype=0", "-p", str(prototype))
        # No kernel of today mounts version 4: its twin of version 5 shows what is in it.
        images.make(image, "-p", str(prototype), size="24M", small=True)
        view = kernel.kernel_view(image, "xfs")
        images.make(image, "-m", "crc=0", *options, size="24M", small=True)
        _pack(image, "version4", view)
    return 0


if __name__ == "__main__":
    sys.exit(main())
