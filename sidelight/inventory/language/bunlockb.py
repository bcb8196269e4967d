"""bun.lockb, Bun's binary lock file (formats 2 and 3; since Bun 1.2 it writes bun.lock instead).

A header; the packages as columns (names, hashes of names, resolutions, slices of the dependencies
and of what these resolved to); then six arrays, each behind its own start and end: trees, hoisted
dependencies, resolutions, dependencies, external strings, and the bytes of long strings.
Source: Bun's lockfile page, and the layout of Bun's own files (its `Lockfile`, `Resolution` and
`String`): a string is 8 bytes, itself or an offset and a length with the highest bit set.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, LimitError, UnsupportedError
from sidelight.inventory.language import origin
from sidelight.inventory.language.dependencygraph import reachable
from sidelight.inventory.language.extractor import PACKAGE_LIMIT, GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.npmorigin import LockfileOrigins, from_registry, version_in
from sidelight.inventory.language.package_builder import Entry, PackageDetails, npm
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = b"#!/usr/bin/env bun\nbun-lockfile-format-v0\n"
STRING_LIMIT: Final = 4096  # bytes of one string
TEXT_LIMIT: Final = 64 << 20  # bytes of all strings, which may lie in the same place
_HEADER: Final = struct.Struct("<L32sQ5Q")  # format, hash, size; packages, alignment, columns, …
_SLICE: Final = struct.Struct("<2L")
_ARRAY: Final = struct.Struct("<2Q")
_DEPENDENCY: Final = 26  # bytes; the kinds of one are its 17th
_DEV: Final = 8
# Of a resolution by format: bytes in all, and those of a number of its version.
_SIZES: Final = {2: (64, "<3L4x"), 3: (72, "<3Q")}
_NPM, _LOCAL_TARBALL, _GITHUB, _GIT, _REMOTE_TARBALL = 2, 8, 16, 32, 80


@dataclass(frozen=True, slots=True)
class _BinaryLocked:
    """One package: `url` is where it is from; `needs` are (index, whether for development)."""

    name: str
    version: str
    url: str
    kind: int
    needs: tuple[tuple[int, bool], ...]


def _parse(file: WantedFile) -> Iterator[Entry]:
    try:
        packages = _LockReader(file.read()).packages()
    except struct.error:
        raise DamagedError("bun.lockb is cut short") from None
    run = {str(index) for index, dev in packages[0].needs if not dev} if packages else set()
    requested = {index for index, _ in packages[0].needs} if packages else set()
    shipped = reachable(run, lambda key: _needs(packages, int(key)))
    origins = LockfileOrigins(
        from_registry(item.name, item.url, [packages[index].name for index, _ in item.needs])
        for item in packages
        if item.kind == _NPM
    )
    for index, item in enumerate(packages):
        if item.version:
            source = origins.of(item.url) if item.kind == _NPM else _origin(item)
            dev = str(index) not in shipped
            yield npm(
                file.path,
                item.name,
                item.version,
                PackageDetails("", index in requested, dev, origin=source),
            )


def _needs(packages: list[_BinaryLocked], index: int) -> Iterator[str]:
    for needed, dev in packages[index].needs:
        if not dev:
            yield str(needed)


def _origin(item: _BinaryLocked) -> origin.Origin:
    if item.kind in {_GIT, _GITHUB}:
        return origin.git(item.url, item.version)
    return origin.local(item.url) if item.kind == _LOCAL_TARBALL else origin.download(item.url)


class _LockReader:
    def __init__(self, data: bytes) -> None:
        if not data.startswith(MAGIC):
            raise DamagedError("no bun.lockb: it begins otherwise")
        self._data = data
        version, _, _, count, _, _, begin, end = _HEADER.unpack_from(data, len(MAGIC))
        if version not in _SIZES:
            raise UnsupportedError(f"bun.lockb of format {version}")
        if count > PACKAGE_LIMIT:
            raise LimitError(f"more than {PACKAGE_LIMIT} packages in one file")
        if not begin <= end <= len(data):
            raise DamagedError("bun.lockb: its packages are not in it")
        self._size, self._numbers = _SIZES[version]
        self._count, self._begin = count, begin
        self._text_left = TEXT_LIMIT
        self._arrays = []
        for _ in range(6):
            start, stop = _ARRAY.unpack_from(data, end)
            if not end <= start <= stop <= len(data):
                raise DamagedError(f"bun.lockb: no array is at {end}")
            self._arrays.append(data[start:stop])
            end = stop
        # Each dependency is one package's: slices that share them would multiply the file.
        self._needs_left = len(self._arrays[3]) // _DEPENDENCY

    def packages(self) -> list[_BinaryLocked]:
        """All packages, the project itself first."""
        names = self._begin
        resolutions = names + 16 * self._count
        dependencies = resolutions + self._size * self._count
        return [
            self._package(names + 8 * index, resolutions + self._size * index, dependencies, index)
            for index in range(self._count)
        ]

    def _package(self, name: int, resolution: int, dependencies: int, index: int) -> _BinaryLocked:
        kind = self._data[resolution : resolution + 1]
        if not kind:
            raise DamagedError("bun.lockb is cut short")
        place = resolution + 8
        url = version = ""
        if kind[0] == _NPM:
            url, version = self._string(place), self._version(place + 8)
        elif kind[0] in {_GITHUB, _GIT}:
            owner, repository = self._string(place), self._string(place + 8)
            url = f"{owner}/{repository}" if kind[0] == _GITHUB else repository
            version = self._string(place + 24).rpartition("-")[2] or self._string(place + 16)
        elif kind[0] in {_LOCAL_TARBALL, _REMOTE_TARBALL}:
            url = self._string(place)
            version = version_in(url)
        at = dependencies + 8 * index
        needs = self._needed(at, at + 8 * self._count)
        return _BinaryLocked(self._string(name), version, url, kind[0], needs)

    def _needed(self, dependencies: int, resolutions: int) -> tuple[tuple[int, bool], ...]:
        first, count = _SLICE.unpack_from(self._data, dependencies)
        first_resolved, resolved = _SLICE.unpack_from(self._data, resolutions)
        requested, found = self._arrays[3], self._arrays[2]
        needs = []
        self._needs_left -= min(count, resolved)
        if self._needs_left < 0:
            raise DamagedError("bun.lockb: packages share their dependencies")
        for step in range(min(count, resolved)):
            at = (first + step) * _DEPENDENCY + 16
            where = (first_resolved + step) * 4
            if at >= len(requested) or where + 4 > len(found):
                break
            (index,) = struct.unpack_from("<L", found, where)
            if index < self._count:  # an optional one of another platform has none
                needs.append((index, bool(requested[at] & _DEV)))
        return tuple(needs)

    def _version(self, at: int) -> str:
        numbers = ".".join(map(str, struct.unpack_from(self._numbers, self._data, at)))
        tags = at + struct.calcsize(self._numbers)
        before, build = self._string(tags), self._string(tags + 16)
        return numbers + (f"-{before}" if before else "") + (f"+{build}" if build else "")

    def _string(self, at: int) -> str:
        raw = self._data[at : at + 8]
        offset, length = _SLICE.unpack(raw)
        if raw[7] & 0x80:
            length &= 0x7FFFFFFF
            if length > STRING_LIMIT:
                raise DamagedError(f"bun.lockb: a string of {length} bytes")
            raw = self._arrays[5][offset : offset + length]
            self._text_left -= len(raw)
            if self._text_left < 0:
                raise LimitError(f"bun.lockb of more than {TEXT_LIMIT} bytes of strings")
        return raw.rstrip(b"\0").decode("utf-8", "replace")


EXTRACTOR: Final = GeneratorExtractor(
    "language/bun-lockb",
    Wants(names=frozenset({"bun.lockb"}), confirm=is_project, limit=32 << 20),
    _parse,
)
