"""Sidelight's own score: CVSS, adjusted by evidence of exploits and by the machine's exposure.

Only CVSS's own metrics are used (docs/score.md): exploit maturity (E) by CISA's catalogue and EPSS,
and a modified attack vector (MAV) for a machine that cannot be reached from outside its network. An
unknown value is "not defined", which does not change the score.
"""

from __future__ import annotations

from functools import lru_cache

from sidelight.advisories.rating import cvss
from sidelight.errors import FormatError
from sidelight.model import Exposure

# EPSS is the probability that exploitation is seen within 30 days.
LIKELY = 0.5
POSSIBLE = 0.1
_BASE = {
    "2.0": ("AV", "AC", "Au", "C", "I", "A"),
    "3.0": ("AV", "AC", "PR", "UI", "S", "C", "I", "A"),
    "3.1": ("AV", "AC", "PR", "UI", "S", "C", "I", "A"),
    "4.0": ("AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"),
}
# The values of E by version: in CISA's catalogue, likely, possible, neither.
_MATURITY = {
    "2.0": ("H", "F", "POC", "U"),
    "3.0": ("H", "F", "P", "U"),
    "3.1": ("H", "F", "P", "U"),
    "4.0": ("A", "P", "P", "U"),
}


def maturity(version: str, epss: float | None, *, exploited: bool) -> str:
    """Return the value of E for a version of CVSS, "" if unknown."""
    known, likely, possible, neither = _MATURITY[version]
    if exploited:
        return known
    if epss is None:
        return ""
    if epss >= LIKELY:
        return likely
    return possible if epss >= POSSIBLE else neither


@lru_cache(maxsize=1 << 14)
def adjusted(
    vector: str, epss: float | None, *, exploited: bool, exposure: Exposure = Exposure.UNKNOWN
) -> tuple[float, str] | None:
    """Return the score and its vector; None if `vector` is not a CVSS vector."""
    version = cvss.version_of(vector)
    if not version:
        return None
    return _adjusted(vector, version, maturity(version, epss, exploited=exploited), exposure)


@lru_cache(maxsize=1 << 14)  # many vulnerabilities have the same vector
def _adjusted(
    vector: str, version: str, exploit: str, exposure: Exposure
) -> tuple[float, str] | None:
    try:
        metrics = cvss.base_metrics(vector)
        # A machine without exposure can still be reached from its own network.
        nearer = exposure is Exposure.NONE and metrics.get("AV") == "N" and version != "2.0"
        score = cvss.adjusted_score(vector, exploit, "A" if nearer else "")
    except FormatError:
        return None
    words = [f"{name}:{metrics[name]}" for name in _BASE[version]]
    if exploit:
        words.append(f"E:{exploit}")
    if nearer:
        words.append("MAV:A")
    prefix = [] if version == "2.0" else [f"CVSS:{version}"]
    return score, "/".join([*prefix, *words])
