"""Choose the CVSS vector that rates a vulnerability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.advisories.rating import cvss, severity
from sidelight.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Severity

# Version 3 first: most advisories have it, so that the scores of two findings are comparable.
_PREFERENCE = ("3.1", "3.0", "4.0", "2.0")


def chosen(vectors: Iterable[str]) -> tuple[str, float] | None:
    """Return the preferred vector and its base score; None if none can be parsed."""
    best: tuple[int, str, float] | None = None
    for vector in vectors:
        version = cvss.version_of(vector)
        if version not in _PREFERENCE:
            continue
        preference = _PREFERENCE.index(version)
        if best is not None and preference >= best[0]:
            continue
        try:
            best = (preference, vector, cvss.base_score(vector))
        except FormatError:
            continue  # ignore a vector that cannot be parsed
    return None if best is None else (best[1], best[2])


def rated(score: float) -> Severity:
    """Return the severity of a base score."""
    return severity.of_score(score)
