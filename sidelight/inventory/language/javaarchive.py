"""Java archives: jar, war, ear, par and their like, with the archives inside them.

`javaidentity` says which artefact an archive is. Nested archives are followed DEPTH_LIMIT levels
down. Netty's archives list the versions of its parts that are in them.
Source: the JAR file specification, Maven Archiver's documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import chain, islice, product
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, FormatError, LimitError, NotRecognisedError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.javaidentity import Coordinates, Evidence, identify
from sidelight.inventory.language.javamanifest import main_attributes
from sidelight.inventory.language.javaproperties import pom_coordinates
from sidelight.inventory.language.package_builder import Entry, PackageDetails, maven
from sidelight.inventory.language.pomproject import own_coordinates, project, properties_of
from sidelight.inventory.language.ziparchive import InflateBudget, Member, ZipArchive
from sidelight.inventory.protocol import ReadAhead, WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEPTH_LIMIT: Final = 16  # archives within archives
NESTED_LIMIT: Final = 10_000  # archives in one file, at all depths
BUDGET: Final = 768 << 20  # bytes inflated for one file, at all depths
HELD_LIMIT: Final = 64 << 20  # bytes of deflated archives, one in another, held in memory at once
PATH_LIMIT: Final = 4096  # characters of the names of nested archives
TEXT_LIMIT: Final = 1 << 20  # bytes of a manifest or a pom.properties
# What the texts of one file may cost to parse, at all depths: a unit for a byte, and more for a
# line or an element, since a text of nothing else takes longest. 1,000 archives with manifests of
# 10 KB and a pom.xml of 300 elements need 45 million.
TEXTS_LIMIT: Final = 64 << 20
LINE_UNITS: Final = 48
# Bytes of all that str.splitlines takes for an end of a line, and an element's begin.
_BREAKS: Final = b"\n\r\v\f\x1c\x1d\x1e\x85\xa8\xa9<"
# What is fetched before it is read, for one archive: of texts and of archives in it so many, and of
# deflated archives so many bytes each.
TEXTS_AHEAD: Final = 64
NESTED_AHEAD: Final = 64
DEFLATED_AHEAD: Final = 4 << 20
RANGES_AHEAD: Final = 1024
# Bytes of members of one file that are in memory while other files are read: those of a Spring Boot
# program with 1,000 archives. A file with more is read alone from there on.
KEPT_LIMIT: Final = 1 << 20
MEMBER_BYTES: Final = 300
NETTY_LIMIT: Final = 1_000  # parts that one archive lists; there are some forty

_LOWER_SUFFIXES: Final = (
    ".jar",
    ".war",
    ".ear",
    ".par",
    ".sar",
    ".nar",
    ".kar",
    ".jpi",
    ".hpi",
    ".lpkg",
    ".rar",
    ".mar",
    ".aar",
    ".esa",
)
# A class path's `*` takes .JAR too, and servers deploy .WAR (java(1), "Class Path Wild Cards");
# `java -jar App.Jar` has no rule at all. So the common ones count in any case.
_ANY_CASE: Final = (".jar", ".war", ".ear")
SUFFIXES: Final = tuple(
    dict.fromkeys(
        (
            *_LOWER_SUFFIXES,
            *(suffix.upper() for suffix in _LOWER_SUFFIXES),
            *("." + suffix[1:].capitalize() for suffix in _LOWER_SUFFIXES),
            *(
                "".join(letters)
                for suffix in _ANY_CASE
                for letters in product(*((one, one.upper()) for one in suffix))
            ),
        )
    )
)
_ENDINGS: Final = frozenset(SUFFIXES)
_POM_PROPERTIES: Final = "pom.properties"
_POM_FILE: Final = "/pom.xml"
_MANIFEST: Final = "META-INF/MANIFEST.MF"
_POM_XML: Final = re.compile(r"(?:.*/)?META-INF/maven/([^/]+)/([^/]+)/pom\.xml")
_NETTY: Final = "META-INF/io.netty.versions.properties"
_NETTY_PART: Final = re.compile(r"^(netty-[a-z0-9-]+)\.version=([0-9][\w.-]*)\s*$", re.MULTILINE)


@dataclass(slots=True)
class _Contents:
    """The members of one archive that matter."""

    poms: list[Member] = field(default_factory=list)
    pom_xmls: list[Member] = field(default_factory=list)
    netty: Member | None = None
    manifest: Member | None = None
    nested: list[Member] = field(default_factory=list)

    def texts(self) -> Iterator[Member]:
        """The members that are read."""
        yield from (member for member in (self.manifest, self.netty) if member is not None)
        yield from self.poms
        yield from self.pom_xmls


@dataclass(slots=True)
class _Reading:
    """What one file of the machine may still cost."""

    file: WantedFile
    budget: InflateBudget
    archives: int = 0
    texts_left: int = TEXTS_LIMIT
    kept_left: int = KEPT_LIMIT

    def ahead(
        self, opened: Iterable[_Opened], ranges: Iterable[tuple[int, int]]
    ) -> Iterator[ReadAhead]:
        """Say what is read next, unless what was opened holds too much while others are read."""
        for item in opened:
            for member in chain(item.contents.texts(), item.contents.nested):
                self.kept_left -= MEMBER_BYTES + len(member.name)
        if self.kept_left >= 0 and (some := list(islice(ranges, RANGES_AHEAD))):
            yield ReadAhead(some)

    def text(self, archive: ZipArchive, member: Member) -> bytes:
        """A member that is a text. Raises as `ZipArchive.read` does."""
        if self.texts_left > 0:
            data = archive.read(member, TEXT_LIMIT)
            breaks = len(data) - len(data.translate(None, _BREAKS))
            self.texts_left -= len(data) + LINE_UNITS * breaks
            if self.texts_left >= 0:
                return data
        raise LimitError("the manifests and Maven files of one file are more than allowed")


@dataclass(slots=True)
class _Opened:
    """An archive, and what matters of it; `fault` is what its directory has wrong."""

    archive: ZipArchive
    contents: _Contents = field(default_factory=_Contents)
    fault: FormatError | None = None

    def __post_init__(self) -> None:
        try:
            _sort(self.archive, self.contents)
        except FormatError as error:
            self.fault = error
        self.archive.forget_directory()

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Where its texts are, and what opens the first archives in it."""
        for member in islice(self.contents.texts(), TEXTS_AHEAD):
            yield self.archive.contents_range(member, TEXT_LIMIT)
        yield from self.ranges_of(self.contents.nested[:NESTED_AHEAD])

    def ranges_of(self, nested: Iterable[Member]) -> Iterator[tuple[int, int]]:
        """What opens these archives in it."""
        for member in nested:
            yield from self.archive.nested_ranges(member, DEFLATED_AHEAD)


