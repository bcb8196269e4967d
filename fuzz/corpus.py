"""The committed corpus: for each target one file with a few inputs, an input a line."""

from __future__ import annotations

import hashlib
import lzma
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "inputs"


def load(name: str) -> list[bytes]:
    """A target's inputs, the smallest first; none where none were kept."""
    path = FOLDER / f"{name}.xz"
    if not path.exists():
        return []
    return [bytes.fromhex(line) for line in lzma.decompress(path.read_bytes()).decode().split()]


def unpack(name: str, folder: Path) -> None:
    """As files that libFuzzer reads."""
    for data in load(name):
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)


def keep(name: str, folder: Path) -> int:
    """Write a folder of inputs as the committed corpus of a target; how many they are."""
    inputs = {path.read_bytes() for path in folder.iterdir()}
    ordered = sorted(inputs, key=lambda data: (len(data), data))
    FOLDER.mkdir(exist_ok=True)
    text = "".join(data.hex() + "\n" for data in ordered)
    (FOLDER / f"{name}.xz").write_bytes(lzma.compress(text.encode(), preset=9))
    return len(ordered)


def main() -> None:
    """`python -m fuzz.corpus FOLDER`: commit what `python -m fuzz --corpus FOLDER` left there."""
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        print(f"{folder.name}: {keep(folder.name, folder)} inputs")


if __name__ == "__main__":
    main()
