"""Composer: composer.lock, and vendor/composer/installed.json in both of its forms.

Source: Composer's documentation ("Basic usage", "Runtime"), and the files that it writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sidelight.errors import FormatError
from sidelight.inventory.language.entry import Details, Entry, composer
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.structured import mapping, parse_json, sequence, text
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parse_lock(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_json(file.read()), "the lock file")
    asked = _asked_beside(file)
    for key, dev in (("packages", False), ("packages-dev", True)):
        for item in sequence(data.get(key), key):
            found = mapping(item, "a package")
            direct = None if asked is None else text(found.get("name")).lower() in asked
            yield _package(file.path, found, direct=direct, dev=dev)


def _asked_beside(file: WantedFile) -> set[str] | None:
    try:
        data = file.sibling("composer.json", 4 << 20)
        manifest = None if data is None else parse_json(data)
    except FormatError:
        return None  # the file itself is not what was asked for: it tells nothing then
    if not isinstance(manifest, dict):
        return None
    parts = (manifest.get("require"), manifest.get("require-dev"))
    return {name.lower() for part in parts if isinstance(part, dict) for name in part}


def _parse_installed(file: WantedFile) -> Iterator[Entry]:
    data = parse_json(file.read())
    dev_names: set[str] | None = None
    if isinstance(data, dict):  # Composer 2; Composer 1 writes the list alone
        if "dev-package-names" in data:
            dev_names = {
                text(name) for name in sequence(data["dev-package-names"], "dev-package-names")
            }
        data = data.get("packages")
    for item in sequence(data, "packages"):
        found = mapping(item, "a package")
        dev = None if dev_names is None else text(found.get("name")) in dev_names
        yield _package(file.path, found, direct=None, dev=dev)


def _package(path: str, found: dict[str, Any], *, direct: bool | None, dev: bool | None) -> Entry:
    licence = found.get("license")
    names = licence if isinstance(licence, list) else [licence]
    details = Details(" OR ".join(filter(None, map(text, names))), direct, dev)
    return composer(path, text(found.get("name")), text(found.get("version")), details)


def _installed(path: str) -> bool:
    return path.endswith("composer/installed.json")


LOCK_EXTRACTOR: Final = GeneratorExtractor(
    "language/php-lock",
    Wants(names=frozenset({"composer.lock"}), confirm=is_project, limit=32 << 20),
    _parse_lock,
)
INSTALLED_EXTRACTOR: Final = GeneratorExtractor(
    "language/php-installed",
    Wants(names=frozenset({"installed.json"}), confirm=_installed, limit=32 << 20),
    _parse_installed,
)
