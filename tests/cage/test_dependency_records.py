"""Dependencies cross from a caged reader as they are; a hostile reader's are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.cage import inventory_records
from sidelight.cage.frames import FrameError
from sidelight.cage.inventory_records import InventoryDecoder, records
from sidelight.model import Inventory, OperatingSystem, Package, Status
from tests.fixtures.boms import dependencies_of


def _decoded(inventory: Inventory) -> Inventory:
    parts = list(records(inventory))
    decoder = InventoryDecoder()
    for part in parts[:-1]:
        decoder.add(part)
    return decoder.done(parts[-1])


COUNTED = st.integers(0, 600).flatmap(
    lambda count: st.tuples(st.just(count), dependencies_of(min(count, 8)))
)


@given(COUNTED)
def test_dependencies_cross_as_they_are(
    drawn: tuple[int, tuple[tuple[int, ...] | None, ...]],
) -> None:
    count, few = drawn
    packages = tuple(Package("deb", f"n{number}", "1", "/x", "") for number in range(count))
    dependencies = few + (None,) * (count - len(few)) if few else ()
    inventory = Inventory(
        Status.COMPLETE, OperatingSystem("debian"), packages, dependencies=dependencies
    )
    assert _decoded(inventory) == inventory


@pytest.mark.parametrize(
    "dependencies",
    [
        ((1,),),  # of one package of three
        ((0,), (), ()),  # itself
        ((3,), (), ()),
        ((-1,), (), ()),
        ((2, 1), (), ()),
        ((1, 1), (), ()),
        ((True,), (), ()),
        ((1.0,), (), ()),
        (("1",), (), ()),
        (1, (), ()),
        ("", (), ()),
        ((1 << 70,), (), ()),
        ((), (), (), ()),
    ],
)
def test_indexes_that_are_not_of_other_packages_are_refused(dependencies: object) -> None:
    packages = tuple(Package("deb", name, "1", "/x", "") for name in "abc")
    inventory = Inventory(
        Status.COMPLETE, OperatingSystem("debian"), packages,
        dependencies=dependencies,  # type: ignore[arg-type] # what a hostile reader sends
    )  # fmt: skip
    with pytest.raises(FrameError):
        _decoded(inventory)


def test_the_dependencies_of_an_answer_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory_records, "MOST_DEPENDENCIES", 3)
    packages = tuple(Package("deb", name, "1", "/x", "") for name in "abc")
    inventory = Inventory(
        Status.COMPLETE, OperatingSystem("debian"), packages, dependencies=((1, 2), (0, 2), ())
    )
    with pytest.raises(FrameError, match="more than 3 dependencies"):
        _decoded(inventory)
