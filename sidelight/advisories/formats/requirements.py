"""Requirements on versions as Ruby and PHP write them, as intervals; and what lies outside them."""

from __future__ import annotations

import re
from functools import cmp_to_key
from typing import TYPE_CHECKING, NamedTuple

from sidelight.errors import DamagedError
from sidelight.model import Interval
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Iterable

_TERM = re.compile(r"\s*(>=|<=|~>|!=|==|=|<|>|\^)?\s*v?([0-9A-Za-z][0-9A-Za-z.+_-]*)\s*")


class _Edge(NamedTuple):
    """A bound; an empty version is the far end."""

    version: str
    included: bool


def interval(terms: Iterable[str], scheme: str) -> Interval | None:
    """What satisfies all terms (`>= 1.2`, `< 2`, `~> 1.2.3`); None where nothing can.

    Raises DamagedError for a term of another form.
    """
    low, high = _Edge("", included=True), _Edge("", included=True)
    for term in terms:
        match = _TERM.fullmatch(term)
        if match is None:
            raise DamagedError(f"{term!r} is no requirement")
        operator, version = match[1] or "=", match[2]
        if operator in {">=", ">", "=", "==", "~>", "^"}:
            low = _higher(low, _Edge(version, operator != ">"), scheme)
        if operator in {"<=", "<", "=", "=="}:
            high = _lower(high, _Edge(version, operator != "<"), scheme)
        if operator in {"~>", "^"}:
            high = _lower(high, _Edge(_bumped(version), included=False), scheme)
    found = Interval(low.version, high.version, high.included and bool(high.version))
    if low.version and not low.included:
        found = Interval(found.introduced, found.end, found.end_included, introduced_excluded=True)
    return None if _is_empty(found, scheme) else found


def _bumped(version: str) -> str:
    """The end of `~> version`: its last number but one, counted up."""
    numbers = re.findall(r"[0-9]+", version.partition("-")[0])
    kept = numbers[:-1] or numbers
    return ".".join([*kept[:-1], str(int(kept[-1]) + 1)])


def _higher(one: _Edge, other: _Edge, scheme: str) -> _Edge:
    if not one.version:
        return other
    left, right = sort_key(scheme, one.version), sort_key(scheme, other.version)
    if left == right:
        return _Edge(one.version, one.included and other.included)
    return one if left > right else other


def _lower(one: _Edge, other: _Edge, scheme: str) -> _Edge:
    if not one.version:
        return other
    left, right = sort_key(scheme, one.version), sort_key(scheme, other.version)
    if left == right:
        return _Edge(one.version, one.included and other.included)
    return one if left < right else other


def _is_empty(found: Interval, scheme: str) -> bool:
    if not found.introduced or not found.end:
        return False
    low, high = sort_key(scheme, found.introduced), sort_key(scheme, found.end)
    return low > high or (
        low == high and not (found.end_included and not found.introduced_excluded)
    )


def outside(safe: Iterable[Interval], scheme: str) -> tuple[Interval, ...]:
    """All versions that none of the intervals has, as intervals in order."""

    def before(one: Interval, other: Interval) -> int:
        left = sort_key(scheme, one.introduced) if one.introduced else b""
        right = sort_key(scheme, other.introduced) if other.introduced else b""
        return (left > right) - (left < right)

    found: list[Interval] = []
    start, start_excluded, is_open = "", False, True
    reached = b""
    for span in sorted(safe, key=cmp_to_key(before)):
        low = sort_key(scheme, span.introduced) if span.introduced else b""
        if is_open and span.introduced and low >= reached:
            gap = Interval(
                start, span.introduced, span.introduced_excluded, introduced_excluded=start_excluded
            )
            if not _is_empty(gap, scheme):
                found.append(gap)
        if not span.end:
            return tuple(found)
        high = sort_key(scheme, span.end)
        if high >= reached:
            reached, start, start_excluded = high, span.end, span.end_included
    return (*found, Interval(start, introduced_excluded=start_excluded and bool(start)))
