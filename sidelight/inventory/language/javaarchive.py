"""Java archives: jar, war, ear, par and their like, with the archives inside them.

`javaidentity` says which artefact an archive is. Nested archives are followed DEPTH_LIMIT levels
down. Netty's archives list the versions of its parts that are in them.
Source: the JAR file specification, Maven Archiver's documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, FormatError, LimitError, NotRecognisedError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.javaidentity import Coordinates, Evidence, identify
from sidelight.inventory.language.javamanifest import main_attributes
from sidelight.inventory.language.package_builder import Entry, PackageDetails, maven
from sidelight.inventory.language.pomproject import own_coordinates, project, properties_of
from sidelight.inventory.language.ziparchive import InflateBudget, Member, ZipArchive
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH_LIMIT: Final = 16  # archives within archives
NESTED_LIMIT: Final = 10_000  # archives in one file, at all depths
BUDGET: Final = 768 << 20  # bytes inflated for one file, at all depths
HELD_LIMIT: Final = 64 << 20  # bytes of deflated archives, one in another, held in memory at once
PATH_LIMIT: Final = 4096  # characters of the names of nested archives
TEXT_LIMIT: Final = 1 << 20  # bytes of a manifest or a pom.properties
# What the texts of one file may cost to parse, at all depths: a unit for a byte, and more for a
# line or an element, since a text of nothing else takes longest. 1,000 archives with manifests of
# 10 KB and a pom.xml of 300 elements need 30 million.
TEXTS_LIMIT: Final = 64 << 20
LINE_UNITS: Final = 32
# Bytes of all that str.splitlines takes for an end of a line, and an element's begin.
_BREAKS: Final = b"\n\r\v\f\x1c\x1d\x1e\x85\xa8\xa9<"
NETTY_LIMIT: Final = 1_000  # parts that one archive lists; there are some forty

SUFFIXES: Final = (
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


@dataclass(slots=True)
class _Reading:
    """What one file of the machine may still cost."""

    file: WantedFile
    budget: InflateBudget
    archives: int = 0
    texts_left: int = TEXTS_LIMIT

    def text(self, archive: ZipArchive, member: Member) -> bytes:
        """A member that is a text. Raises as `ZipArchive.read` does."""
        if self.texts_left > 0:
            data = archive.read(member, TEXT_LIMIT)
            breaks = len(data) - len(data.translate(None, _BREAKS))
            self.texts_left -= len(data) + LINE_UNITS * breaks
            if self.texts_left >= 0:
                return data
        raise LimitError("the manifests and Maven files of one file are more than allowed")


def _parse(file: WantedFile) -> Iterator[Entry]:
    reading = _Reading(file, InflateBudget(BUDGET))
    try:
        archive = ZipArchive(file.read_at, file.size, reading.budget)
    except NotRecognisedError:
        if file.size and file.read_at(0, 2) == b"PK":
            raise DamagedError("an archive without an end: it is cut short") from None
        return  # many a file that is not an archive has such a suffix
    yield from _archive(reading, archive, [file.path], HELD_LIMIT)


def _archive(
    reading: _Reading, archive: ZipArchive, names: list[str], room: int
) -> Iterator[Entry]:
    """`names` are those of the archives around it and its own; `room` is memory left for more."""
    reading.file.check_time()
    reading.archives += 1
    if reading.archives > NESTED_LIMIT:
        raise LimitError(f"more than {NESTED_LIMIT} archives in one file")
    path = "!/".join(names)[-PATH_LIMIT:]
    contents = _Contents()
    try:
        _sort(archive, contents)
    except FormatError as error:
        yield Problem("/" + path, error.what)
    yield from _identify(reading, archive, contents, path)
    for member in contents.nested:
        inner = [*names, member.name]
        where = "/" + "!/".join(inner)[-PATH_LIMIT:]
        if len(names) > DEPTH_LIMIT:
            yield Problem(where, f"archives nested more than {DEPTH_LIMIT} deep")
            return
        try:
            found = archive.nested(member, room)
        except NotRecognisedError:
            continue
        except FormatError as error:
            yield Problem(where, error.what)
            continue
        yield from _archive(reading, found, inner, room - found.held)


def _sort(archive: ZipArchive, contents: _Contents) -> None:
    for member in archive.members():
        name = member.name
        if name.endswith(_POM_PROPERTIES):
            if name.rpartition("/")[2] == _POM_PROPERTIES:
                contents.poms.append(member)
        elif name.endswith(SUFFIXES):
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
            group, artifact, version = _pom_properties(reading.text(archive, member))
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


def _pom_properties(data: bytes) -> tuple[str, str, str]:
    values: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith("#"):
            values[key.strip()] = value.strip()
    return values.get("groupId", ""), values.get("artifactId", ""), values.get("version", "")


EXTRACTOR: Final = GeneratorExtractor(
    "language/java-archive",
    Wants(suffixes=frozenset(SUFFIXES), random_access=True, limit=8 << 30),
    _parse,
)
