"""Sources of advisories: which formats there are, and how a path's files are told apart.

A source is a file or a directory of files. By ending: `.json`, `.jsonl` (an object a line),
`.yml`, `.xml`, `.csv`, and `.zip` and `.tar` of JSON and YAML, each also compressed (`.gz`,
`.bz2`, `.xz`, `.zst`). What an object is, its own fields tell, and an XML document its first
element: OBJECTS and DOCUMENTS are the lists. Nothing here downloads.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sidelight.advisories import packed
from sidelight.advisories.decoding import decoded
from sidelight.advisories.end_of_life import LastDay
from sidelight.advisories.formats import (
    alas,
    alpine_secdb,
    csaf,
    debian_tracker,
    endoflife,
    epss,
    friendsofphp,
    kev,
    nvd,
    oracle_oval,
    osv,
    rocky_errata,
    rubysec,
    ubuntu_cves,
    ubuntu_oval,
    updateinfo,
)
from sidelight.errors import DamagedError, FormatError, LimitError, UnsupportedError, UsageError
from sidelight.model import Advisory, Problem, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

Parsed: TypeAlias = Advisory | VulnerabilityFact | LastDay | Problem

MAX_DOCUMENT = 256 << 20  # bytes of one JSON or YAML document


class Format(NamedTuple):
    """A feed's format: whether an object is of it, and what it says.

    `is_unique` tells that one file holds no id twice, and not only none twice of the same packages.
    `ends_its_lines` tells that the publisher's YAML files end with a line's end, all of them.
    """

    name: str
    recognises: Callable[[dict[str, Any]], bool]
    parse: Callable[[dict[str, Any]], Iterator[Parsed]]
    is_unique: bool = True
    ends_its_lines: bool = False


# The first that recognises an object has it.
OBJECTS: tuple[Format, ...] = (
    Format("CSAF", csaf.recognises, csaf.parse),
    Format("OSV", osv.recognises, osv.parse),
    Format("ALAS", alas.recognises, alas.parse),
    Format("Ubuntu CVE", ubuntu_cves.recognises, ubuntu_cves.parse),
    Format("Alpine secdb", alpine_secdb.recognises, alpine_secdb.parse, is_unique=False),
    Format("Rocky errata", rocky_errata.recognises, rocky_errata.parse),
    Format("endoflife.date", endoflife.recognises, endoflife.parse),
    Format("KEV", kev.recognises, kev.parse),
    Format("RubySec", rubysec.recognises, rubysec.parse, is_unique=False, ends_its_lines=True),
    Format("FriendsOfPHP", friendsofphp.recognises, friendsofphp.parse, is_unique=False),
    Format("Debian tracker", debian_tracker.recognises, debian_tracker.parse),
)
# By an XML document's first element; of OVAL, by the beginning of its definitions' ids.
DOCUMENTS: dict[str, Callable[[IO[bytes]], Iterator[Parsed]]] = {
    updateinfo.ROOT: updateinfo.parse,
    "oval:com.ubuntu.": ubuntu_oval.parse,
    "oval:com.oracle.elsa:": oracle_oval.parse,
}
_OVAL = "oval_definitions"

_KINDS = (".jsonl", ".ndjson", ".json", ".yml", ".yaml", ".xml", ".csv", ".zip", ".tar")


class Item(NamedTuple):
    """One thing that a source says, and where it does."""

    where: str
    parsed: Parsed
    is_unique: bool = False


def files(source: Path) -> list[Path]:
    """The files of a source, sorted; hidden ones are left out.

    Raises UsageError where there is none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UsageError("no such file or directory", where=str(source))
    named = ((path, path.relative_to(source).as_posix()) for path in source.rglob("*"))
    found = sorted(
        path for path, name in named if _kind(name) and packed.may_be(name) and path.is_file()
    )
    if not found:
        raise UsageError("no file here that is a feed", where=str(source))
    return found


def _kind(name: str) -> str:
    """The ending that tells a file's structure, without that of its compression."""
    stem = name.lower()
    for ending in packed.COMPRESSIONS:
        stem = stem.removesuffix(ending)
    return next((kind for kind in _KINDS if stem.endswith(kind)), "")


