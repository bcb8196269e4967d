"""FriendsOfPHP's security advisories (github.com/FriendsOfPHP/security-advisories), in YAML.

Each branch lists constraints that together bound its affected versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.advisories.formats.requirements import interval
from sidelight.advisories.formats.shape import mapping, text
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "composer://"


def recognises(record: dict[str, Any]) -> bool:
    """Whether an object is an advisory of this database."""
    return "branches" in record and str(record.get("reference", "")).startswith(_PREFIX)


def parse(record: dict[str, Any]) -> Iterator[Advisory]:
    """One advisory. Raises DamagedError for another shape."""
    package = text(record, "reference").removeprefix(_PREFIX).lower()
    title = text(record, "title")
    cve = str(record.get("cve") or "")
    found = []
    branches = mapping(record, "branches")
    for branch in branches:
        terms = mapping(branches, branch).get("versions")
        if not isinstance(terms, list):
            raise DamagedError(f"the branch {branch} lists no versions")
        span = interval([part for term in terms for part in str(term).split(",")], "composer")
        if span is not None:
            found.append(span)
    path = str(record.get("_path") or "").removesuffix(".yaml")
    has_cve = cve.startswith("CVE-")
    yield Advisory(
        id=cve if has_cve else f"FRIENDSOFPHP-{path or f'{package}/{title}'}",
        source="FriendsOfPHP",
        vulnerabilities=(cve,) if has_cve else (),
        title=title,
        references=(text(record, "link"),) if record.get("link") else (),
        affected=(Affected("Packagist", package, tuple(found)),) if found else (),
    )
