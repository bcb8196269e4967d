"""A .NET program published as a single file: the deps.json in its bundle.

The host is followed by the files, and these by a header with their places. In the host's data, the
header's offset is before a mark that is the SHA-256 of ".net core bundle"; it is 0 in a host
without a bundle. Source: the .NET runtime's design of single-file bundles and of its host's bundle
header (versions 1 of .NET Core 3, 2 of .NET 5, 6 since .NET 6).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, LimitError, UnsupportedError
from sidelight.inventory.language.dotnetlibraries import libraries
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.language.executable import Program
    from sidelight.inventory.language.package_builder import Entry, RelatedEntry
    from sidelight.inventory.protocol import WantedFile

MARK: Final = bytes.fromhex("8b1202b96a612038727b930214d7a03213f5b9e6efae3318ee3b2dce24b36aae")
SEARCH_LIMIT: Final = 8 << 20  # bytes of one data section
ALL_SEARCHED: Final = 32 << 20  # bytes of a program's data sections together, which may overlap
HEADER_LIMIT: Final = 4 << 20  # bytes of a header; a file takes some 60
FILES_LIMIT: Final = 50_000
DEPS_LIMIT: Final = 32 << 20  # bytes of a deps.json
_VERSIONS: Final = frozenset((1, 2, 6))
_DEPS_JSON: Final = 3  # a file's kind
_START: Final = struct.Struct("<2LL")  # major and minor version, number of files
_SINCE_2: Final = 40  # bytes: places of deps.json and runtimeconfig.json, flags


def bundle_offset(file: WantedFile, layout: Program) -> int:
    """Where the bundle's header is; 0 for a program that is not a host or has no bundle."""
    left = ALL_SEARCHED
    for region in layout.sections:
        if not region.writable or region.size < len(MARK) + 8:
            continue
        if left <= 0:
            raise LimitError(f"data sections of more than {ALL_SEARCHED} bytes")
        data = file.read_at(region.offset, min(region.size, SEARCH_LIMIT, left))
        left -= len(data)
        at = data.find(MARK)
        if at >= 8:
            return int(struct.unpack_from("<Q", data, at - 8)[0])
    return 0


def read_bundle(file: WantedFile, offset: int) -> Iterator[Entry | RelatedEntry]:
    """The packages of the bundle whose header is at `offset`.

    Raises DamagedError, LimitError, UnsupportedError.
    """
    if offset >= file.size:
        raise DamagedError(f".NET bundle: no header is at {offset}")
    reader = _Reader(file.read_at(offset, min(HEADER_LIMIT, file.size - offset)))
    try:
        major, _, count = _START.unpack(reader.take(_START.size))
        if major not in _VERSIONS:
            raise UnsupportedError(f".NET bundle of version {major}")
        if count > FILES_LIMIT:
            raise LimitError(f".NET bundle of more than {FILES_LIMIT} files")
        reader.text()
        reader.take(_SINCE_2 if major > 1 else 0)
        for _ in range(count):
            place, size, packed = struct.unpack("<3Q", reader.take(24)) if major > 5 else (
                *struct.unpack("<2Q", reader.take(16)), 0)  # fmt: skip
            kind = reader.take(1)[0]
            reader.text()
            if kind == _DEPS_JSON:
                yield from _dependencies(file, place, size, packed)
                return
    except struct.error:
        raise DamagedError(".NET bundle: its header is cut short") from None
    yield Problem("/" + file.path, ".NET bundle without deps.json: its packages cannot be read")


def _dependencies(
    file: WantedFile, place: int, size: int, packed: int
) -> Iterator[Entry | RelatedEntry]:
    if packed:
        raise UnsupportedError(".NET bundle with a compressed deps.json")
    if size > DEPS_LIMIT or place > file.size:
        raise DamagedError(f".NET bundle: no deps.json of {size} bytes is at {place}")
    yield from libraries(file.path, file.read_at(place, size))


@dataclass(slots=True)
class _Reader:
    data: bytes
    position: int = 0

    def take(self, length: int) -> bytes:
        piece = self.data[self.position : self.position + length]
        if len(piece) < length:
            raise DamagedError(".NET bundle: its header is cut short")
        self.position += length
        return piece

    def text(self) -> bytes:
        """A string behind its length, of seven bits a byte."""
        length = shift = 0
        for _ in range(5):
            byte = self.take(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        return self.take(length)
