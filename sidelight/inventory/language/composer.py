"""Composer: composer.lock, and vendor/composer/installed.json in both of its forms.

What Packagist gave has its address for notes of downloads (`notification-url`); what has none came
from a repository of source code, a directory or an archive that the project names, unless nothing
in the file has one: then it was written behind a mirror. Beside installed.json lies installed.php,
which programs load; it counts where the other was removed.
Source: Composer's documentation ("Basic usage", "Runtime"), and the files that it writes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import (
    PUBLIC,
    Origin,
    download,
    git,
    host,
    local,
    registry,
)
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    composer,
    related,
)
from sidelight.inventory.language.public_registries import PACKAGIST
from sidelight.inventory.language.safe_parsers import mapping, parse_json, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parse_lock(file: WantedFile) -> Iterator[RelatedEntry]:
    data = mapping(parse_json(file.read()), "the lock file")
    requested = _requirements_beside(file)
    mirrored = not any(
        _is_packagists(mapping(item, "a package"))
        for key in ("packages", "packages-dev")
        for item in sequence(data.get(key), key)
    )
    for key, dev in (("packages", False), ("packages-dev", True)):
        for item in sequence(data.get(key), key):
            found = mapping(item, "a package")
            direct = None if requested is None else text(found.get("name")).lower() in requested
            source = _origin(found, mirrored=mirrored)
            yield _package(file.path, found, PackageDetails("", direct, dev, origin=source))


def _is_packagists(found: dict[str, object]) -> bool:
    return host(text(found.get("notification-url"))) in PACKAGIST


def _origin(found: dict[str, object], *, mirrored: bool) -> Origin:
    dist = mapping(found.get("dist"), "dist")
    source = mapping(found.get("source"), "source")
    if dist.get("type") == "path":
        return local(text(dist.get("url")))
    if mirrored or _is_packagists(found):
        return PUBLIC
    if url := text(found.get("notification-url")):
        return registry(url.removesuffix("/downloads").removesuffix("/downloads/"))
    if url := text(source.get("url")):
        return git(url, text(source.get("reference")))
    return download(url) if (url := text(dist.get("url"))) else PUBLIC


def _requirements_beside(file: WantedFile) -> set[str] | None:
    try:
        data = file.sibling("composer.json", 4 << 20)
        manifest = None if data is None else parse_json(data)
    except FormatError:
        return None  # the file itself is not what was asked for: it shows nothing then
    if not isinstance(manifest, dict):
        return None
    parts = (manifest.get("require"), manifest.get("require-dev"))
    return {name.lower() for part in parts if isinstance(part, dict) for name in part}


def _parse_installed(file: WantedFile) -> Iterator[RelatedEntry]:
    data = parse_json(file.read())
    dev_names: set[str] | None = None
    if isinstance(data, dict):  # Composer 2; Composer 1 writes the list alone
        if "dev-package-names" in data:
            dev_names = {
                text(name) for name in sequence(data["dev-package-names"], "dev-package-names")
            }
        data = data.get("packages")
    packages = [mapping(item, "a package") for item in sequence(data, "packages")]
    mirrored = not any(map(_is_packagists, packages))
    for found in packages:
        dev = None if dev_names is None else text(found.get("name")) in dev_names
        source = _origin(found, mirrored=mirrored)
        yield _package(file.path, found, PackageDetails("", None, dev, origin=source))


_INSTALLED_LIMIT: Final = 32 << 20  # bytes
_ROOT: Final = re.compile(r"'root' => array\(\s{0,99}'name' => '([^'\n]{1,256})'")
# Packages that another replaces or provides have no version there.
_RUNTIME: Final = re.compile(
    r"'([A-Za-z0-9][\w.-]{0,127}/[\w.-]{1,127})' => array\(\s{0,99}"
    r"'pretty_version' => '([^'\\\n]{1,256})'"
)


def _parse_runtime(file: WantedFile) -> Iterator[Entry]:
    if file.sibling("installed.json", _INSTALLED_LIMIT) is not None:
        return
    source = file.read().decode("utf-8", "replace")
    root = _ROOT.search(source)
    for name, version in _RUNTIME.findall(source):
        if root is None or name != root[1]:
            yield composer(file.path, name, version)


def _package(path: str, found: dict[str, object], details: PackageDetails) -> RelatedEntry:
    licence = found.get("license")
    names = licence if isinstance(licence, list) else [licence]
    details = replace(details, licence=" OR ".join(filter(None, map(text, names))))
    entry = composer(path, text(found.get("name")), text(found.get("version")), details)
    provided = (text(found.get("name")), *_keys(found.get("provide")), *_keys(found.get("replace")))
    return related(entry, map(str.lower, provided), map(str.lower, _keys(found.get("require"))))


def _keys(value: object) -> list[str]:
    # PHP writes an empty map as an empty list.
    return list(value) if isinstance(value, dict) else []


def _installed(path: str) -> bool:
    return path.endswith("composer/installed.json")


LOCK_EXTRACTOR: Final = GeneratorExtractor(
    "language/php-lock",
    Wants(names=frozenset({"composer.lock"}), confirm=is_project, limit=32 << 20),
    _parse_lock,
)
INSTALLED_EXTRACTOR: Final = GeneratorExtractor(
    "language/php-installed",
    Wants(names=frozenset({"installed.json"}), confirm=_installed, limit=_INSTALLED_LIMIT),
    _parse_installed,
)
RUNTIME_EXTRACTOR: Final = GeneratorExtractor(
    "language/php-runtime",
    Wants(
        names=frozenset({"installed.php"}),
        confirm=lambda path: path.endswith("composer/installed.php"),
        limit=_INSTALLED_LIMIT,
    ),
    _parse_runtime,
)
