"""An rpm header as the database stores it: without the magic number of a package file's header.

Source: rpm's manual, "RPM V4 Package format" (header structure) and its tags. All numbers are big
endian: the count of index entries, the length of the data, the entries (tag, type, offset, count),
the data. A later entry of the same tag replaces an earlier one: rpm appends what it learned at
installation after the immutable region.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from sidelight.errors import DamagedError, LimitError

MAX_ENTRIES = 0xFFFF  # rpm's own cap
MAX_DATA = 256 << 20  # likewise

_NAME, _VERSION, _RELEASE, _EPOCH = 1000, 1001, 1002, 1003
_VENDOR, _LICENCE, _ARCH, _SOURCE_RPM = 1011, 1014, 1022, 1044
_OLD_FILE_NAMES, _DIR_INDEXES, _BASE_NAMES, _DIR_NAMES = 1027, 1116, 1117, 1118
_MODULARITY = 5096

_INT32, _STRING, _STRING_ARRAY, _I18N = 4, 6, 8, 9
_TEXTS = frozenset((_STRING, _STRING_ARRAY, _I18N))
_HEAD = (_NAME, _VERSION, _RELEASE, _EPOCH, _VENDOR, _LICENCE, _ARCH, _SOURCE_RPM, _MODULARITY)
_WANTED = frozenset((*_HEAD, _OLD_FILE_NAMES, _DIR_INDEXES, _BASE_NAMES, _DIR_NAMES))

_Entry = tuple[int, int, int]  # type, absolute offset in the blob, count


@dataclass(frozen=True, slots=True)
class RpmHeader:
    """One installed package. `epoch` is None where the header has none; `files` without `/`."""

    name: str
    epoch: int | None
    version: str
    release: str
    arch: str = ""
    source_rpm: str = ""
    vendor: str = ""
    modularity: str = ""
    licence: str = ""
    files: list[str] = field(default_factory=list)


def decode(blob: bytes) -> RpmHeader:
    """One header. Raises DamagedError, and LimitError past rpm's own caps."""
    if len(blob) < 8:
        raise DamagedError(f"an rpm header of {len(blob)} bytes")
    count, length = struct.unpack_from(">II", blob)
    if count > MAX_ENTRIES or length > MAX_DATA:
        raise LimitError(f"an rpm header of {count} entries and {length} bytes")
    base = 8 + 16 * count
    if not count or base + length > len(blob):
        raise DamagedError(f"an rpm header of {count} entries is cut off after {len(blob)} bytes")
    index = struct.unpack_from(f">{4 * count}I", blob, 8)
    entries: dict[int, _Entry] = {}
    for position, tag in enumerate(index[0::4]):
        if tag in _WANTED:
            kind, offset, items = index[4 * position + 1 : 4 * position + 4]
            if offset >= length:
                raise DamagedError(f"rpm tag {tag} points outside its header")
            entries[tag] = (kind, base + offset, items)
    end = base + length
    name, version, release = (_text(blob, entries, tag, end) for tag in (_NAME, _VERSION, _RELEASE))
    if not name:
        raise DamagedError("an rpm header without a name")
    epoch = _numbers(blob, entries, _EPOCH, end)
    return RpmHeader(
        name=name,
        epoch=epoch[0] if epoch else None,
        version=version,
        release=release,
        arch=_text(blob, entries, _ARCH, end),
        source_rpm=_text(blob, entries, _SOURCE_RPM, end),
        vendor=_text(blob, entries, _VENDOR, end),
        modularity=_text(blob, entries, _MODULARITY, end),
        licence=_text(blob, entries, _LICENCE, end),
        files=_files(blob, entries, end),
    )


def _text(blob: bytes, entries: dict[int, _Entry], tag: int, end: int) -> str:
    """A string; of several (translations) the first."""
    entry = entries.get(tag)
    if entry is None:
        return ""
    kind, offset, _ = entry
    stop = blob.find(b"\0", offset, end)
    if kind not in _TEXTS or stop < 0:
        raise DamagedError(f"rpm tag {tag} is no string")
    return blob[offset:stop].decode("utf-8", "surrogateescape")


def _texts(blob: bytes, entries: dict[int, _Entry], tag: int, end: int) -> list[str]:
    entry = entries.get(tag)
    if entry is None:
        return []
    kind, offset, count = entry
    if kind not in _TEXTS or count > end - offset:
        raise DamagedError(f"rpm tag {tag} is no array of {count} strings")
    parts = blob[offset:end].split(b"\0", count)
    if len(parts) <= count:
        raise DamagedError(f"rpm tag {tag} ends before its {count} strings")
    # Decoded together: one call for thousands of names.
    del parts[count:]
    return b"\0".join(parts).decode("utf-8", "surrogateescape").split("\0") if parts else []


def _numbers(blob: bytes, entries: dict[int, _Entry], tag: int, end: int) -> tuple[int, ...]:
    entry = entries.get(tag)
    if entry is None:
        return ()
    kind, offset, count = entry
    if kind != _INT32 or offset + 4 * count > end:
        raise DamagedError(f"rpm tag {tag} is no array of {count} numbers")
    return struct.unpack_from(f">{count}I", blob, offset)


def _files(blob: bytes, entries: dict[int, _Entry], end: int) -> list[str]:
    if _BASE_NAMES not in entries:
        return [name.lstrip("/") for name in _texts(blob, entries, _OLD_FILE_NAMES, end)]
    names = _texts(blob, entries, _BASE_NAMES, end)
    directories = [name.lstrip("/") for name in _texts(blob, entries, _DIR_NAMES, end)]
    indexes = _numbers(blob, entries, _DIR_INDEXES, end)
    if len(indexes) != len(names) or (indexes and max(indexes) >= len(directories)):
        raise DamagedError("the file list of an rpm header does not fit together")
    return [directories[index] + name for index, name in zip(indexes, names, strict=True)]
