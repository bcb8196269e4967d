"""The Ruby Advisory Database (github.com/rubysec/ruby-advisory-db), one YAML file per advisory.

All versions of a gem are affected except `patched_versions` and `unaffected_versions`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats.requirements import interval, outside
from sidelight.advisories.feeds.formats.shape import text, texts
from sidelight.advisories.rating import severity as severities
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidelight.model import Severity

_GEM = re.compile(r"[A-Za-z0-9._-]+")
_NAME = re.compile(r"CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3}|OSVDB-\d+")


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether an object is an advisory of a gem, or of Ruby itself."""
    return ("gem" in record or "engine" in record) and "title" in record


def parse(record: Mapping[str, object]) -> Iterator[Advisory]:
    """Yield one advisory; nothing for Ruby's engines. Raises DamagedError for another shape."""
    if "gem" not in record:
        return
    gem = text(record, "gem")
    cve, ghsa = text(record, "cve"), text(record, "ghsa")
    osvdb = record.get("osvdb")
    names = [f"CVE-{cve}"] if cve else []
    names += [f"GHSA-{ghsa}"] if ghsa else []
    names += [f"OSVDB-{osvdb}"] if osvdb else []
    if not names or not all(_NAME.fullmatch(name) for name in names) or not _GEM.fullmatch(gem):
        raise DamagedError(f"{', '.join(names)[:80]!r} of {gem[:40]!r} are not names")
    for field in ("patched_versions", "unaffected_versions"):
        if field in record and record[field] is None:
            raise DamagedError(f"of {names[0]} nothing behind `{field}`: cut off")
    safe = [
        safe_interval
        for field in ("patched_versions", "unaffected_versions")
        for requirement in texts(record, field)
        if (safe_interval := interval(requirement.split(","), "gem")) is not None
    ]
    if not {"patched_versions", "unaffected_versions", "description"} & record.keys():
        raise DamagedError(f"of {names[0]} neither a version nor a description: cut off")
    yield Advisory(
        id=names[0],
        source="RubySec",
        aliases=tuple(name for name in names[1:] if name.startswith("GHSA-")),
        vulnerabilities=(names[0],) if cve else (),
        title=text(record, "title"),
        severity=_severity(record.get("cvss_v3") or record.get("cvss_v2")),
        references=(text(record, "url"),) if record.get("url") else (),
        affected=(Affected("RubyGems", gem, outside(safe, "gem")),),
    )


def _severity(score: object) -> Severity | None:
    """Return a score's severity; None for anything that is not a number."""
    if isinstance(score, bool) or not isinstance(score, int | float):
        return None
    return severities.of_score(float(score))
