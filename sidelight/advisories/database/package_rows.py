"""The rows of one package, decoded in place as far as needed (see layout.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sidelight.advisories.database import layout
from sidelight.advisories.database.records import numbers
from sidelight.advisories.database.version_spans import Span

if TYPE_CHECKING:
    import mmap

# Numbers of the advisory and of the label, severity rank + 1 (0: none), and the affected spans.
GroupRow: TypeAlias = tuple[int, int, int, list[Span]]


class Hit(NamedTuple):
    """A row that affects a version: numbers of advisory and label, severity, fixed version."""

    advisory: int
    label: int
    severity: int
    fixed: str


class PackageRows:
    """The rows of one package, decoded as far as needed."""

    __slots__ = (
        "_data",
        "_ends",
        "_keys",
        "_ranged",
        "_ranged_count",
        "_row_ends",
        "_rows",
        "_text_ends",
        "_texts",
        "has_streams",
    )

    def __init__(self, data: mmap.mmap, start: int, head: tuple[int, ...]) -> None:
        _key, flags, buckets, rows, ranged = head
        self.has_streams = bool(flags & layout.HAS_STREAMS)
        self._data = data
        table = numbers(3 * buckets).unpack_from(data, start)
        self._ends = table[:buckets]
        self._row_ends = table[buckets : 2 * buckets]
        self._text_ends = table[2 * buckets :]
        self._rows = start + 12 * buckets
        self._keys = self._rows + layout.ROW.size * rows
        self._texts = self._keys + (self._ends[-1] if buckets else 0)
        self._ranged = self._texts + (self._text_ends[-1] if buckets else 0)
        self._ranged_count = ranged

    def hits(self, key: bytes) -> list[Hit]:
        """Return the rows that affect the version with this sort key."""
        hits_found: list[Hit] = []
        data, ends = self._data, self._ends
        low, high = 0, len(ends)
        while low < high:  # the first bucket whose key is above
            middle = (low + high) // 2
            start = ends[middle - 1] if middle else 0
            if data[self._keys + start : self._keys + ends[middle]] <= key:
                low = middle + 1
            else:
                high = middle
        if low < len(ends):
            first = self._row_ends[low - 1] if low else 0
            rows = list(
                layout.ROW.iter_unpack(data[self._rows + layout.ROW.size * first : self._keys])
            )
            begun = first
            for bucket in range(low, len(ends)):
                fixed, end = self._text(bucket), self._row_ends[bucket]
                for advisory, label, severity, _unused in rows[begun - first : end - first]:
                    hits_found.append(Hit(advisory, label, severity, fixed))
                begun = end
        if self._ranged_count:
            self._ranged_hits(key, hits_found)
        return hits_found

    def _text(self, bucket: int) -> str:
        start = self._text_ends[bucket - 1] if bucket else 0
        text = self._data[self._texts + start : self._texts + self._text_ends[bucket]]
        return text.decode()

    def _ranged_hits(self, key: bytes, hits: list[Hit]) -> None:
        for advisory, label, severity, spans in self._ranged_rows():
            for span in spans:
                if span.contains(key):
                    fixed = span.text if span.flags & layout.SHOWN_AS_FIX else ""
                    hits.append(Hit(advisory, label, severity, fixed))
                    break

    def _ranged_rows(self) -> list[GroupRow]:
        data, at = self._data, self._ranged
        rows: list[GroupRow] = []
        for _row in range(self._ranged_count):
            advisory, label, severity, _unused = layout.ROW.unpack_from(data, at)
            (count,) = layout.COUNT.unpack_from(data, at + layout.ROW.size)
            at += layout.ROW.size + layout.COUNT.size
            spans: list[Span] = []
            for _span in range(count):
                flags, *sizes = layout.SPAN.unpack_from(data, at)
                at += layout.SPAN.size
                parts: list[bytes] = []
                for size in sizes:
                    parts.append(data[at : at + size])
                    at += size
                low, high, since, text = parts
                spans.append(Span(low, high, flags, text.decode(), since.decode()))
            rows.append((advisory, label, severity, spans))
        return rows

    def fixes(self) -> list[tuple[int, int, str]]:
        """Return for every row the numbers of advisory and label, and an affected span's end."""
        out: list[tuple[int, int, str]] = []
        rows = list(layout.ROW.iter_unpack(self._data[self._rows : self._keys]))
        first = 0
        for bucket, end in enumerate(self._row_ends):
            text = self._text(bucket)
            out += [(row[0], row[1], text) for row in rows[first:end]]
            first = end
        for advisory, label, _severity, spans in self._ranged_rows():
            out += [(advisory, label, span.text) for span in spans]
        return out

    def rows(self) -> list[GroupRow]:
        """Return every row: advisory, label and severity numbers, and the affected spans."""
        out: list[GroupRow] = []
        for bucket, (end, row_end) in enumerate(zip(self._ends, self._row_ends, strict=True)):
            key_start = self._ends[bucket - 1] if bucket else 0
            key = self._data[self._keys + key_start : self._keys + end]
            span = Span(b"", key, layout.SHOWN_AS_FIX, self._text(bucket))
            first = self._row_ends[bucket - 1] if bucket else 0
            for number in range(first, row_end):
                offset = self._rows + layout.ROW.size * number
                advisory, label, severity, _unused = layout.ROW.unpack_from(self._data, offset)
                out.append((advisory, label, severity, [span]))
        return out + self._ranged_rows()
