"""Sidelight's own score is what CVSS's metrics make of it: another library is the oracle."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cvss import CVSS2, CVSS3, CVSS4
from hypothesis import example, given
from hypothesis import strategies as st

from sidelight.advisories.rating import cvss
from sidelight.advisories.rating.adjusted_score import adjusted
from sidelight.model import Exposure

_IMPACT_V3 = {"C": "HLN", "I": "HLN", "A": "HLN"}
_METRICS = {
    "3.1": {"AV": "NALP", "AC": "LH", "PR": "NLH", "UI": "NR", "S": "UC", **_IMPACT_V3},
    "4.0": {
        "AV": "NALP", "AC": "LH", "AT": "NP", "PR": "NLH", "UI": "NPA", "VC": "HLN", "VI": "HLN",
        "VA": "HLN", "SC": "HLN", "SI": "HLN", "SA": "HLN",
    },
    "2.0": {"AV": "LAN", "AC": "HML", "Au": "MSN", "C": "NPC", "I": "NPC", "A": "NPC"},
}  # fmt: skip
_METRICS["3.0"] = _METRICS["3.1"]


@st.composite
def vectors(draw: st.DrawFn) -> str:
    version = draw(st.sampled_from(sorted(_METRICS)))
    words = [f"{name}:{draw(st.sampled_from(v))}" for name, v in _METRICS[version].items()]
    return "/".join(words if version == "2.0" else [f"CVSS:{version}", *words])


epss = st.none() | st.floats(0, 1)
exposures = st.sampled_from(Exposure)


def score(
    vector: str, epss: float | None, exploited: bool, exposure: Exposure = Exposure.UNKNOWN
) -> float:
    found = adjusted(vector, epss, exploited=exploited, exposure=exposure)
    assert found is not None
    return found[0]


def by_the_oracle(vector: str) -> float:
    version = cvss.version_of(vector)
    if version == "4.0":
        return float(CVSS4(vector).base_score)
    if version == "2.0":
        scores = CVSS2(vector).scores()
        return float(scores[0] if scores[1] is None else scores[1])
    _base, temporal, environmental = CVSS3(vector).scores()
    return float(environmental if "/MAV:" in vector else temporal)


@given(vectors(), epss, st.booleans(), exposures)
@example("AV:L/AC:M/Au:S/C:N/I:P/A:P", 1.0, False, Exposure.UNKNOWN)  # 2.85 after E:F
def test_the_score_is_what_another_library_makes_of_its_vector(
    vector: str, probability: float | None, exploited: bool, exposure: Exposure
) -> None:
    found = adjusted(vector, probability, exploited=exploited, exposure=exposure)
    assert found is not None
    own, adjusted_vector = found
    assert own == by_the_oracle(adjusted_vector)
    assert cvss.base_score(adjusted_vector) == cvss.base_score(vector) == by_the_oracle(vector)


@given(vectors(), epss, st.booleans(), exposures)
def test_it_is_never_above_the_base_score(
    vector: str, probability: float | None, exploited: bool, exposure: Exposure
) -> None:
    assert score(vector, probability, exploited, exposure) <= cvss.base_score(vector)


@given(vectors(), st.lists(st.floats(0, 1), min_size=2), exposures)
def test_more_evidence_never_lowers_it(
    vector: str, probabilities: list[float], exposure: Exposure
) -> None:
    scores = [score(vector, one, False, exposure) for one in sorted(probabilities)]
    scores.append(score(vector, max(probabilities), True, exposure))
    assert all(less <= more for less, more in pairwise(scores))


@given(vectors(), epss, st.booleans())
def test_a_machine_that_cannot_be_reached_never_scores_higher(
    vector: str, probability: float | None, exploited: bool
) -> None:
    hidden = score(vector, probability, exploited, Exposure.NONE)
    unknown = score(vector, probability, exploited)
    assert hidden <= unknown == score(vector, probability, exploited, Exposure.OPEN)


@given(vectors())
def test_what_is_not_known_leaves_the_base_score(vector: str) -> None:
    assert adjusted(vector, None, exploited=False) == (cvss.base_score(vector), vector)


def test_a_vendors_own_adjustments_do_not_count_twice() -> None:
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    assert adjusted(f"{vector}/E:U/RL:O", 0.6, exploited=False) == (9.6, f"{vector}/E:F")
    assert adjusted(vector, 0.6, exploited=False, exposure=Exposure.NONE) == (
        8.6,
        f"{vector}/E:F/MAV:A",
    )


@pytest.mark.parametrize("vector", ["", "high", "CVSS:3.1/AV:N", "CVSS:9.9/AV:N/AC:L"])
def test_what_is_no_vector_has_no_score(vector: str) -> None:
    assert adjusted(vector, 0.9, exploited=True) is None