def read(path: Path) -> Iterator[Item]:
    """All that one file says.

    Raises FormatError, with the file and the record as its coordinates, where the file is
    truncated, is of no known format or breaks its own; UsageError where it cannot be opened.
    """
    kind = _kind(path.name)
    if not kind:
        raise UsageError("not a feed by its ending", where=str(path))
    try:
        if kind in {".zip", ".tar"}:
            for name, ending, data in packed.members(path, kind):
                yield from _object(data, ending, f"{path}: {name}")
        elif kind in {".jsonl", ".ndjson"}:
            yield from _lines(path)
        elif kind in {".xml", ".csv"} or (kind == ".json" and _is_nvd(path)):
            yield from _streamed(path, kind)
        else:
            with packed.unpacked(path) as stream:
                yield from _object(packed.limited(stream, MAX_DOCUMENT, str(path)), kind, str(path))
    except FileNotFoundError as error:
        raise UsageError("no such file", where=str(path)) from error
    except packed.BROKEN as error:
        raise DamagedError(f"truncated or damaged: {error}", where=str(path)) from error


def _lines(path: Path) -> Iterator[Item]:
    with packed.unpacked(path) as stream:
        number = 0
        while line := stream.readline(packed.MAX_RECORD + 1):
            number += 1
            where = f"{path}: record {number}"
            if len(line) > packed.MAX_RECORD:
                raise LimitError(f"longer than {packed.MAX_RECORD >> 20} MiB", where=where)
            if line.strip():
                yield from _object(line, ".json", where)
        if not number:
            raise DamagedError("nothing in it", where=str(path))


def _is_nvd(path: Path) -> bool:
    with packed.unpacked(path) as stream:
        return nvd.recognises(stream.read(nvd.HEAD))


def _streamed(path: Path, kind: str) -> Iterator[Item]:
    parse: Callable[[IO[bytes]], Iterator[Parsed]] = epss.parse if kind == ".csv" else nvd.parse
    if kind == ".xml":
        parse = _document(path)
    where = str(path)
    number = 0
    with packed.unpacked(path) as stream:
        try:
            capped = packed.Capped(stream, b"<" if kind == ".xml" else b"")
            for parsed in parse(cast("IO[bytes]", capped)):
                number += 1
                is_advisory = isinstance(parsed, Advisory)
                yield Item(f"{where}: record {number}" if is_advisory else where, parsed, True)
        except FormatError as error:
            place = f"{where}: after record {number}" if number else where
            raise type(error)(str(error), where=place) from error


def _document(path: Path) -> Callable[[IO[bytes]], Iterator[Parsed]]:
    """The parser of an XML document, by what it begins with."""
    with packed.unpacked(path) as stream:
        try:
            elements = iterparse(stream, events=("start",), forbid_dtd=True)
            told = str(next(elements)[1].tag).rpartition("}")[2]
            if told == _OVAL:
                ids = (item.get("id", "") for _event, item in elements if _is_definition(item))
                told = next(ids, told)
        except (SyntaxError, StopIteration, DefusedXmlException) as error:
            raise DamagedError(f"not XML, or cut off: {error}", where=str(path)) from error
    parser = next((DOCUMENTS[name] for name in DOCUMENTS if told.startswith(name)), None)
    if parser is None:
        raise UnsupportedError(f"an XML document of no known feed: {told[:80]}", where=str(path))
    return parser


def _is_definition(element: Element) -> bool:
    return str(element.tag).endswith("}definition")


def _object(data: bytes, kind: str, where: str) -> Iterator[Item]:
    try:
        value = decoded(data, kind)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"not {kind[1:].upper()}, or cut off: {error}", where=where) from error
    if value == []:
        raise DamagedError("nothing in it", where=where)
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _said(item, f"{where}[{number}]")
    else:
        # Nothing else closes a YAML text.
        yield from _said(value, where, is_closed=kind == ".json" or data.endswith(b"\n"))


def _said(value: object, where: str, *, is_closed: bool = True) -> Iterator[Item]:
    if not isinstance(value, dict):
        raise DamagedError(f"{type(value).__name__} where an object belongs", where=where)
    if str(value.get("_path", "")).startswith("."):
        return  # a copy of a whole repository, with its own settings among the advisories
    known = next((item for item in OBJECTS if item.recognises(value)), None)
    if known is None:
        names = ", ".join(map(str, list(value)[:8]))
        raise DamagedError(f"an object of no known feed, with the fields {names}", where=where)
    if known.ends_its_lines and not is_closed:
        raise DamagedError(f"{known.name}: cut off: its last line has no end", where=where)
    try:
        for parsed in known.parse(value):
            yield Item(where, parsed, known.is_unique)
    except FormatError as error:
        place = f"{where} ({value.get('id')})" if isinstance(value.get("id"), str) else where
        raise type(error)(f"{known.name}: {error}", where=place) from error
