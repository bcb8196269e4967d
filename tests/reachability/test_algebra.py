"""The set algebra obeys its laws, against sets of numbers that are written out."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from sidelight.reachability.addresses import intervals, port_maps
from sidelight.reachability.addresses.port_maps import Box
from sidelight.reachability.addresses.prefixes import LongestPrefix, Prefix, prefix, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

_PAIRS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair))),
    max_size=8,
)
_SETS = _PAIRS.map(intervals.of)


def _numbers(members: intervals.Intervals) -> set[int]:
    return {number for low, high in members for number in range(low, high + 1)}


def _canonical(members: intervals.Intervals) -> bool:
    return all(low <= high for low, high in members) and all(
        one[1] + 1 < other[0] for one, other in pairwise(members)
    )


@given(_PAIRS, _SETS, _SETS)
def test_intervals_are_sets_in_a_canonical_form(
    pairs: list[tuple[int, int]], left: intervals.Intervals, right: intervals.Intervals
) -> None:
    assert _numbers(intervals.of(pairs)) == _numbers(tuple(pairs))
    results = {
        intervals.union(left, right): _numbers(left) | _numbers(right),
        intervals.intersection(left, right): _numbers(left) & _numbers(right),
        intervals.difference(left, right): _numbers(left) - _numbers(right),
    }
    for result, expected in results.items():
        assert _canonical(result)
        assert intervals.size(result) == len(expected)
    assert _numbers(intervals.union(left, right)) == _numbers(left) | _numbers(right)
    assert _numbers(intervals.intersection(left, right)) == _numbers(left) & _numbers(right)
    assert _numbers(intervals.difference(left, right)) == _numbers(left) - _numbers(right)
    assert intervals.is_subset(left, right) == (_numbers(left) <= _numbers(right))
    for number in range(50):
        assert intervals.contains(left, number) == (number in _numbers(left))


@given(_SETS, st.lists(st.integers(0, 2000), max_size=100))
def test_a_small_and_a_large_set_intersect_as_any_others(
    few: intervals.Intervals, numbers: list[int]
) -> None:
    many = intervals.of([(4 * number, 4 * number + 1) for number in numbers])
    assert _numbers(intervals.intersection(few, many)) == _numbers(few) & _numbers(many)
    assert intervals.intersection(few, many) == intervals.intersection(many, few)


_BOXES = st.lists(
    st.builds(
        lambda port, ports, first, length, allow: Box(
            port, port + ports, first, first + length, allow
        ),
        st.integers(0, 12),
        st.integers(0, 6),
        st.integers(0, 12),
        st.integers(0, 6),
        st.booleans(),
    ),
    max_size=7,
)
_MAPS = _BOXES.map(port_maps.union_of)
_CELLS = [(port, address) for port in range(20) for address in range(20)]


def _cells(ports: port_maps.PortMap) -> set[tuple[int, int]]:
    return {
        (port, address)
        for low, high, found in ports
        for port in range(low, high + 1)
        for address in _numbers(found)
    }


def _in(box: Box, cell: tuple[int, int]) -> bool:
    return box.first_port <= cell[0] <= box.last_port and box.first <= cell[1] <= box.last


def _is_canonical(ports: port_maps.PortMap) -> bool:
    neighbours = pairwise(ports)
    return all(found and _canonical(found) for _, _, found in ports) and all(
        one[1] < other[0] and (one[1] + 1 < other[0] or one[2] != other[2])
        for one, other in neighbours
    )


@given(_BOXES)
def test_boxes_become_their_union_or_what_the_first_of_them_allows(boxes: list[Box]) -> None:
    union, first = port_maps.union_of(boxes), port_maps.first_match(boxes)
    assert _is_canonical(union)
    assert _is_canonical(first)
    assert _cells(union) == {cell for cell in _CELLS if any(_in(box, cell) for box in boxes)}
    assert _cells(first) == {
        cell for cell in _CELLS if next((box.allow for box in boxes if _in(box, cell)), False)
    }
    assert port_maps.cost(boxes) >= len(boxes)


@given(_MAPS, _MAPS)
def test_port_maps_are_sets_in_a_canonical_form(
    left: port_maps.PortMap, right: port_maps.PortMap
) -> None:
    left_cells, right_cells = _cells(left), _cells(right)
    cases = [
        (port_maps.union(left, right), left_cells | right_cells),
        (port_maps.intersection(left, right), left_cells & right_cells),
        (port_maps.difference(left, right), left_cells - right_cells),
    ]
    for result, expected in cases:
        assert _is_canonical(result)
        assert _cells(result) == expected
    assert _numbers(port_maps.at_port(left, 7)) == {
        address for port, address in left_cells if port == 7
    }


@given(st.lists(_MAPS, max_size=9))
def test_the_union_of_many_sets_is_that_of_all_their_pairs(maps: list[port_maps.PortMap]) -> None:
    union = port_maps.union_all(maps)
    assert _is_canonical(union)
    assert _cells(union) == {cell for one in maps for cell in _cells(one)}


def test_the_union_of_many_sets_takes_n_log_n_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    join = intervals.of

    def counted(pairs: Iterable[intervals.Interval]) -> intervals.Intervals:
        nonlocal steps
        listed = list(pairs)
        steps += len(listed)
        return join(listed)

    monkeypatch.setattr(intervals, "of", counted)
    apart = [port_maps.on_ports(((22, 22),), ((2 * at, 2 * at),)) for at in range(4096)]
    assert len(port_maps.union_all(apart)[0][2]) == 4096
    assert steps == 4096 * 12


_BLOCKS = st.lists(
    st.tuples(st.integers(0, 63), st.integers(0, 6)).map(
        lambda pair: Prefix(
            4,
            pair[0] >> pair[1] << pair[1],
            (pair[0] >> pair[1] << pair[1]) + (1 << pair[1]) - 1,
            32,
        )
    ),
    max_size=10,
)


@given(_BLOCKS, _SETS)
def test_the_longest_prefix_decides_each_address(
    blocks: list[Prefix], members: intervals.Intervals
) -> None:
    table: LongestPrefix[Any] = LongestPrefix([(block, block) for block in blocks])
    for number in range(70):
        having = [block for block in blocks if block.first <= number <= block.last]
        expected = min(having, key=lambda block: block.last - block.first, default=None)
        assert table.find(number) == expected
    ranges = table.within(members)
    assert intervals.of(pair for pair, _ in ranges) == members
    for (first, last), value in ranges:
        assert {table.find(number) for number in range(first, last + 1)} == {value}


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 32))
def test_a_cidr_block_is_its_first_and_last_address(number: int, length: int) -> None:
    block = prefix(
        f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/{length}"
    )
    assert block is not None
    assert block.first <= number <= block.last
    assert block.last - block.first + 1 == 1 << 32 - length
    assert len(texts_of(4, ((block.first, block.last),))) == 1
