"""Sources of advisories: which formats there are, and how a path's files are told apart.

A source is a file or a directory of files. By ending: `.json`, `.jsonl` (an object a line) and
`.zip` of them, each also compressed (`.gz`, `.bz2`, `.xz`). What a JSON object is, its own fields
tell: FORMATS is the list. Nothing here downloads.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from sidelight.advisories import osv
from sidelight.errors import DamagedError, FormatError, LimitError, UsageError
from sidelight.model import Advisory, Problem, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Parsed: TypeAlias = Advisory | VulnerabilityFact | Problem

MAX_RECORD = 64 << 20  # bytes of one record, or one line
MAX_DOCUMENT = 256 << 20  # bytes of one JSON document that is no list of lines
MAX_MEMBERS = 2_000_000  # files of one archive


class Format(NamedTuple):
    """A feed's format: whether a JSON object is of it, and what it says."""

    name: str
    recognises: Callable[[dict[str, Any]], bool]
    parse: Callable[[dict[str, Any]], Iterator[Parsed]]


FORMATS: tuple[Format, ...] = (Format("OSV", osv.recognises, osv.parse),)

_COMPRESSIONS = (".gz", ".bz2", ".xz")
_BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError)


class Item(NamedTuple):
    """One thing that a source says, and where it does."""

    where: str
    parsed: Parsed


def files(source: Path) -> list[Path]:
    """The files of a source, sorted. Raises UsageError where there is none."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UsageError("no such file or directory", where=str(source))
    found = sorted(path for path in source.rglob("*") if path.is_file() and _kind(path.name))
    if not found:
        raise UsageError("no file here that is a feed", where=str(source))
    return found


def _kind(name: str) -> str:
    """The ending that tells a file's structure, without that of its compression."""
    stem = name.lower()
    for ending in _COMPRESSIONS:
        stem = stem.removesuffix(ending)
    for ending in (".jsonl", ".ndjson", ".json", ".zip"):
        if stem.endswith(ending):
            return ".jsonl" if ending == ".ndjson" else ending
    return ""


def read(path: Path) -> Iterator[Item]:
    """All that one file says.

    Raises FormatError, with the file and the record as its coordinates, where the file is
    truncated, is of no known format or breaks its own; UsageError where it cannot be opened.
    """
    kind = _kind(path.name)
    try:
        if kind == ".zip":
            yield from _zip(path)
        elif kind == ".jsonl":
            yield from _lines(path)
        elif kind == ".json":
            with _open(path) as stream:
                yield from _document(_limited(stream, str(path)), str(path))
        else:
            raise UsageError("not a feed by its ending", where=str(path))
    except FileNotFoundError as error:
        raise UsageError("no such file", where=str(path)) from error
    except _BROKEN as error:
        raise DamagedError(f"truncated or damaged: {error}", where=str(path)) from error


def _open(path: Path) -> IO[bytes]:
    ending = path.suffix.lower()
    if ending == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    if ending == ".bz2":
        return cast("IO[bytes]", bz2.open(path))
    if ending == ".xz":
        return cast("IO[bytes]", lzma.open(path))
    return path.open("rb")


def _limited(stream: IO[bytes], where: str) -> bytes:
    data = stream.read(MAX_DOCUMENT + 1)
    if len(data) > MAX_DOCUMENT:
        raise LimitError(f"a document of more than {MAX_DOCUMENT >> 20} MiB", where=where)
    return data


def _zip(path: Path) -> Iterator[Item]:
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda member: member.filename)
        if len(members) > MAX_MEMBERS:
            raise LimitError(f"{len(members)} files in one archive", where=str(path))
        for member in members:
            where = f"{path}: {member.filename}"
            if not member.filename.lower().endswith(".json"):
                continue
            if member.file_size > MAX_DOCUMENT:
                raise LimitError(f"a record of {member.file_size} bytes", where=where)
            with archive.open(member) as stream:
                yield from _document(_limited(stream, where), where)


def _lines(path: Path) -> Iterator[Item]:
    with _open(path) as stream:
        number = 0
        while line := stream.readline(MAX_RECORD + 1):
            number += 1
            where = f"{path}: record {number}"
            if len(line) > MAX_RECORD:
                raise LimitError(f"longer than {MAX_RECORD >> 20} MiB", where=where)
            if line.strip():
                yield from _document(line, where)


def _document(data: bytes, where: str) -> Iterator[Item]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"not JSON, or cut off: {error}", where=where) from error
    if not isinstance(value, dict):
        raise DamagedError(f"{type(value).__name__} where an object belongs", where=where)
    for known in FORMATS:
        if known.recognises(value):
            break
    else:
        names = ", ".join(list(value)[:8])
        raise DamagedError(f"an object of no known feed, with the fields {names}", where=where)
    try:
        for parsed in known.parse(value):
            yield Item(where, parsed)
    except FormatError as error:
        place = f"{where} ({value.get('id')})" if isinstance(value.get("id"), str) else where
        raise DamagedError(f"{known.name}: {error}", where=place) from error
