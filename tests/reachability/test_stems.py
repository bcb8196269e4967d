"""The table of calls agrees with botocore's own model of AWS."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from sidelight.reachability.answers.stems import STEMS, Stem

_SESSION = botocore.session.get_session()


def _shapes(stem: Stem) -> tuple[Any, Any]:
    """The shapes of a call's input and output."""
    operation = _SESSION.get_service_model(stem.service).operation_model(stem.operation)
    return operation.input_shape, operation.output_shape


@pytest.mark.parametrize("stem", STEMS.values(), ids=lambda stem: str(stem.name))
def test_a_stems_call_exists_and_answers_its_list(stem: Stem) -> None:
    request, answer = _shapes(stem)
    members = answer.members
    assert not stem.list_key or stem.list_key in members
    arguments = {*stem.arguments, *([stem.argument] if stem.argument else [])}
    assert arguments <= set(request.members)
    assert set(request.required_members) <= arguments


@pytest.mark.parametrize("stem", STEMS.values(), ids=lambda stem: str(stem.name))
def test_a_stems_pages_are_asked_for_as_botocore_can(stem: Stem) -> None:
    loader = _SESSION.get_component("data_loader")
    paginators = loader.load_service_model(stem.service, "paginators-1")["pagination"]
    _, answer = _shapes(stem)
    tokens = {"NextToken", "nextToken", "NextMarker", "Marker"} & set(answer.members)
    expected = "paginator" if stem.operation in paginators else "token" if tokens else "none"
    assert stem.pages == expected


@pytest.mark.parametrize(
    "stem", [stem for stem in STEMS.values() if stem.parent], ids=lambda stem: str(stem.name)
)
def test_a_stems_parent_comes_first_and_has_the_key(stem: Stem) -> None:
    names = list(STEMS)
    parent = STEMS[stem.parent]
    assert names.index(parent.name) < names.index(stem.name)
    _, answer = _shapes(parent)
    objects = answer.members[stem.parent_list or parent.list_key].member
    assert stem.parent_key in objects.members
