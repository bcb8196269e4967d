"""Pair the entries of two lists, by one kind of key after the other, each entry at most once.

The time is linear in the number of keys, so that an answer with many equal entries costs no more.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

L = TypeVar("L")
R = TypeVar("R")


class Pass(NamedTuple, Generic[L, R]):
    """One kind of key: entries of both sides that share one are paired."""

    left: Callable[[L], Iterable[Hashable]]
    right: Callable[[R], Iterable[Hashable]]


class Paired(NamedTuple, Generic[L, R]):
    """The pairs, and the entries of each side without one, in their order."""

    pairs: list[tuple[L, R]]
    left: list[L]
    right: list[R]


def pair(left: Sequence[L], right: Sequence[R], passes: Iterable[Pass[L, R]]) -> Paired[L, R]:
    """Pair entries by the first kind of key that they share."""
    pairs: list[tuple[L, R]] = []
    free_left, free_right = list(left), list(right)
    for step in passes:
        if not free_left or not free_right:
            break
        found = _one_pass(free_left, free_right, step)
        pairs += found.pairs
        free_left, free_right = found.left, found.right
    return Paired(pairs, free_left, free_right)


def _one_pass(left: list[L], right: list[R], step: Pass[L, R]) -> Paired[L, R]:
    by_key: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for place, entry in enumerate(left):
        for key in step.left(entry):
            by_key[key].append(place)
    taken: set[int] = set()
    pairs: list[tuple[L, R]] = []
    rest: list[R] = []
    for other in right:
        match = _first_free(by_key, step.right(other), taken)
        if match is None:
            rest.append(other)
        else:
            taken.add(match)
            pairs.append((left[match], other))
    return Paired(pairs, [entry for place, entry in enumerate(left) if place not in taken], rest)


def _first_free(
    by_key: defaultdict[Hashable, deque[int]], keys: Iterable[Hashable], taken: set[int]
) -> int | None:
    for key in keys:
        places = by_key.get(key)
        while places:
            place = places.popleft()
            if place not in taken:
                return place
    return None
