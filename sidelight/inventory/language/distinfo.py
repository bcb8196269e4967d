"""Installed Python distributions: dist-info, egg-info (directory or file) and EGG-INFO.

Source: the "recording installed projects" specification, and setuptools' older egg formats.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language import pypiorigin
from sidelight.inventory.language.coremetadata import CoreMetadata, core_metadata
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import (
    PackageDetails,
    RelatedEntry,
    pypi,
    related,
)
from sidelight.inventory.language.pypirequirements import required_names
from sidelight.inventory.language.pyproject import normal
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

# `name-version.dist-info`, `name-version-py3.11.egg-info`: neither part has a dash of its own.
_DIRECTORY: Final = re.compile(
    r"([^-/]+)-([^-/]+)(?:-py[0-9.]+)?(?:-[^/]+)?\.(?:dist-info|egg-info|egg)", re.IGNORECASE
)
# Python looks for these names in directories of both kinds, in this order.
_METADATA: Final = ("METADATA", "PKG-INFO")
_LIMIT: Final = 8 << 20  # bytes


def _installed(path: str) -> bool:
    directory, _, base = path.rpartition("/")
    parent = directory.rpartition("/")[2].lower()
    if base in _METADATA:
        return parent.endswith((".dist-info", ".egg-info")) or parent == "egg-info"
    return True


def _parse(file: WantedFile) -> Iterator[RelatedEntry]:
    base = file.path.rpartition("/")[2]
    if base == "PKG-INFO" and file.sibling("METADATA", _LIMIT):
        return
    if base in _METADATA or base.lower().endswith(".egg-info"):
        name, version, licence, requires = core_metadata(file.read())
    elif any(file.sibling(item, _LIMIT) is not None for item in _METADATA):  # behind a link
        return
    else:
        name, version, licence, requires = CoreMetadata("", "", "")
    if not (name and version):
        # An interrupted installation leaves an empty file or none; the directory still names it.
        parts = [part for part in file.path.split("/")[-3:] if _DIRECTORY.fullmatch(part)]
        if parts and (match := _DIRECTORY.fullmatch(parts[-1])):
            name, version = name or match[1], version or match[2]
    direct = True if file.sibling("REQUESTED", 1 << 16) is not None else None
    details = PackageDetails(licence=licence, direct=direct, origin=pypiorigin.installed(file))
    # Older tools write no requirements into PKG-INFO, but into a file beside it.
    is_known = bool(requires) or file.path.endswith("/METADATA")
    needs = required_names(requires) if is_known else None
    entry = pypi(file.path, name, version, details)
    yield related(entry, (normal(name),), needs, _directory(file.path))


def _directory(path: str) -> str:
    """The directory in which Python finds a distribution: what is above its own, or its egg."""
    above = "/" + path.rpartition("/")[0]
    while above.lower().endswith((".dist-info", ".egg-info", ".egg", "/egg-info")):
        above = above.rpartition("/")[0]
    return above or "/"


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-installed",
    Wants(
        names=frozenset({"METADATA", "PKG-INFO"}),
        suffixes=frozenset({".egg-info"}),
        lacking=dict.fromkeys((".dist-info", ".egg-info", ".egg/egg-info"), frozenset(_METADATA)),
        confirm=_installed,
        limit=_LIMIT,
    ),
    _parse,
)
