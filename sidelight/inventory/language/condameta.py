"""Packages of a conda environment: conda-meta/NAME-VERSION-BUILD.json.

Source: conda's documentation of an environment's `conda-meta`, the purl type `conda`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, PackageDetails, conda
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_WANTED: Final = re.compile(r"(?:.*/)?conda-meta/[^/]+\.json")


def _wanted(path: str) -> bool:
    return bool(_WANTED.fullmatch(path))


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_json(file.read()), "the package's record")
    build = text(data.get("build")) or text(data.get("build_string"))
    subdir = text(data.get("subdir"))
    channel = text(data.get("channel")).rstrip("/").removesuffix("/" + subdir)
    requested = data.get("requested_spec")
    direct = None if requested is None else requested not in {"", "None"}
    yield conda(
        file.path,
        text(data.get("name")),
        text(data.get("version")),
        PackageDetails(text(data.get("license")), direct),
        (("build", build), ("channel", channel.rpartition("/")[2]), ("subdir", subdir)),
    )


EXTRACTOR: Final = GeneratorExtractor(
    "language/conda-installed",
    Wants(suffixes=frozenset({".json"}), confirm=_wanted, limit=32 << 20),
    _parse,
)
