"""Affected versions as intervals of sort keys, as the database stores them for a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.advisories.database.layout import (
    END_INCLUDED,
    INTRODUCED_EXCLUDED,
    NEVER,
    SHOWN_AS_FIX,
)
from sidelight.errors import FormatError
from sidelight.versions import end_key, scheme_of, sort_key

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
        """Return whether a version with this key lies within the span."""
        if key < self.introduced or (key == self.introduced and self.flags & INTRODUCED_EXCLUDED):
            return False
        return key < self.end or (key == self.end and bool(self.flags & END_INCLUDED))


def spans(row: Affected) -> tuple[list[Span], list[str]]:
    """Return the row's intervals and single versions as sorted spans, and versions without order.

    Raises FormatError if the ecosystem refuses an interval's bound: such a row would match
    wrongly.
    """
    scheme = scheme_of(row.ecosystem)
    row_spans: list[Span] = []
    for interval in row.intervals:
        flags = END_INCLUDED * interval.end_included
        flags |= INTRODUCED_EXCLUDED * interval.introduced_excluded
        if interval.end and not interval.end_included:
            flags |= SHOWN_AS_FIX
        begin_key = end_key if interval.introduced_excluded else sort_key
        last_key = end_key if interval.end_included else sort_key
        row_spans.append(
            Span(
                begin_key(scheme, interval.introduced) if interval.introduced else b"",
                last_key(scheme, interval.end) if interval.end else NEVER,
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
        if not any(span.contains(key) for span in row_spans):
            row_spans.append(Span(key, end_key(scheme, version), END_INCLUDED, version, version))
    return sorted(set(row_spans)), refused


def is_plain(row_spans: list[Span]) -> bool:
    """Return whether the row is one interval from the beginning to a fix, or without an end."""
    return (
        len(row_spans) == 1
        and not row_spans[0].introduced
        and not row_spans[0].flags & END_INCLUDED
    )
