"""Julia's Manifest.toml, the packages of a project or of an environment; and a depot's packages.

The standard library's packages have no hash of a tree: they belong to Julia.
Source: Pkg.jl's documentation ("Project.toml and Manifest.toml", "Depots"); the purl type `julia`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.origin import PUBLIC, Origin, git, local
from sidelight.inventory.language.package_builder import Entry, PackageDetails, julia
from sidelight.inventory.language.safe_parsers import mapping, parse_toml, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME: Final = re.compile(r"(?:.*/)?(?:Julia)?Manifest(?:-v[0-9.]+)?\.toml")


def _parse(file: WantedFile) -> Iterator[Entry]:
    document = parse_toml(file.read())
    packages = document
    if "deps" in document and not isinstance(document["deps"], list):
        packages = mapping(document["deps"], "deps")
    for name, items in packages.items():
        if not isinstance(items, list):
            continue  # the manifest's own fields
        for item in sequence(items, name):
            found = mapping(item, "a package")
            version = text(found.get("version"))
            if version and (found.get("git-tree-sha1") or found.get("path")):
                details = PackageDetails(origin=_origin(found))
                yield julia(file.path, name, version, text(found.get("uuid")), details)


def _origin(found: dict[str, object]) -> Origin:
    if url := text(found.get("repo-url")):
        return git(url, text(found.get("repo-rev")))
    return local(text(found.get("path"))) if found.get("path") else PUBLIC


_INSTALLED: Final = re.compile(
    r"(?:.*/)?(?:\.julia|julia|depot)/packages/([^/]+)/[A-Za-z0-9]{4,8}/(?:Julia)?Project\.toml"
)


def _parse_installed(file: WantedFile) -> Iterator[Entry]:
    """A package that a depot keeps, by its project file."""
    found = parse_toml(file.read())
    yield julia(
        file.path, text(found.get("name")), text(found.get("version")), text(found.get("uuid"))
    )


INSTALLED_EXTRACTOR: Final = GeneratorExtractor(
    "language/julia-installed",
    Wants(
        names=frozenset({"Project.toml", "JuliaProject.toml"}),
        confirm=lambda path: bool(_INSTALLED.fullmatch(path)),
        limit=1 << 20,
    ),
    _parse_installed,
)
EXTRACTOR: Final = GeneratorExtractor(
    "language/julia-lock",
    Wants(
        suffixes=frozenset({".toml"}),
        confirm=lambda path: bool(_NAME.fullmatch(path)),
        limit=8 << 20,
    ),
    _parse,
)
