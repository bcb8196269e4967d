"""Installed Ruby gems: `specifications/NAME-VERSION.gemspec` of a gem home.

RubyGems writes these files itself, in one form, so they are read without evaluating Ruby.
Source: RubyGems' `Gem::Specification#to_ruby`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    flat,
    related,
)
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_WANTED: Final = re.compile(r"(?:.*/)?specifications/(?:default/)?[^/]+\.gemspec")
_STUB: Final = re.compile(r"^# stub: (\S+) (\S+) ", re.MULTILINE)
_QUOTED: Final = r"""\s*+=\s*+(?:Gem::Version\.new\s*+(?:\(\s*+)?)?["']([^"'\n]+)["']"""
_NAME: Final = re.compile(r"^[ \t]*\w+\.name" + _QUOTED, re.MULTILINE)
_VERSION: Final = re.compile(r"^[ \t]*\w+\.version" + _QUOTED, re.MULTILINE)
_LICENCES: Final = re.compile(r"^[ \t]*\w+\.licenses?[ \t]*=([^\n]*)", re.MULTILINE)
# `s.add_runtime_dependency(%q<rack>.freeze, [">= 2".freeze])`; those to develop are not required.
_NEED: Final = re.compile(
    r"""^[ \t]*\w+\.add_(?:runtime_)?dependency[ \t]*+(?:\([ \t]*+)?(?:%q<|["'])([^>"'\n]+)""",
    re.MULTILINE,
)
_STRING: Final = re.compile(r"""["']([^"'\n]+)["']""")


def _wanted(path: str) -> bool:
    return bool(_WANTED.fullmatch(path))


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    text = file.read().decode("utf-8", "replace")
    stub = _STUB.search(text)
    name, version = _NAME.search(text), _VERSION.search(text)
    found_name = name[1] if name else stub[1] if stub else ""
    found_version = version[1] if version else stub[2] if stub else ""
    if not (found_name and found_version):
        yield Problem("/" + file.path, "a gem specification without a plain name and version")
        return
    licences = _LICENCES.search(text)
    licence = " OR ".join(_STRING.findall(licences[1])) if licences else ""
    entry = flat(file.path, "gem", found_name, found_version, PackageDetails(licence))
    scope = "/" + file.path.rpartition("/")[0].removesuffix("/default")
    yield related(entry, (found_name,), _NEED.findall(text), scope)


EXTRACTOR: Final = GeneratorExtractor(
    "language/ruby-installed",
    Wants(suffixes=frozenset({".gemspec"}), confirm=_wanted, limit=4 << 20),
    _parse,
)
