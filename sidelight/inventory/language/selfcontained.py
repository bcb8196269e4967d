"""Programs that carry what they are made of in a form of their own.

.NET's single files and PyInstaller's programs are read. Of the others it is known that nothing of
them can be known: UPX packs a program, AppImage holds a filesystem, Bun, Deno and Nexe bundle
JavaScript, and GraalVM compiles Java archives into one program. Each is a Problem.
Not distinguished from other programs: Nuitka's, Node.js' single executables, .NET's native ones.
Source: each project's documentation, and the programs that it makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import NotRecognisedError
from sidelight.inventory.language import dotnetbundle, pyinstaller
from sidelight.inventory.language.executable import Program, program
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.language.package_builder import Entry, RelatedEntry

_HEAD: Final = 1024
_TAIL: Final = 256
_UPX: Final = b"UPX!"
_UPX_SECTIONS: Final = frozenset(("UPX0", "UPX1"))
_APP_IMAGE: Final = (b"AI\x01", b"AI\x02")  # in the padding of the ELF identification
# What the last bytes of a program are, and who made it.
_TRAILERS: Final = (
    (b"\n---- Bun! ----\n", "a program compiled by Bun"),
    (b"d3n0l4nd", "a program compiled by Deno"),
    (b"<nexe~~sentinel>", "a program compiled by Nexe"),
)
# Bun itself has an empty place of this name for the programs that it compiles.
_BUN: Final = ".bun"
_BUN_EMPTY: Final = 64  # bytes
_NATIVE_IMAGE: Final = ".svm_heap"
_PYDATA: Final = "pydata"


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    try:
        layout = program(file.read_at)
    except NotRecognisedError:
        return
    if what := _unreadable(file, layout):
        yield Problem("/" + file.path, f"{what}: the packages in it cannot be read")
        return
    archive = layout.section(_PYDATA)
    if archive is None and layout.end >= file.size:
        return
    end = file.size if archive is None else archive.offset + archive.size
    cookie = pyinstaller.cookie_offset(file, end)
    if cookie >= 0:
        yield from pyinstaller.read_archive(file, cookie)
    elif offset := dotnetbundle.bundle_offset(file, layout):
        yield from dotnetbundle.read_bundle(file, offset)


def _unreadable(file: WantedFile, layout: Program) -> str:
    """Who made a program that cannot be read; empty for others."""
    names = {region.name for region in layout.sections}
    bundle = layout.section(_BUN)
    if names & _UPX_SECTIONS or _is_packed_elf(file, layout):
        return "a program packed by UPX"
    if _NATIVE_IMAGE in names and not file.path.endswith(".so"):  # GraalVM's own libraries
        return "a native image of Java archives"
    if bundle is not None and bundle.size > _BUN_EMPTY:
        return "a program compiled by Bun"
    if layout.kind == "elf" and file.read_at(8, 3) in _APP_IMAGE:
        return "an AppImage"
    if layout.end >= file.size:
        return ""
    tail = file.read_at(max(0, file.size - _TAIL), _TAIL)
    return next((what for mark, what in _TRAILERS if mark in tail), "")


def _is_packed_elf(file: WantedFile, layout: Program) -> bool:
    return layout.kind == "elf" and not layout.sections and _UPX in file.read_at(0, _HEAD)


EXTRACTOR: Final = GeneratorExtractor(
    "language/self-contained",
    Wants(suffixes=frozenset({".exe"}), executables=True, random_access=True, limit=4 << 30),
    _parse,
)
