"""The product line and the rpm module of a build, by marks in its version and module."""

from __future__ import annotations

import re

UNKNOWN = "?"  # the module of a module build if no source names it
_NUMBERS = re.compile(r"\d+")


def stream_of(version: str) -> str:
    """Return `ksplice` or `fips` for a build of such a line, else ""."""
    return "ksplice" if ".ksplice" in version else "fips" if "_fips" in version else ""


def shared_numbers(one: str, other: str) -> int:
    """Count the equal leading numbers of the upstream versions, without epochs."""
    pairs = zip(_upstream(one), _upstream(other), strict=False)
    count = 0
    for left, right in pairs:
        if left != right:
            break
        count += 1
    return count


def _upstream(version: str) -> list[str]:
    return _NUMBERS.findall(version.rpartition(":")[2].rpartition("-")[0] or version)
