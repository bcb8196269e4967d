"""Installed packages of opam, OCaml's package manager: .opam-switch/packages/NAME.VERSION/opam.

Source: opam's manual ("File hierarchies", "opam files").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.origin import PUBLIC, git, is_git, local
from sidelight.inventory.language.package_builder import Entry, PackageDetails, flat
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

# A name has no dot.
_PLACE: Final = re.compile(r"(?:.*/)?\.opam-switch/packages/([^/.]+)\.([^/]+)/opam")
_SOURCE: Final = re.compile(rb'^[ \t]*src:\s*"([^"\n]{1,4096})"', re.MULTILINE)


def _parse(file: WantedFile) -> Iterator[Entry]:
    place = _PLACE.fullmatch(file.path)
    if place is None:
        return
    match, origin = _SOURCE.search(file.read()), PUBLIC
    url = match[1].decode("utf-8", "replace") if match else ""
    if is_git(url):  # the repository's packages are archives; pinned ones are a developer's
        origin = git(url)
    elif url.startswith(("file:", "/")):
        origin = local(url)
    yield flat(file.path, "opam", place[1], place[2], PackageDetails(origin=origin))


EXTRACTOR: Final = GeneratorExtractor(
    "language/ocaml-installed",
    Wants(
        names=frozenset({"opam"}),
        confirm=lambda path: bool(_PLACE.fullmatch(path)),
        limit=1 << 20,
    ),
    _parse,
)
