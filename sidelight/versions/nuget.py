"""NuGet versions: up to four numbers, then as semantic versions but without regard to case."""

from __future__ import annotations

import re

from sidelight.versions.encoding import checked, number, refused
from sidelight.versions.semver import prerelease

_VERSION = re.compile(
    r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:\.([0-9]+))?"
    r"(?:-(?P<pre>[0-9a-z-]+(?:\.[0-9a-z-]+)*))?(?:\+[0-9a-z.-]*)?",
    re.ASCII,
)


def key(version: str) -> bytes:
    """Bytes that order as NuGet does; raises FormatError for a malformed version."""
    match = _VERSION.fullmatch(checked(version, "NuGet version").lower())
    if match is None:
        raise refused(version, "NuGet version", "is malformed")
    numbers = b"".join(number(match[place] or "") for place in range(1, 5))
    return numbers + prerelease(match["pre"] or "")
