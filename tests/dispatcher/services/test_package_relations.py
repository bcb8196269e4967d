"""What requires a package, what it requires, and why it is installed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dispatcher.services.package_relations import MOST_WAYS, PackageRelations, package_key
from tests.fixtures.stored_findings import inventory, package

if TYPE_CHECKING:
    from sidelight.model import Inventory


def machine(*requires: tuple[int, ...] | None) -> Inventory:
    packages = (package(f"p{number}") for number in range(len(requires)))
    return replace(inventory(*packages), dependencies=requires)


def test_dependencies_are_known_in_both_directions() -> None:
    relations = PackageRelations(machine((1, 2), (2,), (), None))
    assert [relations.requires(index) for index in range(4)] == [(1, 2), (2,), (), None]
    assert [list(relations.required_by(index)) for index in range(4)] == [[], [0], [0, 1], []]
    assert relations.unknown == 1


def test_an_inventory_without_dependencies_has_unknown_ones() -> None:
    relations = PackageRelations(inventory(package("a"), package("b")))
    assert relations.requires(0) is relations.requires(1) is None
    assert relations.unknown == 2


@pytest.mark.parametrize(
    ("requires", "ways"),
    [
        (((1,), (2,), ()), [[0, 1, 2]]),
        (((2,), (2,), ()), [[0, 2], [1, 2]]),
        (((1,), (0, 2), ()), []),  # nothing else requires the cycle
        (((1,), (0, 2), (), (0,)), [[3, 0, 1, 2]]),
        (((1, 2), (2,), ()), [[0, 2]]),  # the shortest
        (((), (), ()), []),
    ],
)
def test_a_package_is_there_for_those_that_none_requires(
    requires: tuple[tuple[int, ...], ...], ways: list[list[int]]
) -> None:
    found = PackageRelations(machine(*requires)).ways_to(2)
    assert found.ways == ways
    assert not found.has_more


def test_of_many_ways_the_first_are_shown_and_said_to_be_some() -> None:
    relations = PackageRelations(machine((), *[(0,)] * (MOST_WAYS + 1)))
    found = relations.ways_to(0)
    assert (len(found.ways), found.has_more) == (MOST_WAYS, True)
    exactly = PackageRelations(machine((), *[(0,)] * MOST_WAYS)).ways_to(0)
    assert (len(exactly.ways), exactly.has_more) == (MOST_WAYS, False)


def test_a_key_is_of_a_package_and_not_of_its_place() -> None:
    first, second = package("a", "1"), package("a", "2")
    before, after = inventory(first, second), inventory(second, first)
    assert PackageRelations(before).numbered(package_key(first)) == 0
    assert PackageRelations(after).numbered(package_key(first)) == 1
    assert PackageRelations(after).numbered("0" * 16) is None
