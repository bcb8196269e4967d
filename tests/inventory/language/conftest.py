"""A wanted file in memory or on this machine, and what an extractor makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from packageurl import PackageURL

from sidelight.errors import LimitError
from sidelight.inventory.language.public_registries import host
from sidelight.inventory.protocol import Extraction, Extractor, Machine
from sidelight.model import OperatingSystem, Package

Extract = Callable[..., Extraction]
Facts = set[tuple[str, str]]

_REVERSED = re.compile(r"\{((?:org|com|dev|io)(?:\.[a-z]+)+)\}")
READ_LIMIT = 1 << 30  # bytes that one extraction may read, all calls together


@dataclass
class MemoryFile:
    """A WantedFile over bytes; it counts what is read and refuses to be read for ever."""

    path: str
    data: bytes
    siblings: Mapping[str, bytes] = field(default_factory=dict)
    read_bytes: int = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self) -> bytes:
        return self.read_at(0, len(self.data))

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        piece = self.data[offset : offset + length]
        self.read_bytes += len(piece)
        if self.read_bytes > READ_LIMIT:
            raise LimitError("this file's time is spent")
        return piece

    def check_time(self) -> None:
        """Time is not measured here."""

    def sibling(self, name: str, limit: int = 64 << 20) -> bytes | None:
        found = self.siblings.get(name)
        return None if found is None or len(found) > limit else found


def with_hosts(text: str) -> str:
    """The text with each reversed domain in braces, `{org.example}`, as the host that it is."""
    return _REVERSED.sub(lambda match: host(match[1]), text)


def _filled(data: bytes) -> bytes:
    try:
        return with_hosts(data.decode()).encode()
    except UnicodeDecodeError:
        return data


def _extract(
    extractor: Extractor,
    path: str,
    data: bytes | str | Path,
    siblings: Mapping[str, bytes] | None = None,
) -> Extraction:
    content = data.read_bytes() if isinstance(data, Path) else data
    content = with_hosts(content).encode() if isinstance(content, str) else content
    beside = {name: _filled(other) for name, other in (siblings or {}).items()}
    file = MemoryFile(path, content, beside)
    found = extractor.extract(file, Machine(OperatingSystem()))
    for package in found.packages:
        _check(package)
    return found


def _check(package: Package) -> None:
    """Every package of every test is a canonical purl of its own name and version."""
    parsed = PackageURL.from_string(package.purl)
    # The library leaves a version's slash as it is; by the specification it is encoded.
    canonical = parsed.to_string().replace("/", "%2F")
    written = package.purl.replace("/", "%2F")
    if package.type == "npm":  # the library takes the case of old names
        canonical, written = canonical.lower(), written.lower()
    assert canonical == written
    assert parsed.type == package.type
    assert parsed.version == package.version
    assert package.path.startswith("/")
    assert package.name


@pytest.fixture(scope="session")
def extract() -> Extract:
    """`extract(extractor, path, bytes | str | Path, siblings)`, with every purl checked."""
    return _extract


@pytest.fixture(scope="session")
def facts() -> Callable[[Extraction], Facts]:
    """(name, version) of each package found."""
    return lambda found: {(package.name, package.version) for package in found.packages}


@pytest.fixture(scope="session")
def manifests(shared_data: Path) -> Path:
    """The real manifests of the language formats."""
    path = shared_data / "manifests" / "osv-scalibr" / "language"
    if not path.is_dir():
        pytest.skip(f"conformance data is absent: no {path}")
    return path
