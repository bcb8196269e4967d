"""Perl's modules that CPAN's clients installed, and Carton's lock file.

`make install` and Module::Build write the list auto/MODULE/PATH/.packlist, which has no version:
that is read from the module itself, as Perl's tools do. No feed has advisories for CPAN, so a scan
lists the packages as not covered.
Sources: ExtUtils::Packlist, ExtUtils::MakeMaker (`parse_version`), Carton's documentation of
cpanfile.snapshot, the purl specification's type cpan.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import LimitError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.package_builder import Entry, flat
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE: Final = re.compile(r"^(/[^\n]*?\.pm)(?: type=[^\n]*)?$", re.MULTILINE)
_ROOTS: Final = 9  # directories of a root that a module's path may begin with, and one
_MODULE_LIMIT: Final = 4 << 20  # bytes
_HEAD: Final = 256 << 10  # bytes of a module that are searched
_NUMBER: Final = rb"v?[0-9][0-9._]{0,63}"
_VERSION: Final = re.compile(
    rb"^[^#\n]*?[$*](?:[\w:']*::)?VERSION\s{0,9}=\s{0,9}(?:[\w:>(-]{0,40}\()?\s{0,9}['\"]?("
    + _NUMBER
    + rb")|^\s{0,9}package\s{1,9}[\w:']+\s{1,9}("
    + _NUMBER
    + rb")\s{0,9}[;{]",
    re.MULTILINE,
)
_DISTRIBUTION: Final = re.compile(r"^  ([A-Za-z0-9][\w.+-]*?)-(v?[0-9][\w.]*(?:-TRIAL\d*)?)$")


def _module_of(path: str) -> str:
    """`HTTP/Tiny` of auto/HTTP/Tiny/.packlist; empty for Perl's own list and other files."""
    _, auto, inside = f"/{path}".rpartition("/auto/")
    return inside.removesuffix("/.packlist") if auto and "/" in inside else ""


def _parse(file: WantedFile) -> Iterator[Entry]:
    inside = _module_of(file.path)
    name = inside.replace("/", "-")
    text = file.read().decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    module = next((path for path in _FILE.findall(text) if path.endswith(f"/{inside}.pm")), "")
    version = _version(file, module) if module else ""
    if version:
        yield flat(file.path, "cpan", name, version)
    else:
        what = f"the version of Perl's module {name[:80]} is not known: it is not in the inventory"
        yield Problem(f"/{file.path}", what)


def _version(file: WantedFile, module: str) -> str:
    """The version that a module has, by its path; empty where it has none.

    Where it was installed below another root (`make install DESTDIR=…`), its path begins with that.
    """
    data, parts = None, module.split("/")
    for count in range(1, min(len(parts), _ROOTS)):
        try:
            data = file.sibling("/" + "/".join(parts[count:]), _MODULE_LIMIT)
        except LimitError:
            return ""
        if data is not None:
            break
    match = _VERSION.search((data or b"")[:_HEAD])
    return (match[1] or match[2]).decode() if match else ""


def _parse_snapshot(file: WantedFile) -> Iterator[Entry]:
    for line in file.read().decode("utf-8", "replace").splitlines():
        if len(line) <= _LONGEST and (match := _DISTRIBUTION.fullmatch(line)):
            yield flat(file.path, "cpan", match[1], match[2])


_LONGEST: Final = 1024  # characters of a line

EXTRACTOR: Final = GeneratorExtractor(
    "language/perl-installed",
    Wants(
        names=frozenset({".packlist"}),
        confirm=lambda path: bool(_module_of(path)),
        limit=8 << 20,
    ),
    _parse,
)
SNAPSHOT_EXTRACTOR: Final = GeneratorExtractor(
    "language/perl-lock",
    Wants(names=frozenset({"cpanfile.snapshot"}), confirm=is_project, limit=32 << 20),
    _parse_snapshot,
)
