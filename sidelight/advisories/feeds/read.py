"""Read sources of advisories: the known formats, and the detection of a file's format.

A source is a file or a directory of files. By ending: `.json`, `.jsonl` (an object per line),
`.yml`, `.xml`, `.csv`, and `.zip` and `.tar` of JSON and YAML; by name: `Packages`, an index of
Debian's; each also compressed (`.gz`, `.bz2`, `.xz`, `.zst`). An object's fields identify its
format, an XML document's first element that of the document: OBJECTS and DOCUMENTS are the lists.
Nothing here downloads.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple, TypeAlias, cast

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sidelight.advisories.end_of_life import LastDay
from sidelight.advisories.feeds import archives
from sidelight.advisories.feeds.decoding import decoded, members
from sidelight.advisories.feeds.formats import (
    alas,
    alpine_secdb,
    csaf,
    cve_records,
    debian_packages,
    debian_tracker,
    endoflife,
    epss,
    friendsofphp,
    kev,
    msrc_csaf,
    msrc_cvrf,
    nvd,
    oracle_oval,
    osv,
    rocky_errata,
    rubysec,
    sofa,
    ubuntu_cves,
    ubuntu_oval,
    updateinfo,
)
from sidelight.advisories.source_builds import SourceBuild
from sidelight.errors import DamagedError, FormatError, LimitError, UnsupportedError, UsageError
from sidelight.model import Advisory, Problem, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from xml.etree.ElementTree import Element

Parsed: TypeAlias = Advisory | VulnerabilityFact | LastDay | SourceBuild | Problem

MAX_DOCUMENT = 256 << 20  # bytes of one JSON document that is read record by record


class UnknownFeedError(DamagedError, UnsupportedError):
    """A file of no known feed, or an object within a file."""


class Format(NamedTuple):
    """A feed's format: its recognition and its parser.

    `is_unique`: an id occurs once per file, not only once per id and packages. `ends_its_lines`:
    all YAML files of the publisher end with a newline.
    """

    name: str
    recognises: Callable[[Mapping[str, object]], bool]
    parse: Callable[[Mapping[str, object]], Iterator[Parsed]]
    is_unique: bool = True
    ends_its_lines: bool = False


# The first format that recognises an object parses it.
OBJECTS: tuple[Format, ...] = (
    Format("Microsoft's CSAF", msrc_csaf.recognises, msrc_csaf.parse),
    Format("CSAF", csaf.recognises, csaf.parse),
    Format("OSV", osv.recognises, osv.parse),
    Format("ALAS", alas.recognises, alas.parse),
    Format("Ubuntu CVE", ubuntu_cves.recognises, ubuntu_cves.parse),
    Format("Alpine secdb", alpine_secdb.recognises, alpine_secdb.parse, is_unique=False),
    Format("Rocky errata", rocky_errata.recognises, rocky_errata.parse),
    Format("endoflife.date", endoflife.recognises, endoflife.parse),
    Format("KEV", kev.recognises, kev.parse),
    Format("SOFA", sofa.recognises, sofa.parse),
    Format("CVE record", cve_records.recognises, cve_records.parse),
    Format("RubySec", rubysec.recognises, rubysec.parse, is_unique=False, ends_its_lines=True),
    Format("FriendsOfPHP", friendsofphp.recognises, friendsofphp.parse, is_unique=False),
    Format("Debian tracker", debian_tracker.recognises, debian_tracker.parse),
)
# By an XML document's first element; for OVAL, by the beginning of its definitions' ids.
DOCUMENTS: dict[str, Callable[[IO[bytes]], Iterator[Parsed]]] = {
    updateinfo.ROOT: updateinfo.parse,
    msrc_cvrf.ROOT: msrc_cvrf.parse,
    "oval:com.ubuntu.": ubuntu_oval.parse,
    "oval:com.oracle.elsa:": oracle_oval.parse,
}
_OVAL = "oval_definitions"
_INDEX = "packages"

_KINDS = (".jsonl", ".ndjson", ".json", ".yml", ".yaml", ".xml", ".csv", ".zip", ".tar")


class FeedItem(NamedTuple):
    """One parsed record of a source, and its coordinates."""

    where: str
    parsed: Parsed
    is_unique: bool = False


def files(source: Path) -> list[Path]:
    """Return the files of a source, sorted, without hidden ones.

    Raises UsageError if there is none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UsageError("no such file or directory", where=str(source))
    named = ((path, path.relative_to(source).as_posix()) for path in source.rglob("*"))
    feed_files = sorted(
        path for path, name in named if _kind(name) and archives.may_be(name) and path.is_file()
    )
    if not feed_files:
        raise UsageError("no file here that is a feed", where=str(source))
    return feed_files


