"""Go programs: the modules in their build information, and the Go version as package `stdlib`.

Stripped programs keep it: it is loaded data. A version that is not a release's (`redacted`,
`unknown`, a commit) costs the standard library alone: the modules are listed all the same.

The program's own module is listed with a release's version: its own, else the linker's. A
pseudo-version of it is left out: Go makes one from the commit where it saw no tag, and it is before
every release of the project. Source: Go's debug/buildinfo package documentation, the layout that
runtime/debug.ParseBuildInfo reads, and the Go modules reference ("Pseudo-versions").
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, LimitError, NotRecognisedError, UnsupportedError
from sidelight.inventory.language.executable import MappedBytes, Program, program
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.golinker import linked_version
from sidelight.inventory.language.package_builder import (
    Entry,
    RelatedEntry,
    golang,
    related,
)
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = b"\xff Go buildinf:"
ALIGNMENT: Final = 16
HEADER: Final = 32  # bytes before strings that are inline
SEARCH_LIMIT: Final = 1 << 20  # bytes searched where no section names the place
MOST_PLACES: Final = 8  # sections of build information that are searched; Go makes one
TEXT_LIMIT: Final = 4 << 20  # bytes of the module list; Kubernetes has some 20 KiB
_SECTIONS: Final = (".go.buildinfo", "__go_buildinfo")
# Also `go1.22.3 X:boringcrypto`, `go1.21.6 (Red Hat 1.21.6-1.el9)`, `devel go1.23-1a2b3c`,
# `go1.26-devel_1a2b`.
_VERSION: Final = re.compile(
    r"(?:go|devel (?:go)?)([0-9]+\.[0-9]+(?:\.[0-9]+)?(?:(?:rc|beta)[0-9]+)?)"
)
_PSEUDO: Final = re.compile(
    r"v[0-9]+\.(?:0\.0-|[0-9]+\.[0-9]+-(?:[^+]*\.)?0\.)[0-9]{14}-[0-9A-Za-z]+(?:\+[0-9A-Za-z.-]+)?"
)
_PLACEHOLDERS: Final = frozenset(("", "(devel)", "v0.0.0"))
_LOCAL: Final = re.compile(r"[./\\]|[A-Za-z]:[/\\]")  # the directory that replaces a module
_KNOWN_FLAGS: Final = 3  # big-endian pointers; strings inline
_LIBRARY: Final = "stdlib"
_KINDS: Final = frozenset(("mod", "dep"))
_LINE_TABLE: Final = ".gopclntab"
_FRAME: Final = 16  # bytes that Go puts before and after the module list


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    try:
        layout = program(file.read_at)
    except NotRecognisedError:
        return
    place = _find(file, layout)
    if place is None:
        if layout.section(_LINE_TABLE):
            what = "a Go program without build information: its modules cannot be read"
            yield Problem("/" + file.path, what)
        return
    version, modules = _strings(file, layout, place)
    if not version.isprintable() or not version:
        raise DamagedError(f"Go build information of version {version[:40]!r}")
    if match := _VERSION.match(version):
        yield _linked(golang(file.path, _LIBRARY, _release(match[1])), _LIBRARY)
    else:
        what = f"Go version {version[:40]!r} is not a release: the standard library is not listed"
        yield Problem("/" + file.path, what)
    yield from _modules(file.path, _framed(modules))


def _release(version: str) -> str:
    """`1.21` as it was written before 1.21.0 is the release 1.21.0 of the advisories."""
    return version + ".0" if re.fullmatch(r"[0-9]+\.[0-9]+", version) else version


def _find(file: WantedFile, layout: Program) -> int | None:
    """The offset of the build information: its own section, or within the first data segment."""
    places: list[MappedBytes] = [region for region in layout.sections if region.name in _SECTIONS]
    if not places:
        if layout.kind == "elf" and layout.section(".text") and not _may_be_go(layout):
            return None
        places = [region for region in layout.segments if region.writable][:1]
    for region in places[:MOST_PLACES]:
        data = file.read_at(region.offset, min(region.size, SEARCH_LIMIT))
        at = data.find(MAGIC)
        while at >= 0:
            if at % ALIGNMENT == 0:
                return region.offset + at
            at = data.find(MAGIC, at + 1)
    if len(places) > MOST_PLACES:
        raise LimitError(f"a program with {len(places)} sections of Go build information")
    return None


def _may_be_go(layout: Program) -> bool:
    """Whether a program with named sections has one that only Go makes.

    Go gives its build information a section of its own on ELF since 1.13, so other programs are
    not searched: it would read their data.
    """
    return any("go." in region.name for region in layout.sections)


def _strings(file: WantedFile, layout: Program, place: int) -> tuple[str, str]:
    head = file.read_at(place, HEADER)
    if len(head) < HEADER:
        raise DamagedError("Go build information is cut short")
    if head[15] & ~_KNOWN_FLAGS:
        raise UnsupportedError(f"Go build information of a later form (flags {head[15]:#x})")
    if head[15] & 2:  # since Go 1.18: two strings inline, each with its length as a varint
        version, after = _inline(file, place + HEADER)
        return version, _inline(file, after)[0]
    pointer = head[14]
    order = ">" if head[15] & 1 else "<"
    if pointer not in {4, 8}:
        raise DamagedError(f"Go build information with pointers of {pointer} bytes")
    code = order + ("L" if pointer == 4 else "Q")
    found = [
        _go_string(file, layout, code, struct.unpack_from(code, head, 16 + index * pointer)[0])
        for index in range(2)
    ]
    return found[0], found[1]


def _inline(file: WantedFile, offset: int) -> tuple[str, int]:
    head = file.read_at(offset, 10)
    length = shift = used = 0
    for byte in head:
        length |= (byte & 0x7F) << shift
        shift += 7
        used += 1
        if byte < 0x80:
            break
    return _text(file, offset + used, length), offset + used + length


def _go_string(file: WantedFile, layout: Program, code: str, address: int) -> str:
    """A Go string: its header is an address and a length, both as wide as a pointer."""
    size = struct.calcsize(code)
    header = file.read_at(_offset(layout, address), 2 * size)
    if len(header) < 2 * size:
        raise DamagedError("a Go string's header is cut short")
    data, length = struct.unpack(code + code[1], header)
    return _text(file, _offset(layout, data), length) if length else ""


def _offset(layout: Program, address: int) -> int:
    for region in layout.segments:
        if region.address <= address < region.address + region.size:
            return region.offset + address - region.address
    raise DamagedError(f"no segment of the program has address {address:#x}")


def _text(file: WantedFile, offset: int, length: int) -> str:
    if length > TEXT_LIMIT:
        raise DamagedError(f"a Go string of {length} bytes")
    data = file.read_at(offset, length)
    if len(data) < length:
        raise DamagedError("a Go string is cut short")
    return data.decode("latin-1")


def _framed(text: str) -> str:
    """The module list without the marks around it; empty where none was written."""
    if not text:
        return ""
    if len(text) >= 2 * _FRAME + 1 and text[-_FRAME - 1] == "\n":
        return text[_FRAME:-_FRAME].encode("latin-1").decode("utf-8", "replace")
    raise DamagedError("the module list of a Go program is not one")


def _linked(entry: Entry, name: str, needs: list[str] | None = None) -> RelatedEntry:
    """An entry that the program's own module requires, unless it is that module itself.

    The list does not say which module requires which other one.
    """
    return related(entry, (name,), needs)


def _modules(path: str, text: str) -> Iterator[RelatedEntry]:
    """The modules of the lines `mod`, `dep` and `=>` (the replacement of the line before)."""
    lines = list(_lines(text))
    own = [name for kind, name, _, _ in lines if kind == "mod"]
    needs = [_LIBRARY, *(_name_of(line) for line in lines if line[0] == "dep")]
    for kind, name, version, replacement in lines:
        if replacement is not None:
            if _LOCAL.match(replacement[0]):
                own.append(name)  # a directory of the same sources
            else:
                yield from _module(path, *replacement)
        elif version in _PLACEHOLDERS:
            own.append(name)
        elif kind == "dep":
            yield from _module(path, name, version)
        elif not _PSEUDO.fullmatch(version):
            yield _linked(golang(path, name, version), name, needs)
    main = next((line for line in lines if line[0] == "mod"), None)
    if main is None or not (main[2] in _PLACEHOLDERS or _PSEUDO.fullmatch(main[2])):
        return
    if linked := linked_version(text, own):
        yield _linked(golang(path, main[1], linked), main[1], needs)


def _name_of(line: tuple[str, str, str, tuple[str, str] | None]) -> str:
    """The name under which a module of the list is a package: its replacement's."""
    return line[3][0] if line[3] is not None else line[1]


def _lines(text: str) -> Iterator[tuple[str, str, str, tuple[str, str] | None]]:
    """(kind, module, version, its replacement's module and version) of each module."""
    waiting: tuple[str, str, str] | None = None
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        if waiting and kind == "=>" and len(fields) >= 2:
            yield (*waiting, (fields[0], fields[1]))
            waiting = None
            continue
        if waiting:
            yield (*waiting, None)
        waiting = (kind, fields[0], fields[1]) if kind in _KINDS and len(fields) >= 2 else None
    if waiting:
        yield (*waiting, None)


def _module(path: str, name: str, version: str) -> Iterator[RelatedEntry]:
    if version not in _PLACEHOLDERS:
        yield _linked(golang(path, name, version), name)


EXTRACTOR: Final = GeneratorExtractor(
    "language/go-binary",
    Wants(suffixes=frozenset({".exe"}), executables=True, random_access=True, limit=4 << 30),
    _parse,
)