# An archive within another that was opened; or None where it is none, or what is wrong with it.
_Inner = _Opened | FormatError | None


def _parse(file: WantedFile) -> Iterator[Entry | ReadAhead]:
    reading = _Reading(file, InflateBudget(BUDGET))
    try:
        archive = ZipArchive(file.read_at, file.size, reading.budget)
    except NotRecognisedError:
        if file.size and file.read_at(0, 2) == b"PK":
            raise DamagedError("an archive without an end: it is cut short") from None
        return  # many a file that is not an archive has such a suffix
    opened = _Opened(archive)
    yield from reading.ahead([opened], opened.ranges())
    yield from _archive(reading, opened, [file.path], HELD_LIMIT)


def _archive(
    reading: _Reading, opened: _Opened, names: list[str], room: int
) -> Iterator[Entry | ReadAhead]:
    """`names` are those of the archives around it and its own; `room` is memory left for more."""
    reading.file.check_time()
    reading.archives += 1
    if reading.archives > NESTED_LIMIT:
        raise LimitError(f"more than {NESTED_LIMIT} archives in one file")
    path = "!/".join(names)[-PATH_LIMIT:]
    if opened.fault is not None:
        yield Problem("/" + path, opened.fault.what)
    yield from _identify(reading, opened.archive, opened.contents, path)
    nested = opened.contents.nested
    if nested and len(names) > DEPTH_LIMIT:
        where = "/" + "!/".join([*names, nested[0].name])[-PATH_LIMIT:]
        yield Problem(where, f"archives nested more than {DEPTH_LIMIT} deep")
        return
    for begin in range(0, len(nested), NESTED_AHEAD):
        some = nested[begin : begin + NESTED_AHEAD]
        if begin and room == HELD_LIMIT:
            yield from reading.ahead([], opened.ranges_of(some))
        yield from _nested(reading, opened.archive, some, names, room)