def _kind(name: str) -> str:
    """Return the ending of a file's format, without that of its compression."""
    stem = name.lower()
    for ending in archives.COMPRESSIONS:
        stem = stem.removesuffix(ending)
    if debian_packages.is_index(stem):
        return _INDEX
    return next((kind for kind in _KINDS if stem.endswith(kind)), "")


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive of documents."""
    return _kind(path.name) in {".zip", ".tar"}


def read(path: Path, skipped: list[FormatError] | None = None) -> Iterator[FeedItem]:
    """Yield all records of one file.

    With a list `skipped`, the error of a document that is broken or of no known feed is added to
    it, and the document is skipped: a file, or a member of an archive. A document that breaks after
    its first record is not skipped: half of a feed would look like the whole feed.

    Raises FormatError, with file and record as coordinates, if the file is truncated, is of no
    known format or violates its own; UsageError if it cannot be opened.
    """
    kind = _kind(path.name)
    if not kind:
        raise UsageError("not a feed by its ending", where=str(path))
    try:
        if kind in {".zip", ".tar"}:
            for name, ending, data in archives.members(path, kind):
                yield from _unless_broken(_object(data, ending, f"{path}: {name}"), skipped)
        else:
            yield from _unless_broken(_of_file(path, kind), skipped)
    except FileNotFoundError as error:
        raise UsageError("no such file", where=str(path)) from error
    except archives.BROKEN as error:
        raise DamagedError(f"truncated or damaged: {error}", where=str(path)) from error


def _of_file(path: Path, kind: str) -> Iterator[FeedItem]:
    """Yield the records of a file that is not an archive."""
    if kind in {".jsonl", ".ndjson"}:
        yield from _lines(path)
    elif kind == _INDEX:
        yield from _indexed(path)
    elif kind in {".xml", ".csv"} or (kind == ".json" and _is_nvd(path)):
        yield from _streamed(path, kind)
    elif kind == ".json" and _head(path).lstrip().startswith(b"["):
        yield from _listed(path)
    elif kind == ".json" and debian_tracker.begins(_head(path)):
        yield from _tracked(path)
    else:
        with archives.unpacked(path) as stream:
            data = archives.limited(stream, archives.MAX_RECORD, str(path))
        yield from _object(data, kind, str(path))


def _unless_broken(
    items: Iterator[FeedItem], skipped: list[FormatError] | None
) -> Iterator[FeedItem]:
    """Yield one document's items; if it is broken at its beginning, only add to `skipped`."""
    is_begun = False
    try:
        for item in items:
            is_begun = True
            yield item
    except FormatError as error:
        if skipped is None or is_begun:
            raise
        skipped.append(error)


def _lines(path: Path) -> Iterator[FeedItem]:
    with archives.unpacked(path) as stream:
        number = 0
        while line := stream.readline(archives.MAX_RECORD + 1):
            number += 1
            where = f"{path}: record {number}"
            if len(line) > archives.MAX_RECORD:
                raise LimitError(f"longer than {archives.MAX_RECORD >> 20} MiB", where=where)
            if line.strip():
                yield from _object(line, ".json", where)
        if not number:
            raise DamagedError("nothing in it", where=str(path))


def _head(path: Path) -> bytes:
    with archives.unpacked(path) as stream:
        return stream.read(max(nvd.HEAD, debian_tracker.HEAD))


def _is_nvd(path: Path) -> bool:
    return nvd.recognises(_head(path)[: nvd.HEAD])


def _listed(path: Path) -> Iterator[FeedItem]:
    """Yield the records of a JSON list, with one at a time in memory."""
    number = 0
    with archives.unpacked(path) as stream, _at(f"{path}"):
        for _name, record in members(stream, MAX_DOCUMENT):
            yield from _feed_items(record, f"{path}[{number}]")
            number += 1
        if not number:
            raise DamagedError("nothing in it")


