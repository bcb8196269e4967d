"""The Ruby Advisory Database (github.com/rubysec/ruby-advisory-db), a YAML file an advisory.

All versions of a gem are affected but `patched_versions` and `unaffected_versions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.advisories import severity as severities
from sidelight.advisories.formats.requirements import interval, outside
from sidelight.advisories.formats.shape import text, texts
from sidelight.model import Advisory, Affected

if TYPE_CHECKING:
    from collections.abc import Iterator


def recognises(record: dict[str, Any]) -> bool:
    """Whether an object is an advisory of a gem, or of Ruby itself."""
    return ("gem" in record or "engine" in record) and "title" in record


def parse(record: dict[str, Any]) -> Iterator[Advisory]:
    """One advisory; nothing for Ruby's own engines. Raises DamagedError for another shape."""
    gem = text(record, "gem")
    if not gem:
        return
    cve, ghsa, osvdb = (str(record.get(field) or "") for field in ("cve", "ghsa", "osvdb"))
    names = [f"CVE-{cve}"] if cve else []
    names += [f"GHSA-{ghsa}"] if ghsa else []
    names += [f"OSVDB-{osvdb}"] if osvdb else []
    if not names:
        return
    safe = [
        found
        for field in ("patched_versions", "unaffected_versions")
        for told in texts(record, field)
        if (found := interval(told.split(","), "gem")) is not None
    ]
    score = record.get("cvss_v3") or record.get("cvss_v2")
    is_score = isinstance(score, int | float) and not isinstance(score, bool)
    yield Advisory(
        id=names[0],
        source="RubySec",
        aliases=tuple(name for name in names[1:] if name.startswith("GHSA-")),
        vulnerabilities=(names[0],) if cve else (),
        title=text(record, "title"),
        severity=severities.of_score(float(score)) if is_score and score is not None else None,
        references=(text(record, "url"),) if record.get("url") else (),
        affected=(Affected("RubyGems", gem, outside(safe, "gem")),),
    )
