"""Alpine's secdb: the fixes of each release (secdb.alpinelinux.org).

`{"distroversion": "v3.19", "packages": [{"pkg": {"name", "secfixes": {version: [ids]}}}]}`: package
is the origin. Version "0" means that the distribution was never affected.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats.errata import CVE
from sidelight.advisories.feeds.formats.shape import items, mapping, text, texts
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a repository's secdb."""
    return "distroversion" in record and "packages" in record


def parse(record: Mapping[str, object]) -> Iterator[Advisory]:
    """Yield one advisory per vulnerability. Raises DamagedError for another shape."""
    release = text(record, "distroversion")
    ecosystem = f"Alpine:{release if release.startswith('v') else release or 'edge'}"
    rows_by_name: dict[str, list[Affected]] = {}
    origins: set[str] = set()
    for item in items(record, "packages"):
        package = mapping(item, "pkg")
        origin = text(package, "name")
        if not _NAME.fullmatch(origin) or origin in origins or "secfixes" not in package:
            raise DamagedError(f"the package {origin[:40]!r} is not a name, again or no `secfixes`")
        origins.add(origin)
        fixes = mapping(package, "secfixes")
        for version in fixes:
            if version == "0":
                continue
            row = Affected(ecosystem, origin, (Interval(end=version),))
            for entry_text in texts(fixes, version):
                for name in _names(entry_text):
                    rows_by_name.setdefault(name, []).append(row)
    for name, rows in rows_by_name.items():
        cves = (name,) if name.startswith("CVE-") else ()
        yield Advisory(name, "Alpine", vulnerabilities=cves, affected=tuple(rows))


def _names(entry_text: str) -> list[str]:
    """Return the vulnerabilities of one entry: its CVEs, or else its first word (`XSA-100`)."""
    return CVE.findall(entry_text) or entry_text.split()[:1]
