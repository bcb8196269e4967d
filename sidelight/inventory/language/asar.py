"""Electron's app.asar: the packages in the node_modules of an application's archive.

Four numbers of 32 bits, each the length of what follows or of a part of it; then a JSON tree of
files with their places behind it. Source: the documentation of Electron's asar format.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, FormatError, LimitError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.nodepackage import installed_package
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.language.package_builder import Entry, RelatedEntry

HEADER_LIMIT: Final = 64 << 20  # bytes of the tree of files
FILES_LIMIT: Final = 500_000
MANIFEST_LIMIT: Final = 1 << 20  # bytes of one package.json
_START: Final = struct.Struct("<4L")
_MANIFEST: Final = re.compile(r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/@.][^/]*/package\.json")


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    raw = file.read_at(0, _START.size)
    if len(raw) < _START.size or raw[:4] != b"\x04\0\0\0":
        return  # another file with such a suffix
    _, header, _, length = _START.unpack(raw)
    if not 8 <= header <= HEADER_LIMIT or length > header:
        raise DamagedError(f"asar: no header of {header} bytes")
    tree = mapping(parse_json(file.read_at(_START.size, length)), "the header")
    for path, found in _files(tree):
        if not _MANIFEST.fullmatch(path) or found.get("unpacked"):
            continue  # an unpacked file is beside the archive
        file.check_time()
        where = f"{file.path}!/{path}"
        offset, size = text(found.get("offset")), found.get("size")
        if not (offset.isascii() and offset.isdigit() and isinstance(size, int)):
            yield Problem("/" + where, "asar: a file without a place")
            continue
        try:
            if not 0 <= size <= MANIFEST_LIMIT:
                raise LimitError(f"asar: a package.json of {size} bytes")
            data = file.read_at(8 + header + int(offset[:18]), size)
            yield from installed_package(where, data)
        except FormatError as error:
            yield Problem("/" + where, error.what)


def _files(tree: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """(path, entry) of each file of the tree."""
    waiting = [("", tree)]
    count = 0
    while waiting:
        above, directory = waiting.pop()
        for name, value in mapping(directory.get("files"), "files").items():
            count += 1
            if count > FILES_LIMIT:
                raise LimitError(f"asar of more than {FILES_LIMIT} files")
            path = f"{above}/{name}"[-4096:].lstrip("/")
            entry = mapping(value, "an entry")
            if "files" in entry:
                waiting.append((path, entry))
            else:
                yield path, entry


EXTRACTOR: Final = GeneratorExtractor(
    "language/electron-asar",
    Wants(suffixes=frozenset({".asar"}), random_access=True, limit=4 << 30),
    _parse,
)
