"""Make the committed tiny images, or read them: `python -m tests.images.ext.tiny` writes them.

The dirty ones hold a log that debugfs wrote; the fast commits were left by a copy of the mounted
image after a few syncs.
"""

from __future__ import annotations

import lzma
import os
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from tests.images.ext import recipes
from tests.images.kernel import mounted

HERE = Path(__file__).resolve().parent
NAMES = tuple(case.name for case in recipes.TINY)


@lru_cache(maxsize=8)
def load(name: str) -> bytes:
    """One committed image, whole."""
    return lzma.decompress((HERE / f"{name}.img.xz").read_bytes())


def make(case: recipes.Case, folder: Path) -> bytes:
    """One image by its recipe."""
    tree = folder / "tree"
    recipes.tiny_tree(tree)
    image = recipes.make(folder / "image", case, tree)
    if case.name == "tiny-fast-commit":
        return _fast_commits(image, folder)
    if "journal" in case.name:
        blocks = recipes.debugfs(image, "blocks folder/large").split()
        first = next(int(word) for word in blocks if word.isdigit())
        text = folder / "logged"
        text.write_bytes((b"\xc0\x3b\x39\x98" + b"j" * 1020) * 3)
        places = f"{first},{first + 1},{first + 2}"
        opening = "jo -c" if "checked" in case.name else "jo"
        recipes.debugfs(
            image,
            opening,
            f"jw -b {places} {text}",
            f"jw -r {first}",
            f"jw -b {first} {text}",
            "jc",
        )
    return image.read_bytes()


def _fast_commits(image: Path, folder: Path) -> bytes:
    copy = folder / "copy"
    with mounted(image, "ext4", "rw,commit=300") as top:
        for n in range(4):
            path = top / f"new-{n}"
            with path.open("wb") as file:
                file.write(b"new" * 1000 * n)
                os.fsync(file.fileno())
            path.rename(top / f"renamed-{n}")
        (top / "renamed-1").unlink()
        (top / "fresh").mkdir()
        (top / "fresh/link").hardlink_to(top / "renamed-2")
        for name in ("renamed-0", "renamed-3", "folder/large"):
            with (top / name).open("r+b") as file:
                file.truncate(700)
                os.fsync(file.fileno())
        subprocess.run(["cp", str(image), str(copy)], check=True)
    return copy.read_bytes()


def main() -> None:
    """Write them all."""
    for case in recipes.TINY:
        with tempfile.TemporaryDirectory(prefix="sidelight-tiny-") as name:
            data = make(case, Path(name))
        (HERE / f"{case.name}.img.xz").write_bytes(lzma.compress(data, preset=9))


if __name__ == "__main__":
    main()
