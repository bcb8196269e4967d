"""Severities: the terms of vendors, and the bands of CVSS scores."""

from __future__ import annotations

from sidelight.model import Severity

# Red Hat, Alma, Rocky, Amazon, SUSE, Debian, Ubuntu, GitHub and RustSec in one table: no term has
# two meanings.
_WORDS = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "low": Severity.LOW,
    "negligible": Severity.INFORMATIONAL,
    "unimportant": Severity.INFORMATIONAL,
    "informational": Severity.INFORMATIONAL,
}


def of_word(word: object) -> Severity | None:
    """Return the severity of a vendor's term, or None for "not yet assigned" and similar terms."""
    return _WORDS.get(word.strip().rstrip("*").lower()) if isinstance(word, str) else None


def of_score(score: float) -> Severity:
    """Return the band of a CVSS base score (specification 3.1, section 5)."""
    if score >= 9.0:
        return Severity.CRITICAL
    if score >= 7.0:
        return Severity.HIGH
    if score >= 4.0:
        return Severity.MEDIUM
    return Severity.LOW if score > 0 else Severity.INFORMATIONAL
