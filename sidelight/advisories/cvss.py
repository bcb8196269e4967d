"""Base scores of CVSS vectors, versions 2.0, 3.0, 3.1 and 4.0.

Sources: FIRST, "A Complete Guide to CVSS 2.0" (section 3.2.1), "CVSS v3.1 Specification" (7.1).
Temporal, environmental and threat metrics in a vector are accepted and do not count.
"""

from __future__ import annotations

import math
from functools import lru_cache

from sidelight.advisories import cvss4
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


@lru_cache(maxsize=1 << 14)
def base_score(vector: str) -> float:
    """The base score, 0.0 to 10.0. Raises FormatError for what is no CVSS vector."""
    prefix, slash, rest = vector.partition("/")
    version = version_of(vector)
    if not slash or not version:
        raise FormatError("not a CVSS vector", where=vector[:100])
    metrics = _metrics(vector if version == "2.0" and not prefix.startswith("CVSS") else rest)
    try:
        if version == "4.0":
            return cvss4.base_score(metrics)
        if version == "2.0":
            return _score_v2(metrics)
        return _score_v3(metrics, version)
    except KeyError as error:
        what = f"no or an unknown value of the metric {error.args[0]}"
        raise FormatError(what, where=vector[:100]) from error


def version_of(vector: str) -> str:
    """`2.0`, `3.0`, `3.1` or `4.0`; "" for what is no CVSS vector."""
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
    scope = metrics["S"]
    privileges = _V3_PRIVILEGES[scope][metrics["PR"]]
    lost = 1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"])
    changed = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15
    impact = changed if scope == "C" else 6.42 * lost
    if impact <= 0:
        return 0.0
    total = impact + 8.22 * value["AV"] * value["AC"] * privileges * value["UI"]
    total = min((1.08 if scope == "C" else 1.0) * total, 10)
    return _round_up(total) if version == "3.1" else math.ceil(total * 10) / 10


def _round_up(value: float) -> float:
    """To one decimal, upwards, on integers so that no machine's floats matter (appendix A)."""
    units = round(value * 100_000)
    return units / 100_000 if units % 10_000 == 0 else (units // 10_000 + 1) / 10


def _score_v2(metrics: dict[str, str]) -> float:
    value = {name: table[metrics[name]] for name, table in _V2.items()}
    impact = 10.41 * (1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"]))
    exploitability = 20 * value["AV"] * value["AC"] * value["Au"]
    factor = 0.0 if impact == 0 else 1.176
    # Half up, as the specification's own worked examples do.
    return math.floor((0.6 * impact + 0.4 * exploitability - 1.5) * factor * 10 + 0.5) / 10