def _tracked(path: Path) -> Iterator[FeedItem]:
    """Yield the records of Debian's tracker, with one package at a time in memory."""
    with archives.unpacked(path) as stream, _at(f"{path}"):
        for parsed in debian_tracker.parse_packages(members(stream, MAX_DOCUMENT)):
            yield FeedItem(str(path), parsed, is_unique=True)


def _indexed(path: Path) -> Iterator[FeedItem]:
    """Yield the binaries of an index of Debian's, with one at a time in memory."""
    with _at(f"{path}"), archives.unpacked(path) as stream:
        for parsed in debian_packages.parse(stream, debian_packages.ecosystem_of(str(path))):
            yield FeedItem(str(path), parsed)


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Add the coordinates `where` to errors within the file that have none."""
    try:
        yield
    except FormatError as error:
        if error.where:
            raise
        raise type(error)(str(error), where=where) from error


def _streamed(path: Path, kind: str) -> Iterator[FeedItem]:
    parse: Callable[[IO[bytes]], Iterator[Parsed]] = epss.parse if kind == ".csv" else nvd.parse
    if kind == ".xml":
        parse = _document(path)
    where = str(path)
    number = 0
    with archives.unpacked(path) as stream:
        try:
            capped = archives.Capped(stream, b"<" if kind == ".xml" else b"")
            for parsed in parse(cast("IO[bytes]", capped)):
                number += 1
                is_advisory = isinstance(parsed, Advisory)
                yield FeedItem(f"{where}: record {number}" if is_advisory else where, parsed, True)
        except FormatError as error:
            place = f"{where}: after record {number}" if number else where
            raise type(error)(str(error), where=place) from error


def _document(path: Path) -> Callable[[IO[bytes]], Iterator[Parsed]]:
    """Return the parser of an XML document, by its first element."""
    with archives.unpacked(path) as stream:
        try:
            elements = iterparse(stream, events=("start",), forbid_dtd=True)
            format_name = str(next(elements)[1].tag).rpartition("}")[2]
            if format_name == _OVAL:
                ids = (item.get("id", "") for _event, item in elements if _is_definition(item))
                format_name = next(ids, format_name)
        except (SyntaxError, StopIteration, DefusedXmlException) as error:
            raise DamagedError(f"not XML, or cut off: {error}", where=str(path)) from error
    parser = next((DOCUMENTS[name] for name in DOCUMENTS if format_name.startswith(name)), None)
    if parser is None:
        raise UnknownFeedError(
            f"an XML document of no known feed: {format_name[:80]}", where=str(path)
        )
    return parser


def _is_definition(element: Element) -> bool:
    return str(element.tag).endswith("}definition")


def _object(data: bytes, kind: str, where: str) -> Iterator[FeedItem]:
    try:
        value = decoded(data, kind)
    except LimitError as error:
        raise LimitError(str(error), where=where) from error
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"not {kind[1:].upper()}, or cut off: {error}", where=where) from error
    if value == []:
        raise DamagedError("nothing in it", where=where)
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _feed_items(item, f"{where}[{number}]")
    else:
        # YAML has no other sign that a text is complete.
        yield from _feed_items(value, where, is_closed=kind == ".json" or data.endswith(b"\n"))


def _is_schema(value: Mapping[str, object]) -> bool:
    """Return whether an object is a JSON Schema: it names the draft, and a type's properties."""
    return "json-schema.org" in str(value.get("$schema", "")) and "properties" in value


def _feed_items(value: object, where: str, *, is_closed: bool = True) -> Iterator[FeedItem]:
    if not isinstance(value, dict):
        raise DamagedError(f"{type(value).__name__} where an object belongs", where=where)
    if _is_schema(value):
        return  # next to a catalogue, as CISA's kev_schema.json: it has no data
    if str(value.get("_path", "")).startswith("."):
        return  # a repository's own settings, in a copy of it with the advisories
    known = next((item for item in OBJECTS if item.recognises(value)), None)
    if known is None:
        names = ", ".join(map(str, list(value)[:8]))
        raise UnknownFeedError(f"an object of no known feed, with the fields {names}", where=where)
    if known.ends_its_lines and not is_closed:
        raise DamagedError(f"{known.name}: cut off: its last line has no end", where=where)
    try:
        for parsed in known.parse(value):
            yield FeedItem(where, parsed, known.is_unique)
    except FormatError as error:
        place = f"{where} ({value.get('id')})" if isinstance(value.get("id"), str) else where
        raise type(error)(f"{known.name}: {error}", where=place) from error
