"""Make the demo machines' filesystems from their trees: what `machines/*.zst` was made by.

    python demo/filesystems.py [DIRECTORY]

Needs no root; e2fsprogs and xfsprogs. ext filesystems are filled by `mkfs -d`, XFS by
`mkfs.xfs -p`. The same tools of the same version make the same image.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from build import MACHINES, MIB, RECIPES, Recipe, pack

# Debian keeps mkfs where an ordinary user's PATH does not look.
SYSTEM_PATHS = "/usr/sbin:/sbin"
# 2024-01-01: the time of all files. mke2fs takes its clock from E2FSPROGS_FAKE_TIME.
EPOCH = "1704067200"


def make(recipe: Recipe, directory: Path) -> Path:
    """One machine's filesystem, compressed, under `directory`. Exits where a tool is missing."""
    with tempfile.TemporaryDirectory() as scratch:
        tree, image = Path(scratch) / "tree", Path(scratch) / "image"
        tree.mkdir()
        extract(recipe.tree, tree)
        with image.open("wb") as file:
            file.truncate(recipe.filesystem_size * MIB)
        if recipe.filesystem == "xfs":
            _xfs(recipe, tree, image)
        else:
            _ext(recipe, tree, image)
        packed = directory / recipe.packed.name
        packed.write_bytes(pack(image))
    return packed


def extract(archive: Path, tree: Path) -> None:
    """Extract a machine's tree: an archive of the repository's own.

    Python has the filters from 3.11.4 on, and asks for one from 3.14 on.
    """
    with tarfile.open(archive) as file:
        if hasattr(tarfile, "tar_filter"):
            file.extractall(tree, filter="tar")
        else:
            file.extractall(tree)  # noqa: S202 - the archive is ours


def _ext(recipe: Recipe, tree: Path, image: Path) -> None:
    identity = _uuid(recipe.name)
    _run(
        f"mkfs.{recipe.filesystem}",
        *("-q", "-F", "-U", identity, "-d", str(tree)),
        *("-E", f"root_owner=0:0,hash_seed={identity}", str(image)),
    )


def _xfs(recipe: Recipe, tree: Path, image: Path) -> None:
    proto = image.with_name("proto")
    proto.write_text("/dev/null\n0 0\nd--755 0 0\n" + "\n".join(_proto(tree)) + "\n$\n")
    _run("mkfs.xfs", "-q", "-f", "-m", f"uuid={_uuid(recipe.name)}", "-p", str(proto), str(image))


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


def _uuid(name: str) -> str:
    return f"51de1196-0000-4000-8000-{name.encode().hex():0>12.12}"


def _run(program: str, *arguments: str) -> None:
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATHS}")
    if found is None:
        sys.exit(f"{program} is not installed (apt-get install e2fsprogs xfsprogs)")
    environment = {**os.environ, "E2FSPROGS_FAKE_TIME": EPOCH, "SOURCE_DATE_EPOCH": EPOCH}
    done = subprocess.run(
        [found, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        sys.exit(f"{program} failed: {done.stderr.strip()}")


def main() -> None:
    """Make all machines' filesystems and print their paths."""
    parser = argparse.ArgumentParser(description="Make the demo machines' filesystems.")
    parser.add_argument("directory", type=Path, nargs="?", default=MACHINES)
    directory: Path = parser.parse_args().directory
    for recipe in RECIPES:
        print(make(recipe, directory))


if __name__ == "__main__":
    main()
