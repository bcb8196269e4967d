"""FriendsOfPHP's security advisories (github.com/FriendsOfPHP/security-advisories), in YAML.

Each branch lists constraints that together bound its affected versions, as Composer reads them: a
`>=2.0` includes the pre-releases of 2.0. Its `<2.3` excludes those of 2.3, but they are treated as
affected: a pre-release of a fixed version may not have the fix yet. GitHub's advisories agree.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats.errata import CVE
from sidelight.advisories.feeds.formats.requirements import interval
from sidelight.advisories.feeds.formats.shape import mapping, text, texts
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PREFIX = "composer://"
_FROM = re.compile(r">=\s*v?[0-9.]+")
_PACKAGE = re.compile(r"[\w.-]+/[\w.-]+")


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether an object is an advisory of this database."""
    return "branches" in record and str(record.get("reference", "")).startswith(_PREFIX)


def parse(record: Mapping[str, object]) -> Iterator[Advisory]:
    """Yield one advisory. Raises DamagedError for another shape."""
    package = text(record, "reference").removeprefix(_PREFIX).lower()
    title = text(record, "title")
    cve = text(record, "cve")
    if not _PACKAGE.fullmatch(package) or not title or (cve and not CVE.fullmatch(cve)):
        raise DamagedError(f"no title, or no name: {package[:40]!r}, {cve[:40]!r}")
    parsed_spans = []
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
            parsed_spans.append(span)
    path = str(record.get("_path") or "").removesuffix(".yaml")
    yield Advisory(
        id=cve or f"FRIENDSOFPHP-{path or f'{package}/{_digest(record, title)}'}",
        source="FriendsOfPHP",
        vulnerabilities=(cve,) if cve else (),
        title=title,
        references=(text(record, "link"),) if record.get("link") else (),
        affected=(Affected("Packagist", package, tuple(parsed_spans)),) if parsed_spans else (),
    )


def _digest(record: Mapping[str, object], title: str) -> str:
    """Return a unique id for an advisory without a CVE: several of a package share a title."""
    branches = mapping(record, "branches")
    times = [mapping(branches, name).get("time") for name in branches]
    identity_text = f"{title}\0{record.get('link')}\0{times}"
    return hashlib.sha256(identity_text.encode(errors="replace")).hexdigest()[:12]
