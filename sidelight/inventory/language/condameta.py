"""Packages of a conda environment: conda-meta/NAME-VERSION-BUILD.json.

Source: conda's documentation of an environment's `conda-meta`, the purl type `conda`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import (
    PackageDetails,
    RelatedEntry,
    conda,
    related,
)
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_WANTED: Final = re.compile(r"(?:.*/)?conda-meta/[^/]+\.json")


def _wanted(path: str) -> bool:
    return bool(_WANTED.fullmatch(path))


def _parse(file: WantedFile) -> Iterator[RelatedEntry]:
    data = mapping(parse_json(file.read()), "the package's record")
    build = text(data.get("build")) or text(data.get("build_string"))
    subdir = text(data.get("subdir"))
    channel = text(data.get("channel")).rstrip("/").removesuffix("/" + subdir)
    requested = data.get("requested_spec")
    direct = None if requested is None else requested not in {"", "None"}
    name = text(data.get("name"))
    entry = conda(
        file.path,
        name,
        text(data.get("version")),
        PackageDetails(text(data.get("license")), direct),
        (("build", build), ("channel", channel.rpartition("/")[2]), ("subdir", subdir)),
    )
    depends = data.get("depends")
    needs = None
    if isinstance(depends, list):  # `python >=3.8,<3.9.0a0`
        needs = [word for item in depends for word in text(item).split()[:1]]
    yield related(entry, (name,), needs, "/" + file.path.rpartition("/")[0])


EXTRACTOR: Final = GeneratorExtractor(
    "language/conda-installed",
    Wants(suffixes=frozenset({".json"}), confirm=_wanted, limit=32 << 20),
    _parse,
)
