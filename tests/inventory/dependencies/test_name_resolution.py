"""Required names lead to the packages that provide them; hostile names are bounded."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import LimitError
from sidelight.inventory.dependencies import machine_dependencies, name_tables
from sidelight.inventory.dependencies.declarations import (
    MAX_PROVIDED,
    MAX_REQUIRED,
    Declaration,
)
from sidelight.inventory.dependencies.machine_dependencies import MachineDependencies
from sidelight.inventory.dependencies.name_tables import resolved
from sidelight.model import Package

NAMES = st.sampled_from("abcdefg")
DECLARATIONS = st.builds(
    Declaration,
    st.lists(NAMES, max_size=3).map(tuple),
    st.lists(NAMES, max_size=5).map(tuple),
    st.sampled_from(["", "one", "two"]),
    st.just(""),
)


def package(name: str) -> Package:
    return Package("npm", name, "1", f"/{name}", f"pkg:npm/{name}@1")


class Machine:
    """Packages with their declarations, each of a file of its own."""

    def __init__(self) -> None:
        self.packages: list[Package] = []
        self.problems: list[str] = []
        self.dependencies = MachineDependencies(lambda _, what: self.problems.append(what))

    def add(self, declaration: Declaration | None, root: object = "") -> None:
        found = package(f"p{len(self.packages)}")
        self.packages.append(found)
        if declaration is not None:
            self.dependencies.take(root, [found], {}, [(0, declaration)])

    def resolve(self) -> list[tuple[int, ...] | None]:
        places = {id(item): index for index, item in enumerate(self.packages)}
        return self.dependencies.resolve(self.packages, places)


def test_a_name_leads_to_all_that_provide_it_and_never_to_the_package_itself() -> None:
    found = resolved(
        [
            (0, Declaration(("app",), ("mta", "app", "absent"))),
            (1, Declaration(("postfix", "mta"), ())),
            (2, Declaration(("exim", "mta"), ("postfix", "app"))),
        ]
    )
    assert found == {0: (1, 2), 1: (), 2: (0, 1)}  # a cycle is a dependency as others are


def test_a_package_with_several_declarations_has_all_their_names() -> None:
    found = resolved([(0, Declaration(("a",), ("b",))), (1, Declaration(("b",), ())),
                      (2, Declaration(("c",), ())), (0, Declaration((), ("c",)))])  # fmt: skip
    assert found == {0: (1, 2), 1: (), 2: ()}


@given(st.lists(DECLARATIONS, max_size=12))
def test_resolution_is_what_a_plain_search_gives(declarations: list[Declaration]) -> None:
    machine = Machine()
    for item in declarations:
        machine.add(item)
    expected = [
        tuple(
            number
            for number, other in enumerate(declarations)
            if number != own
            and other.scope == item.scope
            and set(other.provides) & set(item.requires or ())
        )
        for own, item in enumerate(declarations)
    ]
    assert machine.resolve() == expected
    assert not machine.problems


def test_names_of_another_scope_or_of_another_tree_are_others() -> None:
    machine = Machine()
    machine.add(Declaration(("a",), ("b",), "site-packages"))
    machine.add(Declaration(("b",), (), "elsewhere"))
    machine.add(Declaration(("b",), (), "site-packages"), root="a container")
    assert machine.resolve() == [(), (), ()]


def test_what_nothing_was_said_of_is_unknown_and_not_without_dependencies() -> None:
    machine = Machine()
    machine.add(None)
    assert machine.resolve() == []
    machine.add(Declaration(("a",), ()))
    assert machine.resolve() == [None, ()]


def test_packages_that_are_left_out_later_are_no_targets() -> None:
    machine = Machine()
    one, other = package("one"), package("other")
    machine.dependencies.take("", [one, other], {0: (1,), 1: (0,)}, [])
    assert machine.dependencies.resolve([one], {id(one): 0}) == [()]


def test_equal_packages_are_one_with_the_dependencies_of_both() -> None:
    machine = Machine()
    one, again, left, right = (package(name) for name in ("a", "a", "b", "c"))
    machine.dependencies.take("", [one, left], {0: (1,)}, [])
    machine.dependencies.take("", [again, right], {0: (1,)}, [])
    places = {id(one): 0, id(again): 0, id(left): 1, id(right): 2}
    assert machine.dependencies.resolve([one, left, right], places) == [(1, 2), None, None]


def test_node_looks_in_the_directories_above() -> None:
    machine = Machine()
    places = {
        "app/node_modules/express": ("debug", "ms", "lodash"),
        "app/node_modules/express/node_modules/debug": ("ms",),
        "app/node_modules/debug": ("ms", "express"),
        "app/node_modules/ms": (),
        "node_modules/lodash": (),
        "other/node_modules/ms": (),
    }
    for place, requires in places.items():
        above, _, name = f"/{place}".rpartition("/node_modules/")
        machine.add(Declaration((name,), requires, f"{above}/node_modules", f"/{place}"))
    assert machine.resolve() == [(1, 3, 4), (3,), (0, 3), (), (), ()]


def test_a_package_of_too_many_names_is_a_problem_and_unknown() -> None:
    many = tuple(map(str, range(MAX_REQUIRED + 1)))
    machine = Machine()
    machine.add(Declaration(("a",), many))
    machine.add(Declaration(tuple(map(str, range(MAX_PROVIDED + 1))), ()))
    machine.add(Declaration(("b",), ()))
    assert machine.resolve() == [None, None, ()]
    assert len(machine.problems) == 2
    with pytest.raises(LimitError, match="10001 required ones"):
        resolved([(0, Declaration(("a",), many))])


def test_a_name_that_very_many_provide_is_no_square(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_tables, "MAX_PROVIDERS", 10)
    with pytest.raises(LimitError, match="more than 10 packages provide 'x'"):
        resolved([(number, Declaration(("x",), ("x",))) for number in range(11)])
    machine = Machine()
    for _ in range(30):
        machine.add(Declaration(("x",), ("x",)))
    assert machine.resolve() == []
    assert machine.problems == ["more than 10 packages provide 'x'"]


def test_the_dependencies_of_a_machine_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = name_tables.WorkBudget(lookups=1000, found=20)
    monkeypatch.setattr(machine_dependencies, "WorkBudget", lambda: budget)
    machine = Machine()
    for _ in range(8):
        machine.add(Declaration(("x",), ("x",)))
    found = machine.resolve()
    assert len(machine.problems) == 1
    assert "dependencies" in machine.problems[0]
    assert None in found  # what was not resolved is unknown


def test_the_names_of_a_machine_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_dependencies, "MAX_DECLARED", 3)
    machine = Machine()
    for name in "abc":
        machine.add(Declaration((name,), ("a",)))
    assert machine.resolve() == [(), None, None]
    assert "more than 3 names" in machine.problems[0]


def test_required_names_are_bounded_even_where_none_is_found() -> None:
    budget = name_tables.WorkBudget(lookups=3)
    budget.look_up(3)
    with pytest.raises(LimitError, match="required names"):
        budget.look_up(1)


def test_a_package_of_too_many_dependencies_has_unknown_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine_dependencies, "MAX_DEPENDENCIES", 2)
    machine = Machine()
    machine.add(Declaration(("a",), ("b", "c", "d")))
    for name in "bcd":
        machine.add(Declaration((name,), ("a", "b", "c")))
    assert machine.resolve() == [None, (0, 2), (0, 1), None]
    assert "'p0' requires 3 packages" in machine.problems[0]


def test_the_order_of_files_changes_nothing() -> None:
    declarations = [
        Declaration((f"n{number}",), (f"n{number * 7 % 50}", "n3")) for number in range(50)
    ]
    expected = resolved(list(enumerate(declarations)))
    shuffled = list(enumerate(declarations))
    random.Random(1).shuffle(shuffled)
    assert resolved(shuffled) == expected
