"""Write the database's file: sections in their order, then an atomic rename into place."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from array import array
from contextlib import suppress
from itertools import groupby, starmap
from typing import TYPE_CHECKING, NamedTuple, Self

from sidelight.advisories.database import layout
from sidelight.advisories.database.version_spans import Span, is_plain
from sidelight.errors import DatabaseError, LimitError
from sidelight.user_files import behind_links

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from sidelight.advisories.database.build_records import DatabaseContents

_SHORT = 0xFFFF


class Row(NamedTuple):
    """One advisory's entry on one package. `label` is (stream, module, state)."""

    advisory: int
    label: tuple[str, str, str]
    severity: int  # rank + 1, 0 for none
    spans: tuple[Span, ...]


class Labels:
    """Numbers for labels, in the order of their first use."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, str]] = []
        self._numbers: dict[tuple[str, str, str], int] = {}

    def number(self, label: tuple[str, str, str]) -> int:
        """Return the label's number. Raises LimitError for more labels than a u16 can number."""
        number_of_label = self._numbers.get(label)
        if number_of_label is None:
            number_of_label = self._numbers[label] = len(self.all)
            self.all.append(label)
            if number_of_label > _SHORT:
                raise LimitError("more than 65536 kinds of streams and modules")
        return number_of_label


class Writer:
    """Writes a database. Leaving the `with` block without `finish` removes the partial file."""

    def __init__(self, out: Path) -> None:
        """Raises UsageError for a link to nowhere; the file behind another link is replaced."""
        self._out = out = behind_links(out)
        self._path = out.with_name(f".{out.name}.{os.getpid()}.part")
        self._sections: dict[str, tuple[int, int]] = {}
        self._offsets: dict[str, array[int]] = {}
        self._group_hashes = array("I")
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        try:
            self._file = self._path.open("wb")
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise DatabaseError(what, where=str(self._out)) from error
        self._file.write(bytes(layout.HEADER_SIZE))
        self._at = layout.HEADER_SIZE
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # What is still buffered does not fit either on a full disk, and is deleted.
            with suppress(OSError):
                self._file.close()
        finally:
            self._path.unlink(missing_ok=True)

    def _write(self, data: bytes | bytearray) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise DatabaseError(what, where=str(self._out)) from error
        self._digest.update(data)
        self._at += len(data)

    def records(self, section: str, records: Iterable[bytes]) -> None:
        """Write a section of records, one after the other, and store their offsets."""
        start = self._at
        offsets = array("Q")
        for record in records:
            offsets.append(self._at)
            self._write(record)
        offsets.append(self._at)
        self._offsets[section] = offsets
        self._sections[section] = (start, self._at - start)

    def groups(self, groups: Iterable[tuple[bytes, list[Row]]], labels: Labels) -> None:
        """Write the groups, which must be sorted by key."""

        def encoded() -> Iterator[bytes]:
            for key, rows in groups:
                self._group_hashes.append(zlib.crc32(key))
                yield encode_group(key, rows, labels)

        self.records("groups", encoded())

    def plain(self, section: str, data: bytes | bytearray) -> tuple[int, int]:
        """Write a section without records; return its offset and size."""
        self._pad()
        place = self._sections[section] = (self._at, len(data))
        self._write(data)
        return place

    def finish(self, labels: Labels, info: DatabaseContents) -> tuple[int, str]:
        """Write index and header, sync, and rename into place; return size and SHA-256."""
        index = hashlib.sha256()
        for name in ("vulnerabilities", "advisories", "groups"):
            singular = {"vulnerabilities": "vulnerability", "advisories": "advisory"}
            section = f"{singular.get(name, 'group')}_offsets"
            self._section(section, self._offsets[name].tobytes(), index)
        self._section("slots", hash_table(self._group_hashes), index)
        self._section("labels", _json(labels.all), index)
        self._section("info", _json(info), index)
        offsets = [number for name in layout.SECTIONS for number in self._sections[name]]
        header = layout.HEADER.pack(layout.MAGIC, layout.SCHEMA, 0, self._at, *offsets)
        index_digest = hashlib.sha256(header + index.digest()).digest()
        whole = self._digest.digest()
        try:
            self._file.seek(0)
            self._file.write(header + index_digest + whole)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._path.replace(self._out)
        except OSError as error:
            what = f"cannot be put in place: {error.strerror}"
            raise DatabaseError(what, where=str(self._out)) from error
        _sync_directory(self._out.parent)
        return self._at, whole.hex()

    def _section(self, name: str, data: bytes, index: hashlib._Hash) -> None:
        self.plain(name, data)
        index.update(data)

    def _pad(self) -> None:
        """Fill up to eight bytes, so that arrays of u64 can be read in place."""
        self._write(bytes(-self._at % 8))


def _json(value: object) -> bytes:
    """As build_records.pack, with sorted names: unencodable characters become `?`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "replace")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_table(hashes: array[int]) -> bytes:
    """Build the table of layout.py from the CRC-32 of each group's key: at most half full."""
    size = 16
    while size < 2 * len(hashes):
        size *= 2
    slots = array("I", bytes(4 * size))
    for number, value in enumerate(hashes):
        slot = value & (size - 1)
        while slots[slot]:
            slot = (slot + 1) & (size - 1)
        slots[slot] = number + 1
    return slots.tobytes()


def encode_group(key: bytes, rows: list[Row], labels: Labels) -> bytes:
    """Encode one group. Raises LimitError for a version or name longer than 64 KiB."""
    plain = [row for row in rows if is_plain(list(row.spans))]
    ranged = [row for row in rows if not is_plain(list(row.spans))]
    plain.sort(key=lambda row: (row.spans[0].end, row.spans[0].text, row))
    ends, counts, texts = array("I"), array("I"), array("I")
    packed, key_bytes, text_bytes = bytearray(), bytearray(), bytearray()
    number = 0
    for (end, text), bucket in groupby(
        plain, key=lambda row: (row.spans[0].end, row.spans[0].text)
    ):
        for row in bucket:
            packed += _row(row, labels)
            number += 1
        key_bytes += end
        text_bytes += text.encode()
        ends.append(len(key_bytes))
        counts.append(number)
        texts.append(len(text_bytes))
    if len(key) > _SHORT:
        raise LimitError(f"a name of {len(key)} bytes")
    flags = layout.HAS_STREAMS if any(row.label[0] for row in rows) else 0
    head = layout.GROUP.pack(len(key), flags, len(ends), number, len(ranged))
    table = ends.tobytes() + counts.tobytes() + texts.tobytes()
    tail = b"".join(starmap(_ranged, ((row, labels) for row in sorted(ranged))))
    return head + key + table + bytes(packed + key_bytes + text_bytes) + tail


def _row(row: Row, labels: Labels) -> bytes:
    return layout.ROW.pack(row.advisory, labels.number(row.label), row.severity, 0)


def _ranged(row: Row, labels: Labels) -> bytes:
    if len(row.spans) > _SHORT:
        raise LimitError(f"{len(row.spans)} intervals of one package in one advisory")
    out = bytearray(_row(row, labels) + layout.COUNT.pack(len(row.spans)))
    for span in row.spans:
        since, text = span.since.encode(), span.text.encode()
        parts = span.introduced, span.end, since, text
        try:
            sizes = layout.SPAN.pack(span.flags, *map(len, parts))
        except struct.error as error:
            raise LimitError("a version longer than 64 KiB") from error
        out += sizes + b"".join(parts)
    return bytes(out)
