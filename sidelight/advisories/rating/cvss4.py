"""Scores of CVSS 4.0 vectors (FIRST, "CVSS v4.0 Specification", section 8).

A vector belongs to a macrovector, a digit for each of six groups of metrics, and FIRST's experts
assigned each macrovector a score. A vector scores less than the worst of its macrovector by the
mean, over the groups, of its relative distance to the next lower macrovector.

Of threat and environmental metrics only exploit maturity (E, group 5) counts here, and a modified
attack vector with which the caller replaces the base one. All security requirements are high, so
only the macrovectors below and their next lower ones can occur.
"""

from __future__ import annotations

from itertools import product

from sidelight.errors import FormatError

# Section 8.3's scores. Two lines for groups 1 and 2 together; in them the numbers go over groups 3
# and 6 together (00, 01, 10, 11, 21), then group 4 (1, 2), then group 5 (0, 1, 2).
_ROWS = """
10  9.3 9.1 9.3 8.9 8.1  9.6 8.7 8.1 9   8   6.8  9.3 8.9 8.1 8.8 7.8 6.9
9.2 8.1 6.5 8   7   4.8  7.9 6.9 5   6.9 5.5 2.7
9.5 9   8.4 9.2 8.2 7.2  9.1 8.3 7.1 8.1 7.1 5.3  9.2 8   7   8.4 7.1 5
8.2 7.2 5.9 7   5.2 3    7.1 5.2 2.9 6.3 2.9 1.7
9.4 8.6 7.7 8.7 7.4 6.3  8.9 7.4 6.4 7.5 6.3 4.9  8.6 7.4 5.9 7.2 5.7 5.2
7.6 5.8 5   5.7 5.2 2.5  6.5 5.8 2.6 5.3 2.1 1.3
9   7.5 6.1 7.7 6.8 5.2  7.7 6.2 5.3 6.6 5.9 3    7.4 5.7 4.7 6.1 5.7 2.4
5.9 5.7 2.3 5.2 2.9 1.6  5.8 2.6 1.5 2.3 1.3 0.6
8.6 7.4 5.6 7   5.2 4    7.4 6.1 3.4 5.4 4   2.2  7.2 5.5 4.6 5.3 3.4 1.9
5.7 4.1 1.9 3.6 1.9 0.8  4.7 2.1 1.1 2.4 0.9 0.4
7.3 5.9 4.1 5.4 4.5 2    5.5 4   2   4.3 2.2 1.1  6.1 4.8 2   4.6 1.7 0.8
5.1 1.8 0.9 1.8 0.7 0.2  2.4 1.2 0.5 1   0.3 0.1
"""
_Macro = tuple[int, int, str, int, int]  # groups 1, 2, 3 and 6, 4, 5
_SCORES: dict[_Macro, float] = dict(
    zip(
        (
            (one, two, three_six, four, five)
            for one, two, three_six, four, five in product(
                (0, 1, 2), (0, 1), ("00", "01", "10", "11", "21"), (1, 2), (0, 1, 2)
            )
        ),
        map(float, _ROWS.split()),
        strict=True,
    )
)
# Values of each metric, the worst first: one step is a tenth of severity.
_LEVELS = {
    "AV": "NALP",
    "PR": "NLH",
    "UI": "NPA",
    "AC": "LH",
    "AT": "NP",
    "VC": "HLN",
    "VI": "HLN",
    "VA": "HLN",
    "SC": "HLN",
    "SI": "HLN",
    "SA": "HLN",
}
_GROUP_1 = ("AV", "PR", "UI")
_GROUP_2 = ("AC", "AT")
_GROUP_3_6 = ("VC", "VI", "VA")
_GROUP_4 = ("SC", "SI", "SA")
# The worst vectors of a group's digit (table 24 and following), and the group's number of steps.
_WORST_1 = {0: ("NNN",), 1: ("ANN", "NLN", "NNP"), 2: ("PNN", "ALP")}
_WORST_2 = {0: ("LN",), 1: ("HN", "LP")}
_WORST_3_6 = {"00": ("HHH",), "10": ("LHH", "HLH"), "21": ("LLL",)}
_WORST_4 = {1: ("HHH",), 2: ("LLL",)}
_DEPTH_1 = {0: 1, 1: 4, 2: 5}
_DEPTH_2 = {0: 1, 1: 2}
_DEPTH_3_6 = {"00": 7, "10": 8, "21": 10}
_DEPTH_4 = {1: 5, 2: 4}


