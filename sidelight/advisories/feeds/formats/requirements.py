"""Convert Ruby's and PHP's version requirements to intervals, and to the versions outside them."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from sidelight.errors import DamagedError
from sidelight.model import Interval
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Iterable

_LETTER = re.compile(r"-|[A-Za-z]")
_FIRST_PRERELEASE = ".A"  # of a gem's version: `~> 1.2` excludes the pre-releases of 2
_TERM = re.compile(r"\s*+(>=|<=|~>|==|=|<|>)?\s*+v?([0-9][0-9A-Za-z.+_-]*)\s*")


class _Edge(NamedTuple):
    """A bound; an empty version means unlimited."""

    version: str
    included: bool


def interval(terms: Iterable[str], scheme: str) -> Interval | None:
    """Return the versions that satisfy all terms (`>= 1.2`, `< 2`, `~> 1.2.3`); None for none.

    Raises DamagedError for a term of another form.
    """
    low, high = _Edge("", included=True), _Edge("", included=True)
    for term in terms:
        match = _TERM.fullmatch(term)
        if match is None:
            raise DamagedError(f"{term!r} is not a requirement")
        operator, version = match[1] or "=", match[2]
        if operator in {">=", ">", "=", "==", "~>"}:
            low = _higher(low, _Edge(version, operator != ">"), scheme)
        if operator in {"<=", "<", "=", "=="}:
            high = _lower(high, _Edge(version, operator != "<"), scheme)
        if operator == "~>":
            high = _lower(high, _Edge(_bumped(version), included=False), scheme)
    span = Interval(low.version, high.version, high.included and bool(high.version))
    if low.version and not low.included:
        span = Interval(span.introduced, span.end, span.end_included, introduced_excluded=True)
    return None if _is_empty(span, scheme) else span


def _bumped(version: str) -> str:
    """Return the end of `~> version`: its second to last number before any letter, plus 1."""
    numbers = re.findall(r"[0-9]+", _LETTER.split(version, maxsplit=1)[0])
    kept = numbers[:-1] or numbers
    return ".".join([*kept[:-1], str(int(kept[-1]) + 1)]) + _FIRST_PRERELEASE


def _higher(edge: _Edge, other: _Edge, scheme: str) -> _Edge:
    if not edge.version:
        return other
    left, right = sort_key(scheme, edge.version), sort_key(scheme, other.version)
    if left == right:
        return _Edge(edge.version, edge.included and other.included)
    return edge if left > right else other


def _lower(edge: _Edge, other: _Edge, scheme: str) -> _Edge:
    if not edge.version:
        return other
    left, right = sort_key(scheme, edge.version), sort_key(scheme, other.version)
    if left == right:
        return _Edge(edge.version, edge.included and other.included)
    return edge if left < right else other


def _is_empty(span: Interval, scheme: str) -> bool:
    if not span.introduced or not span.end:
        return False
    low, high = sort_key(scheme, span.introduced), sort_key(scheme, span.end)
    return low > high or (low == high and not (span.end_included and not span.introduced_excluded))


class _Cut(NamedTuple):
    """A position between versions: before the version with this key, or after it."""

    key: bytes
    is_after: bool
    version: str = ""


def _cuts(span: Interval, scheme: str) -> tuple[_Cut, _Cut | None]:
    """Return the beginning and the end of an interval; None for an unlimited end."""
    low, high = span.introduced, span.end
    begin = _Cut(sort_key(scheme, low) if low else b"", span.introduced_excluded, low)
    return begin, _Cut(sort_key(scheme, high), span.end_included, high) if high else None


def outside(safe: Iterable[Interval], scheme: str) -> tuple[Interval, ...]:
    """Return all versions outside of the intervals, as intervals in order."""
    intervals_outside: list[Interval] = []
    reached = _Cut(b"", is_after=False)
    for begin, end in sorted((_cuts(span, scheme) for span in safe), key=itemgetter(0)):
        if begin[:2] > reached[:2]:
            intervals_outside.append(
                Interval(reached.version, begin.version, begin.is_after, reached.is_after)
            )
        if end is None:
            return tuple(intervals_outside)
        if end[:2] > reached[:2]:
            reached = end
    return (*intervals_outside, Interval(reached.version, introduced_excluded=reached.is_after))
