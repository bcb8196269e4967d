"""Selection by id, tag and VPC."""

from __future__ import annotations

import pytest

from dispatcher.planning.selection import EVERYTHING, InstanceSelection
from sidelight.model import Instance

WEB = Instance(
    "i-1",
    "1" * 12,
    "eu-west-1",
    "running",
    (),
    (("team", "web"), ("stage", "prod")),
    vpc_id="vpc-1",
)


@pytest.mark.parametrize(
    ("selection", "included"),
    [
        (EVERYTHING, True),
        (InstanceSelection(instances=frozenset({"i-1", "i-2"})), True),
        (InstanceSelection(instances=frozenset({"i-2"})), False),
        (InstanceSelection(vpcs=frozenset({"vpc-1"})), True),
        (InstanceSelection(vpcs=frozenset({"vpc-2"})), False),
        (InstanceSelection(tags=frozenset({("team", "web")})), True),
        (InstanceSelection(tags=frozenset({("team", "")})), False),
        # Values of one key are alternatives; every key has to be met.
        (InstanceSelection(tags=frozenset({("team", "db"), ("team", "web")})), True),
        (InstanceSelection(tags=frozenset({("team", "web"), ("stage", "test")})), False),
        (InstanceSelection(tags=frozenset({("team", "web"), ("stage", "prod")})), True),
        (InstanceSelection(tags=frozenset({("owner", "web")})), False),
        (
            InstanceSelection(
                frozenset({"i-1"}), frozenset({("team", "web")}), frozenset({"vpc-2"})
            ),
            False,
        ),
    ],
)
def test_an_instance_is_selected_by_every_kind_that_is_named(
    selection: InstanceSelection, included: bool
) -> None:
    assert selection.includes(WEB) is included


def test_only_an_empty_selection_leaves_nothing_out() -> None:
    assert not EVERYTHING
    assert InstanceSelection(vpcs=frozenset({"vpc-1"}))
