"""Java archives: jar, war, ear, par and their like, with the archives inside them.

What an archive is called stands in its Maven files (several in a shaded one), else in its manifest,
else in its file name. Nested archives are followed DEPTH_LIMIT levels down.
Source: the JAR file specification, Maven Archiver's documentation, OSGi's bundle headers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, FormatError, LimitError, NotRecognisedError
from sidelight.inventory.language.entry import Details, Entry, maven
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.javamanifest import identity, main_attributes
from sidelight.inventory.language.ziparchive import Budget, Member, ZipArchive
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

SUFFIXES: Final = (".jar", ".war", ".ear", ".par", ".sar", ".nar", ".kar", ".jpi", ".hpi", ".lpkg")
_POM_PROPERTIES: Final = "pom.properties"
_MANIFEST: Final = "META-INF/MANIFEST.MF"
_FILE_NAME: Final = re.compile(r"(.+?)-(v?[0-9][A-Za-z0-9.+_~-]*?)")
_QUALIFIERS: Final = ("-sources", "-javadoc", "-tests", "-test-sources")


@dataclass(slots=True)
class _Contents:
    """The members of one archive that matter."""

    poms: list[Member] = field(default_factory=list)
    manifest: Member | None = None
    nested: list[Member] = field(default_factory=list)


@dataclass(slots=True)
class _Reading:
    """What one file of the machine may still cost."""

    file: WantedFile
    budget: Budget
    archives: int = 0


def _parse(file: WantedFile) -> Iterator[Entry]:
    reading = _Reading(file, Budget(BUDGET))
    try:
        archive = ZipArchive(file.read_at, file.size, reading.budget)
    except NotRecognisedError:
        if file.size and file.read_at(0, 2) == b"PK":
            raise DamagedError("an archive without an end: it is cut short") from None
        return  # many a file that is no archive has such a suffix
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
    yield from _identify(archive, contents, path)
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
        elif name.upper() == _MANIFEST:
            contents.manifest = member


def _identify(archive: ZipArchive, contents: _Contents, path: str) -> Iterator[Entry]:
    attributes: dict[str, str] = {}
    if contents.manifest is not None:
        try:
            attributes = main_attributes(archive.read(contents.manifest, TEXT_LIMIT))
        except FormatError as error:
            yield Problem("/" + path, error.what)
    licence = attributes.get("bundle-license", "").partition(";")[0]
    named = _by_file_name(path)
    own = False
    poms = 0
    for member in contents.poms:
        try:
            group, artifact, version = _pom_properties(archive.read(member, TEXT_LIMIT))
        except FormatError as error:
            yield Problem("/" + path, f"{member.name}: {error.what}")
            continue
        if not (artifact and version):
            continue
        poms += 1
        # One alone is the archive's own, unless the file name says that it was shaded in.
        alone = len(contents.poms) == 1 and named[1] in {"", version}
        is_own = artifact == named[0] or alone
        own = own or is_own
        yield maven(path, group or artifact, artifact, version, Details(licence if is_own else ""))
    if not own and (poms == 0 or named[1]):
        group, artifact, version = identity(attributes, *named)
        group = _by_place(path, artifact) or group
        if artifact and version and (poms == 0 or group):
            yield maven(path, group or artifact, artifact, version, Details(licence))


def _pom_properties(data: bytes) -> tuple[str, str, str]:
    values: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith("#"):
            values[key.strip()] = value.strip()
    return values.get("groupId", ""), values.get("artifactId", ""), values.get("version", "")


def _by_file_name(path: str) -> tuple[str, str]:
    """(artifact, version) of `artifact-version.jar`; no version where the name has none."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    for qualifier in _QUALIFIERS:
        stem = stem.removesuffix(qualifier)
    match = _FILE_NAME.fullmatch(stem[:512])
    return (match[1], match[2]) if match else (stem, "")


def _by_place(path: str, artifact: str) -> str:
    """The group of an archive in a Maven repository or in Gradle's cache; empty elsewhere."""
    parts = path.split("/")
    if "files-2.1" in parts[:-5] and parts[-4] == artifact:
        return parts[-5]
    if "repository" in parts[:-4] and parts[-3] == artifact:
        return ".".join(parts[parts.index("repository") + 1 : -3])
    return ""


EXTRACTOR: Final = GeneratorExtractor(
    "language/java-archive",
    Wants(suffixes=frozenset(SUFFIXES), random_access=True, limit=8 << 30),
    _parse,
)
