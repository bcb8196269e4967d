"""How severe a vulnerability is, from what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.advisories import cvss, severity
from sidelight.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Severity

# Version 3 first: it is what most advisories have, so that scores of two findings compare.
_PREFERENCE = ("3.1", "3.0", "4.0", "2.0")


def chosen(vectors: Iterable[str]) -> tuple[str, float] | None:
    """The vector that speaks for the others, and its base score; None where none can be read."""
    best: tuple[int, str, float] | None = None
    for vector in vectors:
        version = cvss.version_of(vector)
        if version not in _PREFERENCE:
            continue
        place = _PREFERENCE.index(version)
        if best is not None and place >= best[0]:
            continue
        try:
            best = (place, vector, cvss.base_score(vector))
        except FormatError:
            continue  # a vector that says nothing rates nothing
    return None if best is None else (best[1], best[2])


def rated(score: float) -> Severity:
    """The severity of a base score."""
    return severity.of_score(score)
