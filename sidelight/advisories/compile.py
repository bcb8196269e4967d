"""Affected versions as keys: what the database keeps of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.advisories.layout import (
    END_INCLUDED,
    INTRODUCED_EXCLUDED,
    NEVER,
    SHOWN_AS_FIX,
)
from sidelight.errors import FormatError
from sidelight.versions import scheme_of, sort_key

if TYPE_CHECKING:
    from sidelight.model import Affected


class Span(NamedTuple):
    """An interval of sort keys; `since` and `text` are its bounds as the feed writes them."""

    introduced: bytes
    end: bytes
    flags: int
    text: str
    since: str = ""

    def contains(self, key: bytes) -> bool:
        """Whether a version with this key lies within."""
        if key < self.introduced or (key == self.introduced and self.flags & INTRODUCED_EXCLUDED):
            return False
        return key < self.end or (key == self.end and bool(self.flags & END_INCLUDED))


def spans(row: Affected) -> tuple[list[Span], list[str]]:
    """The row's intervals and single versions as sorted spans, and the versions without a place.

    Raises FormatError where an interval's bound is refused by the ecosystem: such a row would
    match wrongly.
    """
    scheme = scheme_of(row.ecosystem)
    found: list[Span] = []
    for interval in row.intervals:
        flags = END_INCLUDED * interval.end_included
        flags |= INTRODUCED_EXCLUDED * interval.introduced_excluded
        if interval.end and not interval.end_included:
            flags |= SHOWN_AS_FIX
        found.append(
            Span(
                sort_key(scheme, interval.introduced) if interval.introduced else b"",
                sort_key(scheme, interval.end) if interval.end else NEVER,
                flags,
                interval.end,
                interval.introduced,
            )
        )
    refused: list[str] = []
    for version in row.versions:
        try:
            key = sort_key(scheme, version)
        except FormatError:
            refused.append(version)
            continue
        if not any(span.contains(key) for span in found):
            found.append(Span(key, key, END_INCLUDED, version, version))
    return sorted(set(found)), refused


def is_plain(found: list[Span]) -> bool:
    """Whether the row is one interval from the very beginning to a fix, or to no end."""
    return len(found) == 1 and not found[0].introduced and not found[0].flags & END_INCLUDED
