"""Yarn's Plug'n'Play map, where it is deployed without its lock file: .pnp.cjs, .pnp.data.json.

The map names every package with its reference, and is what Node.js loads packages by. With a
yarn.lock beside it that is read in its place. Yarn 1's map is a program of another form: a Problem.
Source: Yarn's "Plug'n'Play Specification", and the files that Yarn 2 to 4 write.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sidelight.errors import DamagedError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import download
from sidelight.inventory.language.package_builder import Entry, PackageDetails, npm
from sidelight.inventory.language.safe_parsers import mapping, parse_json, sequence
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 64 << 20  # bytes; the map of 10,000 packages has some 10 MiB
_DATA: Final = ".pnp.data.json"
_LOCK: Final = "yarn.lock"
_STATE: Final = b"RAW_RUNTIME_STATE ="
_OLDER_STATE: Final = b"hydrateRuntimeState("  # Yarn 2 and 3.0
_OLDER_END: Final = b"}, {basePath"
_ESCAPE: Final = re.compile(rb"\\([\\'\n])")
_REFERENCE: Final = re.compile(r"npm:(?:((?:@[^/@]+/)?[^/@]+)@)?([0-9][^:#/]*)(?:::.*)?")
_PATCH: Final = re.compile(r"patch:(?:@[^/@]+/)?[^/@]+@(npm(?::|%3A)[^#]+)#.*", re.IGNORECASE)
_REFERENCE_LIMIT: Final = 4096  # characters


def _parse(file: WantedFile) -> Iterator[Entry]:
    if file.sibling(_LOCK) is not None:
        return
    data = file.read()
    if not file.path.endswith(_DATA):
        if file.sibling(_DATA) is not None:
            return
        data = _state(data)
    state = mapping(parse_json(data), "Plug'n'Play's map")
    for item in sequence(state.get("packageRegistryData"), "packageRegistryData"):
        name, references = _pair(item)
        for entry in sequence(references, "a package's references"):
            reference, _ = _pair(entry)
            if isinstance(name, str) and isinstance(reference, str):
                yield from _package(file.path, name, reference)


def _state(program: bytes) -> bytes:
    """The map's JSON within the program that Yarn writes. Raises DamagedError for another one."""
    start = program.find(_STATE)
    is_text = start >= 0
    start = program.find(b"{", start if is_text else program.find(_OLDER_STATE))
    end = program.rfind(b"}';" if is_text else _OLDER_END)
    if (not is_text and _OLDER_STATE not in program) or not 0 <= start < end:
        raise DamagedError("Plug'n'Play's map is of a form that is not read")
    found = program[start : end + 1]
    return _ESCAPE.sub(_unescaped, found) if is_text else found


def _unescaped(match: re.Match[bytes]) -> bytes:
    return b"" if match[1] == b"\n" else match[1]


def _pair(item: object) -> tuple[object, object]:
    pair = sequence(item, "an entry")
    if len(pair) != 2:
        raise DamagedError("an entry of Plug'n'Play's map of another form")
    return pair[0], pair[1]


def _package(path: str, name: str, reference: str) -> Iterator[Entry]:
    """`npm:1.0.0`, `virtual:…#npm:1.0.0`, `npm:other@1.0.0` of an alias, `patch:…`, `workspace:…`.

    Of a repository or an archive outside of the registry the map has no version.
    """
    reference = reference[:_REFERENCE_LIMIT]
    if reference.startswith("virtual:"):
        reference = reference.partition("#")[2]
    if patched := _PATCH.fullmatch(reference):
        reference = unquote(patched[1])
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return
    address = unquote(reference.partition("::__archiveUrl=")[2])
    details = PackageDetails(origin=download(address)) if address else PackageDetails()
    yield npm(path, match[1] or name, match[2], details)


EXTRACTOR: Final = GeneratorExtractor(
    "language/yarn-pnp",
    Wants(names=frozenset({".pnp.cjs", ".pnp.js", _DATA}), confirm=is_project, limit=LIMIT),
    _parse,
)