def _nested(
    reading: _Reading, archive: ZipArchive, some: list[Member], names: list[str], room: int
) -> Iterator[Entry | ReadAhead]:
    """Go through archives in one; those that are read in place are opened all before the first."""
    known: dict[int, _Inner] = {}
    if room == HELD_LIMIT:  # else all of it is in memory
        known = {
            number: _inner(reading, archive, member, room)
            for number, member in enumerate(some)
            if archive.is_stored(member)
        }
        found = [item for item in known.values() if isinstance(item, _Opened)]
        yield from reading.ahead(found, chain.from_iterable(item.ranges() for item in found))
    for number, member in enumerate(some):
        at = [*names, member.name]
        is_known = number in known
        item = known.pop(number) if is_known else _inner(reading, archive, member, room)
        if isinstance(item, FormatError):
            yield Problem("/" + "!/".join(at)[-PATH_LIMIT:], item.what)
        elif item is not None:
            yield from _archive(reading, item, at, room - item.archive.held)


def _inner(reading: _Reading, archive: ZipArchive, member: Member, room: int) -> _Inner:
    reading.file.check_time()
    try:
        return _Opened(archive.nested(member, room))
    except NotRecognisedError:
        return None
    except FormatError as error:
        return error


def _sort(archive: ZipArchive, contents: _Contents) -> None:
    for member in archive.members():
        name = member.name
        if name.endswith(_POM_PROPERTIES):
            if name.rpartition("/")[2] == _POM_PROPERTIES:
                contents.poms.append(member)
        elif name[name.rfind(".") :] in _ENDINGS:
            contents.nested.append(member)
        elif name.endswith(_POM_FILE):
            if _POM_XML.fullmatch(name):
                contents.pom_xmls.append(member)
        elif name == _NETTY:
            contents.netty = member
        elif name.upper() == _MANIFEST:
            contents.manifest = member


def _identify(
    reading: _Reading, archive: ZipArchive, contents: _Contents, path: str
) -> Iterator[Entry]:
    evidence = Evidence(path)
    try:
        if contents.manifest is not None:
            evidence.attributes = main_attributes(reading.text(archive, contents.manifest))
    except FormatError as error:
        yield Problem("/" + path, error.what)
    for found in _poms(reading, archive, contents):
        if isinstance(found, Coordinates):
            evidence.poms.append(found)
        else:
            yield Problem("/" + path, found)
    licence = evidence.attributes.get("bundle-license", "").partition(";")[0]
    for group, artifact, version, own in identify(evidence):
        yield maven(path, group, artifact, version, PackageDetails(licence if own else ""))
    if contents.netty is not None:
        yield from _netty(reading, archive, contents.netty, path)


def _poms(
    reading: _Reading, archive: ZipArchive, contents: _Contents
) -> Iterator[Coordinates | str]:
    """Coordinates of each Maven file, or what is wrong with it; a pom.xml only without its twin."""
    known = set()
    for member in contents.poms:
        try:
            group, artifact, version = pom_coordinates(reading.text(archive, member))
        except FormatError as error:
            yield f"{member.name}: {error.what}"
            continue
        if artifact and version:
            known.add(member.name.removesuffix(_POM_PROPERTIES))
            yield Coordinates(group, artifact, version)
    for member in contents.pom_xmls:
        place = _POM_XML.fullmatch(member.name)
        if place is None or member.name.removesuffix(_POM_FILE[1:]) in known:
            continue
        try:
            root = project(reading.text(archive, member))
            group, artifact, version = own_coordinates(root, properties_of(root))
        except FormatError as error:
            yield f"{member.name}: {error.what}"
        else:
            yield Coordinates(group or place[1], artifact or place[2], version)


def _netty(reading: _Reading, archive: ZipArchive, member: Member, path: str) -> Iterator[Entry]:
    """The parts of Netty that a whole of it, or one shaded into something else, has inside."""
    try:
        text = reading.text(archive, member).decode("utf-8", "replace")
    except FormatError as error:
        yield Problem("/" + path, error.what)
        return
    for count, match in enumerate(_NETTY_PART.finditer(text)):
        if count == NETTY_LIMIT:
            yield Problem("/" + path, f"more than {NETTY_LIMIT} parts of Netty in {_NETTY}")
            return
        yield maven(path, "io.netty", match[1], match[2])


EXTRACTOR: Final = GeneratorExtractor(
    "language/java-archive",
    Wants(suffixes=_ENDINGS, random_access=True, limit=8 << 30),
    _parse,
)
