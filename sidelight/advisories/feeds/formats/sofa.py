"""SOFA's feed of macOS (github.com/macadmins/sofa, Apache-2.0): releases and what each one fixes.

`{"OSVersions": [{"OSVersion": "Sonoma 14", "SecurityReleases": [{"UpdateName", "ProductVersion",
"ReleaseDate", "SecurityInfo", "CVEs": {"CVE-…": …}, "ActivelyExploitedCVEs": […]}]}]}`, in versions
1 and 2. A Mac of a major version has the vulnerabilities that a later release of the same major
version fixes: releases of other major versions do not apply to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats.errata import CVE
from sidelight.advisories.feeds.formats.shape import items, mapping, text, texts
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected, Interval, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ECOSYSTEM = "macOS"
_VERSION = re.compile(r"([0-9]{1,3})(?:\.[0-9]{1,3}){0,3}(?: ?\([a-z]\))?")


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is SOFA's feed."""
    return "OSVersions" in record and "XProtectPayloads" in record


def parse(record: Mapping[str, object]) -> Iterator[Advisory | VulnerabilityFact]:
    """Yield an advisory per release with its CVEs, and a fact per exploited CVE.

    Raises DamagedError for another shape, an empty feed, and a release without a version.
    """
    releases = [
        release
        for system in items(record, "OSVersions")
        for release in items(system, "SecurityReleases")
    ]
    if not releases:
        raise DamagedError("a feed without a release")
    exploited: dict[str, str] = {}
    for release in releases:
        version, day = text(release, "ProductVersion"), text(release, "ReleaseDate")[:10]
        match = _VERSION.fullmatch(version)
        if match is None:
            raise DamagedError(f"a release of the version {version[:40]!r}")
        cves = tuple(sorted(name for name in mapping(release, "CVEs") if CVE.fullmatch(name)))
        for name in texts(release, "ActivelyExploitedCVEs"):
            exploited[name] = min(day, exploited.get(name, day))
        page = text(release, "SecurityInfo")
        name = f"macOS {match[1]}"
        yield Advisory(
            id=f"macOS-{version}",
            source="Apple",
            vulnerabilities=cves,
            references=(page,) if page.startswith("https://") else (),
            published=day,
            modified=day,
            affected=(Affected(ECOSYSTEM, name, (Interval(end=version),)),) if cves else (),
        )
    for name, day in sorted(exploited.items()):
        if CVE.fullmatch(name):
            yield VulnerabilityFact(name, "Apple", exploited_since=day)
