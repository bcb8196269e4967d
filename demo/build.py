"""Build the demo machines' disks: no tool, no root, no mount, a second.

    python demo/build.py DIRECTORY

| machine | distribution  | filesystem | partition table |
| web-1   | Debian 12     | ext4       | GPT             |
| batch-1 | Debian 12     | ext3       | MBR             |
| db-1    | SLES 15 SP3   | XFS        | none            |
| edge-1  | Alpine 3.18   | ext4       | none            |

The filesystems are in `machines/` as compressed sparse images; `filesystems.py` makes them from the
machines' trees, beside them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import zstandard
from partition_tables import BIOS_BOOT, GptPartition, write_gpt, write_mbr

MACHINES = Path(__file__).resolve().parent / "machines"
MIB = 1 << 20
BLOCK = 4096
LARGEST_PACKED = 1 << 30


@dataclass(frozen=True)
class Recipe:
    """One machine's disk: `size`, and `start` of the filesystem, in MiB."""

    name: str
    filesystem: str
    size: int
    table: str = ""
    start: int = 0

    @property
    def filesystem_size(self) -> int:
        """MiB: to the disk's end, where a GPT has its backup."""
        return self.size - self.start - (1 if self.table == "gpt" else 0)

    @property
    def packed(self) -> Path:
        """The filesystem's compressed image."""
        return MACHINES / f"{self.name}.{self.filesystem}.zst"

    @property
    def tree(self) -> Path:
        """The archive of what is in the filesystem."""
        return MACHINES / f"{self.name}.tar.xz"


RECIPES = (
    Recipe("web-1", "ext4", 64, table="gpt", start=2),
    Recipe("batch-1", "ext3", 64, table="mbr", start=1),
    Recipe("db-1", "xfs", 300),
    Recipe("edge-1", "ext4", 16),
)


def build(recipe: Recipe, directory: Path) -> Path:
    """Make one machine's image under `directory`, unless a current one is there; its path."""
    image = directory / f"{recipe.name}.img"
    if image.exists() and image.stat().st_mtime_ns >= recipe.packed.stat().st_mtime_ns:
        return image
    building = directory / f"{recipe.name}.building"
    with building.open("wb") as file:
        file.truncate(recipe.size * MIB)
    unpack(recipe.packed.read_bytes(), building, recipe.start * MIB)
    if recipe.table == "gpt":
        _partition_by_gpt(recipe, building)
    elif recipe.table == "mbr":
        write_mbr(building, 0x5D0A1C1E, [(recipe.start, recipe.filesystem_size)])
    building.rename(image)
    return image


def _partition_by_gpt(recipe: Recipe, image: Path) -> None:
    """A boot partition of one MiB and the root, which web-1's fstab names by its PARTUUID."""
    boot, root = (UUID(f"5d0a1c1e-0001-4b5e-9d6e-00000000000{n}") for n in (2, 1))
    write_gpt(
        image,
        UUID("5d0a1c1e-0001-4b5e-9d6e-000000000000"),
        [
            GptPartition(recipe.start - 1, 1, boot, BIOS_BOOT),
            GptPartition(recipe.start, recipe.filesystem_size, root, name="root"),
        ],
    )


def pack(image: Path) -> bytes:
    """A sparse image, compressed: its size, then (offset, length, data) of each run of blocks.

    Numbers are 8 bytes, little-endian. Blocks of zeroes are left out.
    """
    out = bytearray(image.stat().st_size.to_bytes(8, "little"))
    run, start, at = bytearray(), 0, 0
    with image.open("rb") as file:
        while block := file.read(BLOCK):
            if block.strip(b"\0"):
                start = start if run else at
                run += block
            elif run:
                out += _packed_run(start, run)
                run.clear()
            at += len(block)
    if run:
        out += _packed_run(start, run)
    return zstandard.ZstdCompressor(level=19).compress(bytes(out))


def _packed_run(start: int, data: bytes | bytearray) -> bytes:
    return start.to_bytes(8, "little") + len(data).to_bytes(8, "little") + bytes(data)


def unpack(packed: bytes, image: Path, offset: int = 0) -> None:
    """The reverse of pack: write the runs into an image, at a distance of `offset` bytes."""
    data = zstandard.ZstdDecompressor().decompress(packed, max_output_size=LARGEST_PACKED)
    with image.open("r+b") as file:
        at = 8
        while at < len(data):
            start = int.from_bytes(data[at : at + 8], "little")
            length = int.from_bytes(data[at + 8 : at + 16], "little")
            file.seek(offset + start)
            file.write(data[at + 16 : at + 16 + length])
            at += 16 + length


def main() -> None:
    """Build all machines' images and print their paths."""
    parser = argparse.ArgumentParser(description="Build the demo machines' disks.")
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        print(build(recipe, directory))


if __name__ == "__main__":
    main()
