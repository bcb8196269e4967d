"""Build the demo machines' disks from their trees: no root, no mounts, a few seconds.

    python demo/build.py DIRECTORY

| machine | distribution  | filesystem | partition table |
| web-1   | Debian 12     | ext4       | GPT             |
| batch-1 | Debian 12     | ext3       | MBR             |
| db-1    | SLES 15 SP3   | XFS        | none            |
| edge-1  | Alpine 3.18   | ext4       | none            |

ext filesystems are filled by `mkfs -d`; XFS by `mkfs.xfs -p`, or, where xfsprogs is absent, the
image is unpacked from `machines/db-1.xfs.zst` (made by this same script with --keep-xfs).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import zstandard

HERE = Path(__file__).resolve().parent
MACHINES = HERE / "machines"
MIB = 1 << 20
# Debian keeps mkfs and sfdisk where an ordinary user's PATH does not look.
SYSTEM_PATHS = "/usr/sbin:/sbin"


@dataclass(frozen=True)
class Recipe:
    """One machine's disk: `size` and `start` (of the partition) in MiB."""

    name: str
    filesystem: str
    size: int
    table: str = ""
    start: int = 0


RECIPES = (
    Recipe("web-1", "ext4", 64, table="gpt", start=2),
    Recipe("batch-1", "ext3", 64, table="dos", start=1),
    Recipe("db-1", "xfs", 300),
    Recipe("edge-1", "ext4", 16),
)

# GPT's partition is named in web-1's fstab by this PARTUUID.
SFDISK = {
    "gpt": (
        "label: gpt\n"
        "start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649\n"
        "start=2MiB, size={size}MiB, type=L, uuid=5D0A1C1E-0001-4B5E-9D6E-000000000001, name=root\n"
    ),
    "dos": "label: dos\nlabel-id: 0x5d0a1c1e\nstart=1MiB, size={size}MiB, type=83\n",
}


def build(recipe: Recipe, directory: Path) -> Path:
    """One machine's image under `directory`. Raises SystemExit where a tool is missing."""
    image = directory / f"{recipe.name}.img"
    if image.exists():
        return image
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        with tarfile.open(MACHINES / f"{recipe.name}.tar.xz") as archive:
            archive.extractall(tree, filter="tar")
        building = directory / f"{recipe.name}.building"
        with building.open("wb") as file:
            file.truncate(recipe.size * MIB)
        if recipe.filesystem == "xfs":
            _xfs(tree, building, Path(scratch))
        else:
            _ext(recipe, tree, building)
    building.rename(image)
    return image


def _ext(recipe: Recipe, tree: Path, image: Path) -> None:
    room = recipe.size - recipe.start - (1 if recipe.table == "gpt" else 0)
    if recipe.table:
        script = SFDISK[recipe.table].format(size=room)
        # It is a file: there is no kernel to tell, and no reason to sync the whole machine.
        _run("sfdisk", "--quiet", "--no-tell-kernel", "--no-reread", str(image), stdin=script)
    options = f"root_owner=0:0,offset={recipe.start * MIB},hash_seed={_uuid(recipe.name)}"
    _run(
        f"mkfs.{recipe.filesystem}",
        *("-q", "-F", "-U", _uuid(recipe.name), "-d", str(tree), "-E", options),
        *(str(image), f"{room}M"),
    )


def _xfs(tree: Path, image: Path, scratch: Path) -> None:
    if _which("mkfs.xfs") is None:
        with (MACHINES / "db-1.xfs.zst").open("rb") as packed:
            unpack(packed.read(), image)
        return
    proto = scratch / "proto"
    proto.write_text("/dev/null\n0 0\nd--755 0 0\n" + "\n".join(_proto(tree)) + "\n$\n")
    _run("mkfs.xfs", "-q", "-f", "-m", f"uuid={_uuid('db-1')}", "-p", str(proto), str(image))


def _proto(directory: Path) -> list[str]:
    """The lines of an XFS prototype file (mkfs.xfs(8), -p) for what is in a directory."""
    lines = []
    for path in sorted(directory.iterdir()):
        mode = path.lstat().st_mode & 0o777
        if path.is_symlink():
            lines.append(f"{path.name} l--777 0 0 {path.readlink()}")
        elif path.is_dir():
            lines += [f"{path.name} d--{mode:03o} 0 0", *_proto(path), "$"]
        else:
            lines.append(f"{path.name} ---{mode:03o} 0 0 {path}")
    return lines


def pack(image: Path) -> bytes:
    """A sparse image, compressed: (offset, length, data) of its written parts."""
    out = bytearray(image.stat().st_size.to_bytes(8, "little"))
    with image.open("rb") as file:
        end = 0
        while True:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            out += start.to_bytes(8, "little") + (end - start).to_bytes(8, "little")
            out += os.pread(file.fileno(), end - start, start)
    return zstandard.ZstdCompressor(level=19).compress(bytes(out))


def unpack(packed: bytes, image: Path) -> None:
    """The reverse of pack."""
    data = zstandard.ZstdDecompressor().decompress(packed, max_output_size=1 << 30)
    with image.open("wb") as file:
        file.truncate(int.from_bytes(data[:8], "little"))
        at = 8
        while at < len(data):
            start = int.from_bytes(data[at : at + 8], "little")
            length = int.from_bytes(data[at + 8 : at + 16], "little")
            file.seek(start)
            file.write(data[at + 16 : at + 16 + length])
            at += 16 + length


def _uuid(name: str) -> str:
    return f"51de1196-0000-4000-8000-{name.encode().hex():0>12.12}"


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATHS}")


def _run(program: str, *arguments: str, stdin: str = "") -> None:
    found = _which(program)
    if found is None:
        sys.exit(f"{program} is needed (Debian packages: e2fsprogs, fdisk)")
    # mke2fs takes its clock from here: the same image each time.
    environment = {
        **os.environ,
        "E2FSPROGS_FAKE_TIME": "1704067200",
        "SOURCE_DATE_EPOCH": "1704067200",
    }
    done = subprocess.run(
        [found, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{program} failed: {done.stderr.strip()}")


def main() -> None:
    """Build all machines' images and print their paths."""
    parser = argparse.ArgumentParser(description="Build the demo machines' disks.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--keep-xfs", action="store_true", help="renew machines/db-1.xfs.zst")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        print(build(recipe, arguments.directory))
    if arguments.keep_xfs:
        (MACHINES / "db-1.xfs.zst").write_bytes(pack(arguments.directory / "db-1.img"))


if __name__ == "__main__":
    main()