# Exploit maturity: "not defined" counts as "attacked".
_MATURITY = {"X": 0, "A": 0, "P": 1, "U": 2}


def score(metrics: dict[str, str], maturity: str = "X") -> float:
    """Return the score of a vector's metrics. Raises FormatError for an absent or unknown value."""
    for name, values in _LEVELS.items():
        if metrics.get(name, "") not in values or not metrics.get(name):
            raise FormatError(f"no or an unknown value of the metric {name}")
    if all(metrics[name] == "N" for name in _GROUP_3_6 + _GROUP_4):
        return 0.0
    one, two, three_six, four, five = macro = _macrovector(metrics, _MATURITY[maturity])
    own = _SCORES[macro]
    shares = (
        (_score((one + 1, two, three_six, four, five)), _GROUP_1, _WORST_1[one], _DEPTH_1[one]),
        (_score((one, two + 1, three_six, four, five)), _GROUP_2, _WORST_2[two], _DEPTH_2[two]),
        (
            _below_3_6(macro),
            _GROUP_3_6,
            _WORST_3_6[three_six],
            _DEPTH_3_6[three_six],
        ),
        (_score((one, two, three_six, four + 1, five)), _GROUP_4, _WORST_4[four], _DEPTH_4[four]),
        # Group 5 has no steps, but counts in the mean.
        (_score((one, two, three_six, four, five + 1)), (), ("",), 1),
    )
    losses = [
        (own - lower) * _steps(metrics, names, worst) / depth
        for lower, names, worst, depth in shares
        if lower is not None
    ]
    value = own - (sum(losses) / len(losses) if losses else 0)
    return int(min(max(value, 0.0), 10.0) * 10 + 0.5 + 1e-9) / 10


def _macrovector(metrics: dict[str, str], five: int) -> _Macro:
    network = [metrics[name] == "N" for name in _GROUP_1]
    is_middling = any(network) and metrics["AV"] != "P"
    one = 0 if all(network) else 1 if is_middling else 2
    two = 0 if metrics["AC"] == "L" and metrics["AT"] == "N" else 1
    if metrics["VC"] == metrics["VI"] == "H":
        three_six = "00"
    else:
        three_six = "10" if "H" in {metrics[name] for name in _GROUP_3_6} else "21"
    four = 1 if "H" in {metrics[name] for name in _GROUP_4} else 2
    return one, two, three_six, four, five


def _score(macro: _Macro) -> float | None:
    """Return a macrovector's score, None if it does not exist."""
    return _SCORES.get(macro)


def _below_3_6(macro: _Macro) -> float | None:
    """Return the next lower score in groups 3 and 6; of two candidates the higher one."""
    one, two, three_six, four, five = macro
    below = {"00": ("01", "10"), "10": ("11",), "21": ()}[three_six]
    return max((_SCORES[one, two, item, four, five] for item in below), default=None)


def _steps(metrics: dict[str, str], names: tuple[str, ...], worst: tuple[str, ...]) -> int:
    """Count the steps from the first worst vector above the metrics down to the metrics."""
    for values in worst:
        steps = [
            _LEVELS[name].index(metrics[name]) - _LEVELS[name].index(value)
            for name, value in zip(names, values, strict=True)
        ]
        if all(step >= 0 for step in steps):
            return sum(steps)
    raise FormatError("no worst vector of its macrovector lies above it")
