"""Scores of CVSS vectors, versions 2.0, 3.0, 3.1 and 4.0.

Sources: FIRST, "A Complete Guide to CVSS 2.0" (section 3.2), "CVSS v3.1 Specification" (section 7).
Temporal, environmental and threat metrics in a vector are accepted and do not count: the caller
passes the ones that count as parameters.
"""

from __future__ import annotations

import math
from functools import lru_cache

from sidelight.advisories.rating import cvss4
from sidelight.errors import FormatError

_V3 = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_V3_PRIVILEGES = {
    "U": {"N": 0.85, "L": 0.62, "H": 0.27},
    "C": {"N": 0.85, "L": 0.68, "H": 0.5},
}
_V2 = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0},
    "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704},
    "C": {"N": 0.0, "P": 0.275, "C": 0.66},
    "I": {"N": 0.0, "P": 0.275, "C": 0.66},
    "A": {"N": 0.0, "P": 0.275, "C": 0.66},
}


# Exploit maturity: the metric E.
_MATURITY_V3 = {"X": 1.0, "H": 1.0, "F": 0.97, "P": 0.94, "U": 0.91}
_MATURITY_V2 = {"ND": 1.0, "H": 1.0, "F": 0.95, "POC": 0.9, "U": 0.85}


@lru_cache(maxsize=1 << 14)
def base_score(vector: str) -> float:
    """Return the base score, 0.0 to 10.0. Raises FormatError if it is not a CVSS vector."""
    return _scored(vector, "", "")


def adjusted_score(vector: str, maturity: str, attack_vector: str = "") -> float:
    """Return the score with these metrics E and MAV; the environmental score if there is a MAV.

    The values are those of the vector's version; version 2 has no MAV. Raises FormatError.
    """
    return _scored(vector, maturity, attack_vector)


def base_metrics(vector: str) -> dict[str, str]:
    """Return the metrics of a vector by name. Raises FormatError if it is not a CVSS vector."""
    prefix, slash, rest = vector.partition("/")
    version = version_of(vector)
    if not slash or not version:
        raise FormatError("not a CVSS vector", where=vector[:100])
    return _metrics(vector if version == "2.0" and not prefix.startswith("CVSS") else rest)


def _scored(vector: str, maturity: str, attack_vector: str) -> float:
    metrics = base_metrics(vector)
    version = version_of(vector)
    try:
        if version == "2.0":
            return _score_v2(metrics, maturity or "ND")
        if version == "4.0":
            if attack_vector:
                metrics["AV"] = attack_vector
            return cvss4.score(metrics, maturity or "X")
        if attack_vector:
            changed = metrics | {"AV": attack_vector}
            return _environmental_v3(changed, version, maturity or "X")
        return _times(_score_v3(metrics, version), _MATURITY_V3[maturity or "X"], version)
    except KeyError as error:
        what = f"no or an unknown value of the metric {error.args[0]}"
        raise FormatError(what, where=vector[:100]) from error


def version_of(vector: str) -> str:
    """Return `2.0`, `3.0`, `3.1` or `4.0`; "" if it is not a CVSS vector."""
    for version in ("4.0", "3.1", "3.0", "2.0"):
        if vector.startswith(f"CVSS:{version}/"):
            return version
    return "2.0" if vector.startswith("AV:") and "/Au:" in vector else ""


def _metrics(text: str) -> dict[str, str]:
    metrics: dict[str, str] = {}
    for item in text.strip("/").split("/"):
        name, colon, value = item.partition(":")
        if not colon or name in metrics:
            raise FormatError("a metric is malformed or given twice", where=text[:100])
        metrics[name] = value
    return metrics


def _score_v3(metrics: dict[str, str], version: str) -> float:
    value = {name: table[metrics[name]] for name, table in _V3.items()}
    lost = 1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"])
    changed = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15
    return _sum_v3(metrics, changed if metrics["S"] == "C" else 6.42 * lost, version)


def _environmental_v3(metrics: dict[str, str], version: str, maturity: str) -> float:
    """Compute the score with modified metrics and no security requirements (section 7.3)."""
    value = {name: table[metrics[name]] for name, table in _V3.items()}
    lost = min(1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"]), 0.915)
    if version == "3.1":
        changed = 7.52 * (lost - 0.029) - 3.25 * (lost * 0.9731 - 0.02) ** 13
    else:
        changed = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15
    score = _sum_v3(metrics, changed if metrics["S"] == "C" else 6.42 * lost, version)
    return _times(score, _MATURITY_V3[maturity], version)


def _sum_v3(metrics: dict[str, str], impact: float, version: str) -> float:
    value = {name: table[metrics[name]] for name, table in _V3.items()}
    scope = metrics["S"]
    privileges = _V3_PRIVILEGES[scope][metrics["PR"]]
    if impact <= 0:
        return 0.0
    total = impact + 8.22 * value["AV"] * value["AC"] * privileges * value["UI"]
    return _times(min((1.08 if scope == "C" else 1.0) * total, 10), 1.0, version)


def _times(score: float, factor: float, version: str) -> float:
    """Multiply and round up to one decimal."""
    total = score * factor
    return _round_up(total) if version == "3.1" else math.ceil(total * 10) / 10


def _round_up(value: float) -> float:
    """Round up to one decimal, with integers so that floats do not matter (appendix A)."""
    units = round(value * 100_000)
    return units / 100_000 if units % 10_000 == 0 else (units // 10_000 + 1) / 10


def _score_v2(metrics: dict[str, str], maturity: str) -> float:
    value = {name: table[metrics[name]] for name, table in _V2.items()}
    impact = 10.41 * (1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"]))
    exploitability = 20 * value["AV"] * value["AC"] * value["Au"]
    factor = 0.0 if impact == 0 else 1.176
    # Rounded half up, as in the specification's own worked examples.
    base = _half_up((0.6 * impact + 0.4 * exploitability - 1.5) * factor)
    return _half_up(base * _MATURITY_V2[maturity])


def _half_up(value: float) -> float:
    """Round half up to one decimal, in integers: as a float 3.0 * 0.95 is slightly under 2.85."""
    units = round(value * 100_000)
    return (units + 5_000) // 10_000 / 10
