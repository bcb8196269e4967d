"""Scores are those of the specifications' own examples and of independent calculators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.advisories.rating import cvss
from sidelight.advisories.rating.severity import of_score, of_word
from sidelight.advisories.rating.vectors import chosen
from sidelight.errors import FormatError
from sidelight.model import Severity


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("AV:N/AC:L/Au:N/C:N/I:N/A:C", 7.8),  # CVE-2002-0392, in the CVSS 2 guide
        ("AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0),  # CVE-2003-0818, likewise
        ("AV:L/AC:H/Au:N/C:C/I:C/A:C", 6.2),  # CVE-2003-0062, likewise
        ("AV:N/AC:L/Au:N/C:N/I:N/A:N", 0.0),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O", 9.8),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 10.0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0.0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:H/VA:N/SC:N/SI:N/SA:N", 8.7),
        # A value halfway between two scores goes up, whatever a float makes of it.
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:P/VC:H/VI:L/VA:N/SC:H/SI:H/SA:H", 8.6),
    ],
)
def test_base_scores(vector: str, score: float) -> None:
    assert cvss.base_score(vector) == score


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "high",
        "CVSS:3.1",
        "CVSS:3.1/",
        "CVSS:3.1/AV:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:X/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N",
        "CVSS:4.0/AV:/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        "CVSS:9.9/AV:N",
        "AV:N/AC:L/Au:N/C:N/I:N",
    ],
)
def test_what_is_no_vector_has_no_score(vector: str) -> None:
    with pytest.raises(FormatError):
        cvss.base_score(vector)


@given(
    st.lists(
        st.sampled_from(
            ["AV:N", "AC:L", "PR:N", "UI:N", "S:C", "VC:H", "Au:N", "C:", ":H", "", "A"]
        )
    ),
    st.sampled_from(["CVSS:3.1", "CVSS:4.0", "CVSS:2.0", "AV:N/Au:N", ""]),
)
def test_any_text_has_a_score_from_0_to_10_or_is_refused(parts: list[str], prefix: str) -> None:
    try:
        score = cvss.base_score("/".join([prefix, *parts]))
    except FormatError:
        return
    assert 0 <= score <= 10


def test_worse_impact_never_scores_less() -> None:
    names = ("VC", "VI", "VA", "SC", "SI", "SA")
    base = "CVSS:4.0/AV:N/AC:H/AT:N/PR:L/UI:P"

    def score(values: str) -> float:
        pairs = zip(names, values, strict=True)
        return cvss.base_score(f"{base}/" + "/".join(f"{name}:{value}" for name, value in pairs))

    for values in ("NNNNNN", "LNNNNN", "LLNLNN", "HLLNLN", "HHHHLL"):
        for place, value in enumerate(values):
            for worse in {"N": "LH", "L": "H", "H": ""}[value]:
                assert score(values[:place] + worse + values[place + 1 :]) >= score(values)


def test_version_3_speaks_before_4_and_4_before_2() -> None:
    three = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"
    four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
    two = "AV:N/AC:L/Au:N/C:C/I:C/A:C"
    assert chosen([two, four, three]) == (three, 7.8)
    assert chosen([two, four]) == (four, 9.3)
    assert chosen(["CVSS:3.1/AV:N", two]) == (two, 10.0)
    assert chosen(["nothing"]) is None


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("Important", Severity.HIGH),
        ("MODERATE", Severity.MEDIUM),
        ("low**", Severity.LOW),
        ("negligible", Severity.INFORMATIONAL),
        ("not yet assigned", None),
        ("untriaged", None),
        (None, None),
        (7, None),
    ],
)
def test_vendors_words_mean_severities(word: object, severity: Severity | None) -> None:
    assert of_word(word) is severity


def test_bands_of_scores() -> None:
    scores = (0.0, 0.1, 3.9, 4.0, 6.9, 7.0, 8.9, 9.0, 10.0)
    assert [of_score(score).value[0] for score in scores] == list("ILLMMHHCC")
