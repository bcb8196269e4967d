"""Requirements on versions as Ruby and PHP write them, as intervals; and what lies outside them."""

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
_FIRST_PRERELEASE = ".A"  # of a gem's version: `~> 1.2` has none of the pre-releases of 2
_TERM = re.compile(r"\s*(>=|<=|~>|==|=|<|>)?\s*v?([0-9][0-9A-Za-z.+_-]*)\s*")


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
        if operator in {">=", ">", "=", "==", "~>"}:
            low = _higher(low, _Edge(version, operator != ">"), scheme)
        if operator in {"<=", "<", "=", "=="}:
            high = _lower(high, _Edge(version, operator != "<"), scheme)
        if operator == "~>":
            high = _lower(high, _Edge(_bumped(version), included=False), scheme)
    found = Interval(low.version, high.version, high.included and bool(high.version))
    if low.version and not low.included:
        found = Interval(found.introduced, found.end, found.end_included, introduced_excluded=True)
    return None if _is_empty(found, scheme) else found


def _bumped(version: str) -> str:
    """The end of `~> version`: its last number but one before any letter, counted up."""
    numbers = re.findall(r"[0-9]+", _LETTER.split(version, maxsplit=1)[0])
    kept = numbers[:-1] or numbers
    return ".".join([*kept[:-1], str(int(kept[-1]) + 1)]) + _FIRST_PRERELEASE


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


class _Cut(NamedTuple):
    """A place between versions: before the version with this key, or after it."""

    key: bytes
    is_after: bool
    version: str = ""


def _cuts(span: Interval, scheme: str) -> tuple[_Cut, _Cut | None]:
    """Where an interval begins and ends; None for without end."""
    low, high = span.introduced, span.end
    begin = _Cut(sort_key(scheme, low) if low else b"", span.introduced_excluded, low)
    return begin, _Cut(sort_key(scheme, high), span.end_included, high) if high else None


def outside(safe: Iterable[Interval], scheme: str) -> tuple[Interval, ...]:
    """All versions that none of the intervals has, as intervals in order."""
    found: list[Interval] = []
    reached = _Cut(b"", is_after=False)
    for begin, end in sorted((_cuts(span, scheme) for span in safe), key=itemgetter(0)):
        if begin[:2] > reached[:2]:
            found.append(Interval(reached.version, begin.version, begin.is_after, reached.is_after))
        if end is None:
            return tuple(found)
        if end[:2] > reached[:2]:
            reached = end
    return (*found, Interval(reached.version, introduced_excluded=reached.is_after))
