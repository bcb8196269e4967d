"""A small Debian in a directory, and what is collected of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import Collected, CollectOptions, collect
from sidelight.inventory.protocol import Extraction, Machine, WantedFile, Wants
from tests.fakes.host_directory import HostDirectory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


DEFAULT_OPTIONS = CollectOptions()

DPKG_STATUS = """Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2-1

Package: python3-six
Status: install ok installed
Architecture: all
Version: 1.16-4
"""


def write_file(root: Path, path: str, data: str | bytes = "") -> Path:
    where = root / path
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(data if isinstance(data, bytes) else data.encode())
    return where


def collect_root(root: Path, *, options: CollectOptions = DEFAULT_OPTIONS) -> Collected:
    return collect(MachineTree(HostDirectory(root)), options)


def package_names(collected: Collected) -> list[str]:
    return sorted(package.name for package in collected.packages)


@dataclass
class FakeExtractor:
    """An extractor of `*.fake` files that does what a test sets."""

    act: Callable[[WantedFile], Extraction]
    name: str = "language/fake"
    wants: Wants = field(default_factory=lambda: Wants(suffixes=frozenset((".fake",))))

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        del machine
        return self.act(file)


def write_program(root: Path, path: str, *, mode: int = 0o755, data: bytes = b"\x7fELF") -> None:
    where = write_file(root, path, data + bytes(64 << 10))
    where.chmod(mode)
