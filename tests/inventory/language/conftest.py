"""A wanted file in memory or on this machine, and what an extractor makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from packageurl import PackageURL

from sidelight.inventory.language.public_registries import host
from sidelight.inventory.protocol import Extraction, Extractor, Machine
from sidelight.model import OperatingSystem, Package
from tests.fakes.memory_file import MemoryFile

Extract = Callable[..., Extraction]
Facts = set[tuple[str, str]]

_REVERSED = re.compile(r"\{((?:org|com|dev|io)(?:\.[a-z]+)+)\}")


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
    file = MemoryFile(content, path, beside)
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
