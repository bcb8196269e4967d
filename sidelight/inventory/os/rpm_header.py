"""An rpm header as the database stores it: without the magic number of a package file's header.

Source: rpm's manual, "RPM V4 Package format" (header structure) and its tags. All numbers are big
endian: the count of index entries, the length of the data, the entries (tag, type, offset, count),
the data. A later entry of the same tag replaces an earlier one: rpm appends what it learned at
installation after the immutable region.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from sidelight.errors import DamagedError, FormatError, LimitError
from sidelight.inventory.os.rpm_relations import RpmRelations, required_files
from sidelight.inventory.protocol import MAX_PATH

MAX_ENTRIES = 0xFFFF  # rpm's own cap
# rpm takes headers of 256 MiB. The largest real ones, of 100,000 files, have some 20 MiB.
MAX_DATA = 64 << 20
MAX_BLOB = MAX_DATA + 16 * MAX_ENTRIES + 64  # bytes that a store keeps of one header
MAX_FILES = 500_000  # of one package
MAX_TEXT = 1 << 16  # bytes of one name, version, licence, …

_NAME, _VERSION, _RELEASE, _EPOCH = 1000, 1001, 1002, 1003
_DISTRIBUTION, _VENDOR, _LICENCE, _PACKAGER, _ARCH, _SOURCE_RPM = 1010, 1011, 1014, 1015, 1022, 1044
_OLD_FILE_NAMES, _DIR_INDEXES, _BASE_NAMES, _DIR_NAMES = 1027, 1116, 1117, 1118
_MODULARITY = 5096
_PROVIDE_NAMES, _REQUIRE_FLAGS, _REQUIRE_NAMES, _REQUIRE_VERSIONS = 1047, 1048, 1049, 1050
_PROVIDE_VERSIONS = 1113
_FILE_STATES = 1029
# Of a file's states: normal, and on a filesystem shared by several machines. Others were replaced
# by another package's, or not put on the disk: `rpm -qf` knows no owner for them.
_ON_THE_DISK = frozenset((0, 3))

_BYTES = frozenset((1, 2))  # characters, numbers of 8 bits
_INT32, _STRING, _STRING_ARRAY, _I18N = 4, 6, 8, 9
_TEXTS = frozenset((_STRING, _STRING_ARRAY, _I18N))
_HEAD = (_NAME, _VERSION, _RELEASE, _EPOCH, _VENDOR, _LICENCE, _ARCH, _SOURCE_RPM, _MODULARITY)
_WANTED = frozenset(
    (*_HEAD, _DISTRIBUTION, _PACKAGER, _OLD_FILE_NAMES, _DIR_INDEXES, _BASE_NAMES, _DIR_NAMES,
     _FILE_STATES, _PROVIDE_NAMES, _PROVIDE_VERSIONS, _REQUIRE_FLAGS, _REQUIRE_NAMES,
     _REQUIRE_VERSIONS)
)  # fmt: skip


class _Entry(NamedTuple):
    """An array; `offset`, and `following` where the next one begins, are places in the blob."""

    kind: int
    offset: int
    items: int
    following: int


@dataclass(frozen=True, slots=True)
class RpmHeader:
    """One installed package. `epoch` is None where the header has none; `files` without `/`.

    `relations` are None where they are damaged.
    """

    name: str
    epoch: int | None
    version: str
    release: str
    arch: str = ""
    source_rpm: str = ""
    vendor: str = ""
    modularity: str = ""
    licence: str = ""
    packager: str = ""
    distribution: str = ""
    files: list[str] = field(default_factory=list)
    relations: RpmRelations | None = None


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
    offsets = sorted(index[2::4])
    offsets.append(length)
    for position, tag in enumerate(index[0::4]):
        if tag in _WANTED:
            kind, offset, items = index[4 * position + 1 : 4 * position + 4]
            if offset >= length:
                raise DamagedError(f"rpm tag {tag} points outside its header")
            following = offsets[bisect_right(offsets, offset)]
            entries[tag] = _Entry(kind, base + offset, items, base + min(following, length))
    end = base + length
    name, version, release = (_text(blob, entries, tag, end) for tag in (_NAME, _VERSION, _RELEASE))
    if not name:
        raise DamagedError("an rpm header without a name")
    epoch = _numbers(blob, entries, _EPOCH, end)
    files = _files(blob, entries, end)
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
        packager=_text(blob, entries, _PACKAGER, end),
        distribution=_text(blob, entries, _DISTRIBUTION, end),
        files=files,
        relations=_relations(blob, entries, end, files),
    )


def _relations(
    blob: bytes, entries: dict[int, _Entry], end: int, files: list[str]
) -> RpmRelations | None:
    """What the package provides and requires; None where that is damaged."""
    try:
        return RpmRelations(
            _texts(blob, entries, _PROVIDE_NAMES, end),
            _texts(blob, entries, _REQUIRE_NAMES, end),
            required_files(files),
            _raw(blob, entries, _PROVIDE_VERSIONS),
            _raw(blob, entries, _REQUIRE_VERSIONS),
            _raw(blob, entries, _REQUIRE_FLAGS),
        )
    except FormatError:
        return None


def _text(blob: bytes, entries: dict[int, _Entry], tag: int, end: int) -> str:
    """A string; of several (translations) the first."""
    entry = entries.get(tag)
    if entry is None:
        return ""
    kind, offset = entry.kind, entry.offset
    stop = blob.find(b"\0", offset, min(end, offset + MAX_TEXT))
    if kind not in _TEXTS or stop < 0:
        raise DamagedError(f"rpm tag {tag} is not a string, or longer than {MAX_TEXT} bytes")
    return blob[offset:stop].decode("utf-8", "surrogateescape")


def _texts(blob: bytes, entries: dict[int, _Entry], tag: int, end: int) -> list[str]:
    entry = entries.get(tag)
    if entry is None:
        return []
    kind, offset, count, following = entry
    if kind not in _TEXTS or count > end - offset:
        raise DamagedError(f"rpm tag {tag} is not an array of {count} strings")
    if count > MAX_FILES:
        raise LimitError(f"rpm tag {tag} has {count} strings; the limit is {MAX_FILES}")
    # What follows may be a changelog of megabytes, which is not copied.
    for stop in (following, end):
        # Decoded together: one call for thousands of names.
        parts = blob[offset:stop].decode("utf-8", "surrogateescape").split("\0", count)
        if len(parts) > count:
            del parts[count:]
            return parts
    raise DamagedError(f"rpm tag {tag} ends before its {count} strings")


def _raw(blob: bytes, entries: dict[int, _Entry], tag: int) -> bytes:
    """An array as it is, for who may need it."""
    entry = entries.get(tag)
    return b"" if entry is None else blob[entry.offset : entry.following]


def _numbers(blob: bytes, entries: dict[int, _Entry], tag: int, end: int) -> tuple[int, ...]:
    entry = entries.get(tag)
    if entry is None:
        return ()
    kind, offset, count, _ = entry
    if kind != _INT32 or offset + 4 * count > end:
        raise DamagedError(f"rpm tag {tag} is not an array of {count} numbers")
    if count > MAX_FILES:
        raise LimitError(f"rpm tag {tag} has {count} numbers; the limit is {MAX_FILES}")
    return struct.unpack_from(f">{count}I", blob, offset)


def _files(blob: bytes, entries: dict[int, _Entry], end: int) -> list[str]:
    """The paths that the package owns on this machine."""
    paths, states = _paths(blob, entries, end), _states(blob, entries, end)
    if len(states) != len(paths):
        return paths
    return [path for path, state in zip(paths, states, strict=True) if state in _ON_THE_DISK]


def _paths(blob: bytes, entries: dict[int, _Entry], end: int) -> list[str]:
    if _BASE_NAMES not in entries:
        return [name.lstrip("/") for name in _texts(blob, entries, _OLD_FILE_NAMES, end)]
    names = _texts(blob, entries, _BASE_NAMES, end)
    directories = [name.lstrip("/") for name in _texts(blob, entries, _DIR_NAMES, end)]
    indexes = _numbers(blob, entries, _DIR_INDEXES, end)
    if len(indexes) != len(names) or (indexes and max(indexes) >= len(directories)):
        raise DamagedError("the file list of an rpm header does not fit together")
    # No path is longer: a long directory's name would be copied for each of its files.
    if max(map(len, directories), default=0) > MAX_PATH:
        raise LimitError(
            f"an rpm header with a directory's name of more than {MAX_PATH} characters"
        )
    return [directories[index] + name for index, name in zip(indexes, names, strict=True)]


def _states(blob: bytes, entries: dict[int, _Entry], end: int) -> bytes:
    """What became of each file on this machine; empty where that is not recorded."""
    entry = entries.get(_FILE_STATES)
    if entry is None:
        return b""
    kind, offset, count, _ = entry
    if kind not in _BYTES or count > end - offset:
        raise DamagedError(f"rpm tag {_FILE_STATES} is not an array of {count} bytes")
    return blob[offset : offset + count]
