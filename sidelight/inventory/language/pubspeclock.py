"""pubspec.lock of Dart and Flutter. Source: Dart's documentation ("Package dependencies")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import (
    PUBLIC,
    Drawn,
    Origin,
    git,
    host,
    other_registries,
    registry,
)
from sidelight.inventory.language.package_builder import Entry, PackageDetails, flat
from sidelight.inventory.language.public_registries import PUB
from sidelight.inventory.language.safe_parsers import mapping, parse_yaml
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCAL: Final = frozenset(("path", "sdk"))  # the project's own, and parts of the toolchain


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_yaml(file.read()), "the lock file")
    packages = {
        name: mapping(value, "a package")
        for name, value in mapping(data.get("packages"), "packages").items()
    }
    own = other_registries(
        (Drawn(name, host(_url(found))) for name, found in packages.items()), PUB
    )
    for name, found in packages.items():
        if found.get("source") in _LOCAL:
            continue
        requested = text(found.get("dependency"))
        details = PackageDetails(
            direct=requested.startswith("direct"),
            dev=True if requested == "direct dev" else None,
            origin=_origin(found, own),
        )
        yield flat(file.path, "pub", name, text(found.get("version")), details)


def _url(found: dict[str, object]) -> str:
    described = found.get("description")
    return text(described.get("url")) if isinstance(described, dict) else ""


def _origin(found: dict[str, object], own: frozenset[str]) -> Origin:
    url = _url(found)
    if found.get("source") == "git":
        described = mapping(found.get("description"), "description")
        return git(url, text(described.get("resolved-ref")))
    return registry(url) if host(url) in own else PUBLIC


EXTRACTOR: Final = GeneratorExtractor(
    "language/dart-lock",
    Wants(names=frozenset({"pubspec.lock"}), confirm=is_project, limit=8 << 20),
    _parse,
)
