"""FriendsOfPHP's security advisories (github.com/FriendsOfPHP/security-advisories), in YAML.

Each branch lists constraints that together bound its affected versions, as Composer reads them: a
`>=2.0` has the pre-releases of 2.0 too. Its `<2.3` has none of 2.3, which are taken as affected: a
pre-release of what mends need not have the mending yet, and GitHub's advisories say so too.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from sidelight.advisories.formats.errata import CVE
from sidelight.advisories.formats.requirements import interval
from sidelight.advisories.formats.shape import mapping, text, texts
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "composer://"
_FROM = re.compile(r">=\s*v?[0-9.]+")
_PACKAGE = re.compile(r"[\w.-]+/[\w.-]+")


def recognises(record: dict[str, Any]) -> bool:
    """Whether an object is an advisory of this database."""
    return "branches" in record and str(record.get("reference", "")).startswith(_PREFIX)


def parse(record: dict[str, Any]) -> Iterator[Advisory]:
    """One advisory. Raises DamagedError for another shape."""
    package = text(record, "reference").removeprefix(_PREFIX).lower()
    title = text(record, "title")
    cve = text(record, "cve")
    if not _PACKAGE.fullmatch(package) or not title or (cve and not CVE.fullmatch(cve)):
        raise DamagedError(f"no title, or no name: {package[:40]!r}, {cve[:40]!r}")
    found = []
    branches = mapping(record, "branches")
    if not branches:
        raise DamagedError("no branch in it")
    for branch in branches:
        terms = texts(mapping(branches, branch), "versions")
        if not terms:
            raise DamagedError(f"the branch {branch} lists no versions")
        parts = [part.strip() for term in terms for part in term.split(",")]
        span = interval(
            [f"{part}-dev" if _FROM.fullmatch(part) else part for part in parts], "composer"
        )
        if span is not None:
            found.append(span)
    path = str(record.get("_path") or "").removesuffix(".yaml")
    yield Advisory(
        id=cve or f"FRIENDSOFPHP-{path or f'{package}/{_digest(record, title)}'}",
        source="FriendsOfPHP",
        vulnerabilities=(cve,) if cve else (),
        title=title,
        references=(text(record, "link"),) if record.get("link") else (),
        affected=(Affected("Packagist", package, tuple(found)),) if found else (),
    )


def _digest(record: dict[str, Any], title: str) -> str:
    """What tells a package's advisories apart that have no CVE: several have the same title."""
    times = [mapping(record["branches"], name).get("time") for name in record["branches"]]
    told = f"{title}\0{record.get('link')}\0{times}"
    return hashlib.sha256(told.encode(errors="replace")).hexdigest()[:12]
