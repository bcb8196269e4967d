"""Lock files and exports of conda environments: environment.yml, conda-lock.yml, pixi.lock.

Of environment.yml only what is pinned is listed; a range names no version. The packages of pip
within an environment are PyPI's.
Source: conda's documentation ("Managing environments"), conda-lock's lock file (version 1), and
pixi's (versions 4 to 6).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import ADDRESS_LIMIT, PUBLIC
from sidelight.inventory.language.package_builder import Entry, PackageDetails, conda, pypi
from sidelight.inventory.language.pypiorigin import archive
from sidelight.inventory.language.safe_parsers import mapping, parse_yaml, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

# `channel::name=1.2.3=build` and `name==1.2.3`; a version with a star or a comparison is a range.
_PINNED: Final = re.compile(
    r"(?:([\w./:-]+)::)?([A-Za-z0-9_][\w.-]*)\s*={1,2}\s*([0-9A-Za-z][\w.!+]*)(?:=([\w.]+))?"
)
_PIP: Final = re.compile(
    r"\s*+([A-Za-z0-9][A-Za-z0-9._-]*+)\s*+(?:\[[^\]]*+\])?\s*+===?+\s*+"
    r"([0-9A-Za-z][\w.!+-]*+)(?=[\s;,#]|$)"
)
# `https://host/channel/linux-64/name-1.2.3-build.conda`
_URL: Final = re.compile(
    r".*?/([^/]+)/([a-z0-9_]+-[a-z0-9]+|noarch)/([^/]+)-([^-/]+)-([^-/]+)\.(?:conda|tar\.bz2)(?:[?#].*)?"
)
_ENVIRONMENT: Final = re.compile(r"(?:.*[-_.])?environment(?:[-_.].*)?\.ya?ml|conda\.ya?ml")


def _parse_environment(file: WantedFile) -> Iterator[Entry]:
    document = parse_yaml(file.read())
    data = document if isinstance(document, dict) else {}  # others have files of this name too
    listed = data.get("dependencies")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, str) and (match := _PINNED.fullmatch(item.strip())):
            pairs = (("build", match[4] or ""), ("channel", match[1] or ""))
            yield conda(file.path, match[2].lower(), match[3], PackageDetails(direct=True), pairs)
        inner = item.get("pip") if isinstance(item, dict) else None
        for requirement in inner if isinstance(inner, list) else ():
            if isinstance(requirement, str) and (match := _PIP.match(requirement[:1024])):
                yield pypi(file.path, match[1], match[2], PackageDetails(direct=True))


def _parse_lock(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_yaml(file.read()), "the lock file")
    for item in sequence(data.get("package"), "package"):
        found = mapping(item, "a package")
        details = PackageDetails(dev=text(found.get("category")) == "dev")
        name, version, url = (text(found.get(key)) for key in ("name", "version", "url"))
        if found.get("manager") == "pip":
            source = archive(url) if url else PUBLIC
            yield pypi(file.path, name, version, PackageDetails(dev=details.dev, origin=source))
        else:
            yield conda(file.path, name, version, details, _qualifiers(url))


def _parse_pixi(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_yaml(file.read()), "the lock file")
    for item in sequence(data.get("packages"), "packages"):
        found = mapping(item, "a package")
        kind = text(found.get("kind")) or ("pypi" if "pypi" in found else "conda")
        url = text(found.get(kind)) or text(found.get("url"))
        match = _URL.fullmatch(unquote(url[:ADDRESS_LIMIT])) if kind == "conda" else None
        name = text(found.get("name")) or (match[3] if match else "")
        version = text(found.get("version")) or (match[4] if match else "")
        if kind == "conda":
            if name and version:  # what is built from a directory has none
                yield conda(file.path, name, version, qualifiers=_qualifiers(url))
        elif version and "://" in url:
            yield pypi(file.path, name, version, PackageDetails(origin=archive(url)))


def _qualifiers(url: str) -> tuple[tuple[str, str], ...]:
    match = _URL.fullmatch(unquote(url[:ADDRESS_LIMIT]))
    if match is None:
        return ()
    return (("build", match[5]), ("channel", match[1]), ("subdir", match[2]))


def _is_environment(path: str) -> bool:
    return is_project(path) and bool(_ENVIRONMENT.fullmatch(path.rpartition("/")[2]))


def _is_lock(path: str) -> bool:
    base = path.rpartition("/")[2]
    return is_project(path) and base.removesuffix(".yml").endswith("conda-lock")


ENVIRONMENT_EXTRACTOR: Final = GeneratorExtractor(
    "language/conda-environment",
    Wants(suffixes=frozenset({".yml", ".yaml"}), confirm=_is_environment, limit=1 << 20),
    _parse_environment,
)
LOCK_EXTRACTOR: Final = GeneratorExtractor(
    "language/conda-lock",
    Wants(suffixes=frozenset({".yml"}), confirm=_is_lock, limit=32 << 20),
    _parse_lock,
)
PIXI_EXTRACTOR: Final = GeneratorExtractor(
    "language/pixi-lock",
    Wants(names=frozenset({"pixi.lock"}), confirm=is_project, limit=32 << 20),
    _parse_pixi,
)
