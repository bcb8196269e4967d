"""pdm.lock. Source: PDM's documentation ("Lock file"), and the files that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import PUBLIC, Origin, git
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    pypi,
    related,
)
from sidelight.inventory.language.pypiorigin import archive
from sidelight.inventory.language.pypirequirements import required_names
from sidelight.inventory.language.pyproject import normal, requirements_beside
from sidelight.inventory.language.safe_parsers import mapping, parse_toml, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    requested = requirements_beside(file)
    for item in sequence(parse_toml(file.read()).get("package"), "package"):
        found = mapping(item, "a package")
        name, version = text(found.get("name")), text(found.get("version"))
        if not version or (found.get("path") and not str(found["path"]).endswith((".whl", ".gz"))):
            continue  # a directory of the project's own
        groups = sequence(found.get("groups"), "groups")
        dev = False if "default" in groups else True if "dev" in groups else None
        direct = None
        if requested is not None:
            direct = normal(name) in requested.run or normal(name) in requested.develop
        details = PackageDetails(direct=direct, dev=dev, origin=_origin(found))
        needs = map(text, sequence(found.get("dependencies"), "dependencies"))
        entry = pypi(file.path, name, version, details)
        yield related(entry, (normal(name),), required_names(needs))


def _origin(found: dict[str, object]) -> Origin:
    if repository := text(found.get("git")):
        return git(repository, text(found.get("revision")))
    if url := text(found.get("url")) or text(found.get("path")):
        return archive(url)
    return PUBLIC


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-pdm-lock",
    Wants(names=frozenset({"pdm.lock"}), confirm=is_project, limit=8 << 20),
    _parse,
)
