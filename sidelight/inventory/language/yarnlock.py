"""yarn.lock of Yarn 1 (a format of its own) and of Yarn 2 and later (YAML).

Source: Yarn 1's lockfile parser is the only definition of the first; the second is described in
Yarn's "Lexicon" (descriptors and locators).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote

from sidelight.errors import DamagedError
from sidelight.inventory.language.dependencygraph import reachable
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.npmorigin import (
    LockfileOrigins,
    from_registry,
    is_archive_file,
    name_in,
)
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    npm,
    related,
)
from sidelight.inventory.language.packagejson import requirements_beside
from sidelight.inventory.language.safe_parsers import mapping, parse_yaml
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_DESCRIPTOR: Final = re.compile(r"(@?[^@]+)@(.*)", re.DOTALL)
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[^\s",]+')
_ALIAS: Final = re.compile(r"(@[^/@]+/[^/@]+|[A-Za-z][^/@]*)(?:@(.*))?", re.DOTALL)
_LOCAL: Final = ("file:", "link:", "portal:", "workspace:")


@dataclass(slots=True)
class _Locked:
    """One entry: the descriptors (`name@range`) that it answers, and what it depends on."""

    descriptors: list[str]
    name: str = ""
    version: str = ""
    needs: list[str] = field(default_factory=list)  # descriptors
    workspace: bool = False
    url: str = ""  # that it was resolved to; empty for the registry's


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    data = file.read()
    # Tools that rewrite a file of version 1 leave its first line out.
    locked = _berry(data) if b"__metadata:" in data else _classic(data)
    roots = _roots(file, locked)
    direct = None if roots is None else roots[0] | roots[1]
    shipped = None if roots is None else _reached(locked, roots[0])
    origins = LockfileOrigins(
        from_registry(
            entry.name,
            entry.url,
            [match[1] for match in map(_DESCRIPTOR.match, entry.needs) if match],
        )
        for entry in locked
    )
    for entry in locked:
        if not entry.version or not entry.name or entry.workspace:
            continue
        known = entry.descriptors
        found = npm(
            file.path,
            entry.name,
            entry.version,
            PackageDetails(
                direct=None if direct is None else any(item in direct for item in known),
                dev=None if shipped is None else not any(item in shipped for item in known),
                origin=origins.of(entry.url),
            ),
        )
        yield related(found, known, entry.needs)


def _roots(file: WantedFile, locked: list[_Locked]) -> tuple[set[str], set[str]] | None:
    """Descriptors asked for to run and to develop; None where one package.json can't say."""
    requested = requirements_beside(file)
    if requested is None or requested.workspaces or sum(entry.workspace for entry in locked) > 1:
        return None
    berry = any(entry.workspace for entry in locked)
    return (
        {_descriptor(name, wanted, berry) for name, wanted in requested.run.items()},
        {_descriptor(name, wanted, berry) for name, wanted in requested.develop.items()},
    )


def _descriptor(name: str, wanted: str, berry: bool) -> str:
    return f"{name}@npm:{wanted}" if berry and ":" not in wanted else f"{name}@{wanted}"


def _reached(locked: list[_Locked], roots: set[str]) -> set[str]:
    needs = {item: entry.needs for entry in locked for item in entry.descriptors}
    return reachable(roots, lambda item: needs.get(item, ()))


def _classic(data: bytes) -> list[_Locked]:
    locked: list[_Locked] = []
    section = ""
    for line in data.decode("utf-8-sig", "replace").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = len(line) - len(line.lstrip(" "))
        words = [word.strip('"') for word in _WORD.findall(line)]
        if indent == 0:
            locked.append(_header(line))
            section = ""
        elif not locked or not words:
            raise DamagedError(f"no yarn.lock: {line[:80]!r}")
        elif indent == 2 and line.endswith(":"):
            section = words[0].rstrip(":")
        elif indent == 2 and words[0] == "version" and len(words) == 2:
            locked[-1].version = words[1]
        elif indent == 2 and words[0] == "resolved" and len(words) == 2:
            _resolve(locked[-1], words[1])
        elif indent > 2 and "ependencies" in section and len(words) == 2:
            locked[-1].needs.append(f"{words[0]}@{words[1]}")
    return locked


def _header(line: str) -> _Locked:
    words = [word.strip('"') for word in _WORD.findall(line.rstrip().removesuffix(":"))]
    if not line.rstrip().endswith(":") or not words:
        raise DamagedError(f"no yarn.lock: {line[:80]!r}")
    entry = _Locked(words)
    match = _DESCRIPTOR.fullmatch(words[0])
    entry.name, wanted = (match[1], match[2]) if match else (words[0], "")
    if wanted.startswith("npm:") and (alias := _ALIAS.fullmatch(wanted[4:])):
        entry.name = alias[1]
    entry.workspace = wanted.startswith(_LOCAL) and not is_archive_file(wanted)
    return entry


def _resolve(entry: _Locked, url: str) -> None:
    """The archive's address; it names the package, whatever alias or tag was asked for."""
    entry.url = url
    named = name_in(url)
    if named and any("@npm:" in item for item in entry.descriptors):
        entry.name = named


def _berry(data: bytes) -> list[_Locked]:
    locked: list[_Locked] = []
    for key, value in mapping(parse_yaml(data), "yarn.lock").items():
        if key == "__metadata":
            continue
        found = mapping(value, "an entry")
        entry = _Locked(key.split(", "), version=text(found.get("version")))
        match = _DESCRIPTOR.fullmatch(text(found.get("resolution")))
        entry.name = match[1] if match else ""
        place = match[2] if match else ""
        entry.workspace = place.startswith(_LOCAL) and not is_archive_file(place)
        entry.url = _address(place)
        for name, wanted in mapping(found.get("dependencies"), "dependencies").items():
            entry.needs += (f"{name}@{text(wanted)}", f"{name}@npm:{text(wanted)}")
        locked.append(entry)
    return locked


def _address(place: str) -> str:
    """What a locator's reference says of the origin: a repository, an archive, another registry.

    A patched package is the one within: `patch:lodash@npm%3A4.17.20#~/.yarn/patches/lodash.patch`.
    """
    if place.startswith("patch:"):
        inner = _DESCRIPTOR.fullmatch(unquote(place.removeprefix("patch:").partition("#")[0]))
        place = inner[2] if inner else ""
    reference, _, parameters = place.partition("::")
    if reference.startswith("npm:"):
        return next(iter(parse_qs(parameters).get("__archiveUrl", [])), "")
    return reference.replace("#commit=", "#")


EXTRACTOR: Final = GeneratorExtractor(
    "language/yarn-lock",
    Wants(names=frozenset({"yarn.lock"}), confirm=is_project, limit=32 << 20),
    _parse,
)
