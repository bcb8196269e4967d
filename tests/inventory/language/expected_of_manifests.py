"""Writes expected.json: what the real manifests give, for the conformance test.

    python tests/inventory/language/expected_of_manifests.py ../shared/data

A change in it is to be read line by line: each difference to Trivy and Syft on the same files has
its verdict in docs/compare-language.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sidelight.errors import FormatError
from sidelight.inventory.language.extractors import LANGUAGE_EXTRACTORS
from sidelight.inventory.protocol import Extractor, Machine
from sidelight.model import OperatingSystem

# Folder of the manifests to (extractor, the name that its files have on a machine).
FORMATS = {
    "dart/pubspec": ("dart-lock", "pubspec.lock"),
    "dotnet/depsjson": ("dotnet-deps", "app.deps.json"),
    "dotnet/packagesconfig": ("nuget-config", "packages.config"),
    "dotnet/packageslockjson": ("nuget-lock", "packages.lock.json"),
    "dotnet/paketlock": ("paket-lock", "paket.lock"),
    "elixir/mixlock": ("elixir-lock", "mix.lock"),
    "erlang/mixlock": ("elixir-lock", "mix.lock"),
    "golang/gomod": ("go-mod", "go.mod"),
    "java/gradlelockfile": ("gradle-lock", "gradle.lockfile"),
    "java/gradleversioncatalog": ("gradle-catalog", "libs.versions.toml"),
    "java/pomxml": ("maven-pom", "pom.xml"),
    "javascript/bunlock": ("bun-lock", "bun.lock"),
    "javascript/packagelockjson": ("npm-lock", "package-lock.json"),
    "javascript/pnpmlock": ("pnpm-lock", "pnpm-lock.yaml"),
    "javascript/yarnlock": ("yarn-lock", "yarn.lock"),
    "php/composerlock": ("php-lock", "composer.lock"),
    "python/condameta": ("conda-installed", "conda-meta/x.json"),
    "python/pdmlock": ("python-pdm-lock", "pdm.lock"),
    "python/pipfilelock": ("python-pipfile-lock", "Pipfile.lock"),
    "python/poetrylock": ("python-poetry-lock", "poetry.lock"),
    "python/pylock": ("python-pylock", "pylock.toml"),
    "python/requirements": ("python-requirements", "requirements.txt"),
    "python/uvlock": ("python-uv-lock", "uv.lock"),
    "ruby/gemfilelock": ("ruby-lock", "Gemfile.lock"),
    "ruby/gemspec": ("ruby-installed", "specifications/x.gemspec"),
    "rust/cargolock": ("cargo-lock", "Cargo.lock"),
    "swift/packageresolved": ("swift-lock", "Package.resolved"),
}


class PlainFile:
    """One manifest, without siblings."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.size = len(data)
        self._data = data

    def read(self) -> bytes:
        return self._data

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def check_time(self) -> None:
        """There is all the time."""

    def sibling(self, name: str, limit: int = 0) -> bytes | None:
        del name, limit
        return None


def package_lines(extractor: Extractor, path: str, data: bytes) -> list[str]:
    """One line a package: name, version, and what is known of it; `problem: …` for a fault."""
    try:
        found = extractor.extract(PlainFile(path, data), Machine(OperatingSystem()))
    except FormatError as error:
        return [f"error: {type(error).__name__}"]
    lines = [
        f"{p.name} {p.version}"
        + {None: "", True: " direct", False: " transitive"}[p.direct]
        + {None: "", True: " dev", False: " run"}[p.dev]
        for p in found.packages
    ]
    return lines + [f"problem: {problem.what}" for problem in found.problems]


def expected(root: Path) -> dict[str, list[str]]:
    """File within `root` to its lines, for all formats."""
    extractors = {item.name: item for item in LANGUAGE_EXTRACTORS}
    result = {}
    for folder, (name, path) in FORMATS.items():
        for file in sorted((root / folder / "testdata").rglob("*")):
            if file.is_file() and file.suffix != ".sum":
                lines = package_lines(extractors[f"language/{name}"], path, file.read_bytes())
                result[str(file.relative_to(root))] = lines
    return result


if __name__ == "__main__":
    manifests = Path(sys.argv[1]) / "manifests" / "osv-scalibr" / "language"
    output = Path(__file__).parent / "expected.json"
    output.write_text(json.dumps(expected(manifests), indent=1, ensure_ascii=False) + "\n")
