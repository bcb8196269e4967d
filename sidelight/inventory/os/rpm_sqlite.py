"""rpm's sqlite store: the blobs of the table `Packages`, read from the file's own pages.

Sources: "Database File Format" and "The WAL-Mode File Format" of SQLite's documentation. A snapshot
is taken of a running system: committed frames of the -wal file count, and a rollback journal that
was left is played back, as SQLite itself would.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, LimitError, NotRecognisedError, SidelightError
from sidelight.inventory.os import sqlite_recovery
from sidelight.inventory.os.chunks import Chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.protocol import WantedFile

_MAGIC = b"SQLite format 3\0"
_INTERIOR, _LEAF = 0x05, 0x0D
MAX_RECORD = 256 << 20
_SIDE_LIMIT = 512 << 20


class Pages:
    """A database file's pages, with those of its log over them. Pages count from 1."""

    def __init__(self, file: WantedFile) -> None:
        """Raises NotRecognisedError for another format, DamagedError."""
        self._chunks = Chunks(file)
        self._over: dict[int, bytes] = {}
        log = file.sibling(file.path.rpartition("/")[2] + "-wal", _SIDE_LIMIT)
        if log:
            self._over = sqlite_recovery.committed_frames(log)
        else:
            journal = file.sibling(file.path.rpartition("/")[2] + "-journal", _SIDE_LIMIT)
            if journal:
                self._over = sqlite_recovery.original_pages(journal)
        head = self._over[1][:100] if 1 in self._over else self._chunks.read(0, 100)
        if not head.startswith(_MAGIC):
            raise NotRecognisedError("not an SQLite database")
        size = int.from_bytes(head[16:18], "big")
        self.page_size = 65536 if size == 1 else size
        if self.page_size < 512 or self.page_size & (self.page_size - 1):
            raise DamagedError(f"an SQLite page size of {self.page_size}")
        self.usable = self.page_size - head[20]
        if self.usable < 480:
            raise DamagedError(f"{head[20]} bytes reserved of each SQLite page")
        self.count = max(self._chunks.size // self.page_size, max(self._over, default=0))

    def get(self, number: int) -> bytes:
        """One page. Raises DamagedError for a number outside the file."""
        page = self._over.get(number)
        if page is None:
            if not 1 <= number <= self.count:
                raise DamagedError(f"SQLite page {number} lies outside the file")
            page = self._chunks.read((number - 1) * self.page_size, self.page_size)
        if len(page) != self.page_size:
            raise DamagedError(f"SQLite page {number} has {len(page)} bytes")
        return page


def header_blobs(file: WantedFile) -> Iterator[bytes | SidelightError]:
    """Every header of the table `Packages`, or the fault of what cannot be read.

    Raises NotRecognisedError and DamagedError where there is no such table.
    """
    pages = Pages(file)
    for record in records(pages, _packages_root(pages)):
        if isinstance(record, SidelightError):
            yield record
            continue
        try:
            values = columns(record)
        except DamagedError as error:
            yield error
            continue
        if len(values) > 1 and values[1]:
            yield values[1]


def _packages_root(pages: Pages) -> int:
    fault: SidelightError | None = None
    for record in records(pages, 1):
        if isinstance(record, SidelightError):
            fault = record
            continue
        values = columns(record)
        if len(values) > 3 and values[0] == b"table" and values[1] == b"Packages":
            return int.from_bytes(values[3], "big")
    raise DamagedError(f"no table Packages ({fault.what})" if fault else "no table Packages")


def records(pages: Pages, root: int) -> Iterator[bytes | SidelightError]:
    """The payloads of a table's b-tree in the order of their row ids, or the faults between."""
    stack, seen = [root], {root}
    while stack:
        number = stack.pop()
        try:
            page = pages.get(number)
            start = 100 if number == 1 else 0
            kind = page[start]
            if kind == _LEAF:
                for cell in _cells(page, start, 8):
                    yield _payload(pages, page, cell)
            elif kind == _INTERIOR:
                below = [
                    int.from_bytes(page[cell : cell + 4], "big") for cell in _cells(page, start, 12)
                ]
                below.append(int.from_bytes(page[start + 8 : start + 12], "big"))
                # A page met before is a damaged tree's: read once is enough.
                fresh = [child for child in dict.fromkeys(below) if child not in seen]
                if len(fresh) < len(below):
                    yield DamagedError(f"SQLite page {number} leads to a page met before")
                seen.update(fresh)
                stack += reversed(fresh)
            else:
                yield DamagedError(f"SQLite page {number} is no table page (type {kind})")
        except SidelightError as error:
            yield error
            if isinstance(error, LimitError):
                return


def _cells(page: bytes, start: int, header: int) -> tuple[int, ...]:
    """Offsets of a page's cells."""
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    begin = start + header
    if begin + 2 * count > len(page):
        raise DamagedError(f"an SQLite page with {count} cells")
    return struct.unpack_from(f">{count}H", page, begin)


def _payload(pages: Pages, page: bytes, cell: int) -> bytes | SidelightError:
    """One cell's whole payload, or its fault."""
    try:
        size, cell = varint(page, cell)
        _, cell = varint(page, cell)
        return _spilled(pages, page, cell, size)
    except DamagedError as error:
        return error


def _spilled(pages: Pages, page: bytes, at: int, size: int) -> bytes:
    """`size` bytes from `at` on, of which those that do not fit the page lie on a chain."""
    if size > min(MAX_RECORD, pages.count * pages.page_size):
        raise DamagedError(f"an SQLite record of {size} bytes")
    local, usable = size, pages.usable
    if size > usable - 35:
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        if local > usable - 35:
            local = least
    if at + local + (4 if local < size else 0) > len(page):
        raise DamagedError("an SQLite cell reaches over its page")
    parts = [page[at : at + local]]
    rest = size - local
    number = int.from_bytes(page[at + local : at + local + 4], "big")
    while rest > 0:
        overflow = pages.get(number)
        parts.append(overflow[4 : 4 + min(rest, usable - 4)])
        rest -= usable - 4
        number = int.from_bytes(overflow[:4], "big")
    return b"".join(parts)


def columns(record: bytes) -> list[bytes]:
    """A record's values as their bytes (numbers big endian, NULL empty)."""
    size, at = varint(record, 0)
    kinds: list[int] = []
    while at < size:
        kind, at = varint(record, at)
        kinds.append(kind)
    at, values = size, []
    for kind in kinds:
        length = _LENGTHS[kind] if kind < 12 else (kind - 12) // 2
        if at + length > len(record):
            raise DamagedError("an SQLite record is shorter than its columns")
        values.append(_ONE if kind == 9 else record[at : at + length])
        at += length
    return values


def varint(data: bytes, at: int) -> tuple[int, int]:
    """An SQLite variable-length integer, and the offset after it. Raises DamagedError."""
    value = 0
    for index in range(9):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        if index == 8:
            return value << 8 | byte, at
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    raise DamagedError("an SQLite number reaches over its end")


_LENGTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)
_ONE = b"\x01"
