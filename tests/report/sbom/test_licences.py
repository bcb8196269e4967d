"""Licences: an SPDX expression where every word is SPDX's, else a name as it is written."""

from __future__ import annotations

import pytest
from cyclonedx.schema import SchemaVersion
from hypothesis import given
from hypothesis import strategies as st

from sidelight.report.sbom.licences import known_licences, licence_of


@pytest.mark.parametrize(
    ("text", "expression", "identifier"),
    [
        ("MIT", "MIT", "MIT"),
        (" mit ", "MIT", "MIT"),
        ("GPL-2.0-or-later AND MIT", "GPL-2.0-or-later AND MIT", ""),
        ("(mit or isc) and zlib", "(MIT OR ISC) AND Zlib", ""),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception", ""),
        ("LGPL-2.1+", "LGPL-2.1+", "LGPL-2.1+"),
        ("MPL-2.0+", "MPL-2.0+", ""),
        ("GPLv2+", "", ""),
        ("MIT AND", "", ""),
        ("MIT ISC", "", ""),
        ("MIT)", "", ""),
        ("(" * 40 + "MIT" + ")" * 40, "", ""),
        ("MIT WITH MIT", "", ""),
        ("LLVM-exception", "", ""),
        ("WITH", "", ""),
        ("MIT\x00", "", ""),
    ],
)
def test_a_licence_is_an_expression_only_if_all_its_words_are_known(
    text: str, expression: str, identifier: str
) -> None:
    licence = licence_of(text)
    assert licence is not None
    assert (licence.expression, licence.identifier) == (expression, identifier)
    assert licence.name


def test_no_text_is_no_licence() -> None:
    assert licence_of(" ") is None


@given(
    st.lists(
        st.sampled_from(["MIT", "(", ")", "AND", "OR", "WITH", "LLVM-exception", "GPLv2"]),
        max_size=30,
    )
)
def test_an_expression_read_again_is_itself(words: list[str]) -> None:
    licence = licence_of(" ".join(words))
    if licence is not None and licence.expression:
        again = licence_of(licence.expression)
        assert again is not None
        assert again.expression == licence.expression


def test_the_list_is_that_of_cyclonedx() -> None:
    import json
    from importlib.resources import files

    resources = files("cyclonedx.schema") / "_res" / "spdx.SNAPSHOT.schema.json"
    enumeration = json.loads(resources.read_text("utf-8"))["enum"]
    licences, exceptions = known_licences()
    assert [*licences.values(), *exceptions.values()] == enumeration
    assert SchemaVersion.V1_6  # the library that has it
