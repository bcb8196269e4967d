"""Sets of integers (addresses or ports) as sorted, disjoint intervals: exact and canonical.

An Intervals value is a tuple of `(first, last)` pairs, both inclusive, ascending, with a gap of at
least one number between two pairs. Two sets are equal if and only if their tuples are.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Interval = tuple[int, int]
Intervals = tuple[Interval, ...]


def of(pairs: Iterable[Interval]) -> Intervals:
    """The union of the pairs, which come in any order and may overlap."""
    ordered = sorted(pairs)
    if len(ordered) < 2:
        return tuple(ordered)
    merged: list[Interval] = []
    first, last = ordered[0]
    for low, high in ordered:
        if low <= last + 1:
            last = max(last, high)
        else:
            merged.append((first, last))
            first, last = low, high
    merged.append((first, last))
    return tuple(merged)


def union(left: Intervals, right: Intervals) -> Intervals:
    """The numbers in either set."""
    if not left or left == right:
        return right
    return of((*left, *right)) if right else left


def intersection(left: Intervals, right: Intervals) -> Intervals:
    """The numbers in both sets."""
    if left == right:
        return left
    if len(left) > 16 * len(right):
        left, right = right, left
    if len(right) > 16 * len(left):
        return _few_in_many(left, right)
    common: list[Interval] = []
    i = j = 0
    while i < len(left) and j < len(right):
        low = max(left[i][0], right[j][0])
        high = min(left[i][1], right[j][1])
        if low <= high:
            common.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(common)


def _few_in_many(few: Intervals, many: Intervals) -> Intervals:
    """The intersection where one set has far more intervals: by binary search."""
    common: list[Interval] = []
    for low, high in few:
        at = max(bisect_right(many, (low, high)) - 1, 0)
        while at > 0 and many[at][1] >= low:
            at -= 1
        while at < len(many) and many[at][0] <= high:
            first, last = max(low, many[at][0]), min(high, many[at][1])
            if first <= last:
                common.append((first, last))
            at += 1
    return tuple(common)


def difference(left: Intervals, right: Intervals) -> Intervals:
    """The numbers in `left` that are not in `right`."""
    if not left or not right:
        return left
    rest: list[Interval] = []
    j = 0
    for low, high in left:
        start = low
        while j < len(right) and right[j][1] < start:
            j += 1
        at = j
        while at < len(right) and right[at][0] <= high:
            if right[at][0] > start:
                rest.append((start, right[at][0] - 1))
            start = right[at][1] + 1
            at += 1
        if start <= high:
            rest.append((start, high))
    return tuple(rest)


def contains(members: Intervals, number: int) -> bool:
    """Whether the set has the number."""
    return find(members, number) >= 0


def find(members: Intervals, number: int) -> int:
    """The index of the interval that has the number, or -1."""
    low, high = 0, len(members)
    while low < high:
        middle = (low + high) // 2
        if members[middle][1] < number:
            low = middle + 1
        else:
            high = middle
    return low if low < len(members) and members[low][0] <= number else -1


def is_subset(left: Intervals, right: Intervals) -> bool:
    """Whether all of `left` is in `right`."""
    return left == right or not difference(left, right)


def size(members: Intervals) -> int:
    """How many numbers the set has."""
    return sum(last - first + 1 for first, last in members)
