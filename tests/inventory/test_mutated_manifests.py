"""Real manifests, mutated: every extractor that wants one ends, with our own errors alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from packageurl import PackageURL

from sidelight.errors import FormatError
from sidelight.inventory.protocol import Machine
from sidelight.inventory.registry import EXTRACTORS
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile
from tests.inventory.language.expected_of_manifests import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.inventory.protocol import Extractor

_MACHINE = Machine(OperatingSystem(id="debian", version_id="12"))
LARGEST = 256 << 10  # bytes of a manifest: mutants of larger ones cost more and reach no more
EACH = 4


def _manifests(root: Path) -> Iterator[tuple[Extractor, str, Path]]:
    """(extractor, the path that the file would have on a machine, the file)."""
    extractors = {extractor.name: extractor for extractor in EXTRACTORS}
    folders = {f"language/{folder}": known for folder, known in FORMATS.items()}
    formats = {
        **{folder: (f"language/{name}", path) for folder, (name, path) in folders.items()},
        "language/java/archive": ("language/java-archive", "a-1.jar"),
        "language/golang/gobinary": ("language/go-binary", "app"),
        "language/rust/cargoauditable": ("language/rust-binary", "app"),
        "language/python/wheelegg": ("language/python-installed", "a-1.dist-info/METADATA"),
        "language/javascript/packagejson": (
            "language/npm-installed",
            "node_modules/a/package.json",
        ),
        "os/apk": ("os/apk", "lib/apk/db/installed"),
        "os/dpkg": ("os/dpkg", "var/lib/dpkg/status"),
        "os/pacman": ("os/pacman", "var/lib/pacman/local/a-1-1/desc"),
        "os/portage": ("os/portage", "var/db/pkg/a/b-1/PF"),
        "os/flatpak": ("os/flatpak", "app/metainfo/a.metainfo.xml"),
        "os/snap": ("os/snap", "snap/a/1/meta/snap.yaml"),
    }
    for folder, (name, path) in formats.items():
        for file in sorted((root / folder / "testdata").rglob("*")):
            if file.is_file() and file.stat().st_size <= LARGEST:
                yield extractors[name], path, file


def _mutant(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at : at + chance.randint(1, 60)]
            case 2:
                changed[at:at] = chance.randbytes(chance.randint(1, 12))
            case 3:
                changed[at:at] = (
                    chance.choice((b"[", b"{", b"<", b'"', b"\n", b"\0", b"9" * 30)) * 40
                )
            case _:
                start = chance.randrange(len(changed) + 1)
                changed[at:at] = changed[start : start + chance.randint(1, 400)]
    return bytes(changed)


@pytest.mark.conformance
def test_mutated_real_manifests_raise_only_our_errors(shared_data: Path) -> None:
    reached: set[str] = set()
    for number, (extractor, path, source) in enumerate(
        _manifests(shared_data / "manifests/osv-scalibr")
    ):
        reached.add(extractor.name)
        chance = random.Random(number)
        data = source.read_bytes()
        for _ in range(EACH):
            file = MemoryFile(_mutant(data, chance), path, time_left=100_000)
            try:
                found = extractor.extract(file, _MACHINE)
            except FormatError:
                continue
            for package in found.packages:
                assert PackageURL.from_string(package.purl).type == package.type
    assert len(reached) > 25
