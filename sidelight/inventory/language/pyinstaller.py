"""A program made by PyInstaller: the metadata of the distributions in its archive.

The archive is the program's section `pydata`, or behind the program, and ends with a cookie that
shows where its table of contents is. Modules are in it without their versions, so only those
distributions are known whose metadata was put in too.
Source: PyInstaller's documentation of its archives ("CArchive"), and its own programs.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.errors import DamagedError, LimitError
from sidelight.inventory.language.coremetadata import HEADER_LIMIT, core_metadata
from sidelight.inventory.language.package_builder import Entry, PackageDetails, pypi
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.protocol import WantedFile

MAGIC: Final = b"MEI\x0c\x0b\x0a\x0b\x0e"
CONTENTS_LIMIT: Final = 16 << 20  # bytes of the table of contents
METADATA_LIMIT: Final = 5_000  # distributions
ALL_METADATA: Final = 64 << 20  # bytes of all their metadata, which may lie in the same place
_COOKIE: Final = struct.Struct(">8s4L64s")
_ENTRY: Final = struct.Struct(">4LBc")
_TAIL: Final = 4096
_METADATA: Final = (".dist-info/METADATA", ".egg-info/PKG-INFO")
_BINARY: Final = b"b"


class _TocEntry(NamedTuple):
    offset: int
    length: int
    size: int
    packed: bool
    kind: bytes
    name: str


def cookie_offset(file: WantedFile, end: int) -> int:
    """Where the cookie of an archive is that ends at `end`; -1 where there is none."""
    start = max(0, end - _TAIL)
    found = file.read_at(start, end - start).rfind(MAGIC)
    return -1 if found < 0 else start + found


def read_archive(file: WantedFile, cookie: int) -> Iterator[Entry]:
    """The distributions of the archive that ends with the cookie at `cookie`."""
    raw = file.read_at(cookie, _COOKIE.size)
    if len(raw) < _COOKIE.size:
        raise DamagedError("PyInstaller archive: its cookie is cut short")
    _, length, contents, contents_length, _, _ = _COOKIE.unpack(raw)
    start = cookie + _COOKIE.size - length
    if start < 0 or contents_length > CONTENTS_LIMIT:
        raise DamagedError(f"PyInstaller archive: no table of contents is at {start + contents}")
    wanted, has_binaries = [], False
    for entry in _contents(file.read_at(start + contents, contents_length)):
        has_binaries = has_binaries or entry.kind == _BINARY
        if entry.name.endswith(_METADATA):
            wanted.append(entry)
            if len(wanted) > METADATA_LIMIT:
                raise LimitError(f"PyInstaller archive of more than {METADATA_LIMIT} distributions")
    left = ALL_METADATA
    for entry in wanted:
        data = _data(file, start, entry)
        left -= len(data)
        if left < 0:
            raise LimitError(f"PyInstaller archive of more than {ALL_METADATA} bytes of metadata")
        name, version, licence, _ = core_metadata(data)
        yield pypi(file.path, name, version, PackageDetails(licence))
    if has_binaries:  # else its files are beside it
        what = "a PyInstaller program: its modules without metadata cannot be read"
        yield Problem("/" + file.path, what)


def _contents(data: bytes) -> Iterator[_TocEntry]:
    position = 0
    while position + _ENTRY.size <= len(data):
        step, offset, length, size, packed, kind = _ENTRY.unpack_from(data, position)
        if step <= _ENTRY.size:
            raise DamagedError("PyInstaller archive: an entry without a name")
        name = data[position + _ENTRY.size : position + step].rstrip(b"\0")
        text = name.decode("utf-8", "replace").replace("\\", "/")
        yield _TocEntry(offset, length, size, bool(packed), kind, text)
        position += step


def _data(file: WantedFile, start: int, entry: _TocEntry) -> bytes:
    file.check_time()
    data = file.read_at(start + entry.offset, min(entry.length, HEADER_LIMIT))
    if not entry.packed:
        return data
    try:
        return zlib.decompressobj().decompress(data, HEADER_LIMIT)
    except zlib.error as error:
        raise DamagedError(f"PyInstaller archive: {entry.name[-80:]}: {error}") from None
