"""rpm's sqlite store: the blobs of the table `Packages`, read from the file's own pages.

Sources: "Database File Format" and "The WAL-Mode File Format" of SQLite's documentation. A snapshot
is taken of a running system: committed frames of the -wal file count, and a rollback journal that
was left is played back, as SQLite itself would.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, LimitError, NotRecognisedError, SidelightError
from sidelight.inventory.os import rpm_header, sqlite_recovery
from sidelight.inventory.os.chunks import Chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.inventory.protocol import WantedFile

_MAGIC = b"SQLite format 3\0"
_INTERIOR, _LEAF = 0x05, 0x0D
MAX_RECORD = rpm_header.MAX_BLOB + 64
MAX_COLUMNS = 16  # of a record; the schema's table has five, `Packages` two
MAX_PAGES = 2 << 20  # of one table: 8 GiB of the usual size
_SIDE_LIMIT = 256 << 20


class SqlitePages:
    """A database file's pages, with those of its log over them. Pages count from 1."""

    def __init__(self, file: WantedFile) -> None:
        """Raises NotRecognisedError for another format, DamagedError."""
        self._chunks = Chunks(file)
        self._over: dict[int, memoryview] = {}
        self.check_time = file.check_time
        log = file.sibling(file.path.rpartition("/")[2] + "-wal", _SIDE_LIMIT)
        if log:
            self._over = sqlite_recovery.committed_frames(log, file.check_time)
        else:
            journal = file.sibling(file.path.rpartition("/")[2] + "-journal", _SIDE_LIMIT)
            if journal:
                self._over = sqlite_recovery.original_pages(journal, file.check_time)
        head = bytes(self._over[1][:100]) if 1 in self._over else self._chunks.read(0, 100)
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
        over = self._over.get(number)
        if over is not None:
            page = bytes(over)
        elif 1 <= number <= self.count:
            page = self._chunks.read((number - 1) * self.page_size, self.page_size)
        else:
            raise DamagedError(f"SQLite page {number} lies outside the file")
        if len(page) != self.page_size:
            raise DamagedError(f"SQLite page {number} has {len(page)} bytes")
        return page

    def take(self, number: int, seen: set[int]) -> bytes:
        """A page of an overflow chain, which no other chain and no tree leads to."""
        add_page(number, seen)
        self.check_time()
        return self.get(number)


def add_page(number: int, seen: set[int]) -> None:
    """Note a page that a table leads to. Raises DamagedError the second time, LimitError."""
    if number in seen:
        raise DamagedError(f"SQLite page {number} is met a second time")
    if len(seen) >= MAX_PAGES:
        raise LimitError(f"an SQLite table of more than {MAX_PAGES} pages")
    seen.add(number)


def header_blobs(file: WantedFile) -> Iterator[bytes | SidelightError]:
    """Every header of the table `Packages`, or the fault of what cannot be read.

    Raises NotRecognisedError and DamagedError where there is no such table.
    """
    pages = SqlitePages(file)
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


def _packages_root(pages: SqlitePages) -> int:
    fault: SidelightError | None = None
    for record in records(pages, 1):
        if isinstance(record, SidelightError):
            fault = record
            continue
        try:
            values = columns(record)
        except DamagedError as error:
            fault = error
            continue
        if len(values) > 3 and values[0] == b"table" and values[1] == b"Packages":
            return int.from_bytes(values[3], "big")
    raise DamagedError(f"no table Packages ({fault.what})" if fault else "no table Packages")


def records(pages: SqlitePages, root: int) -> Iterator[bytes | SidelightError]:
    """The payloads of a table's b-tree in the order of their row ids, or the faults between."""
    stack, seen = [root], {root}
    while stack:
        number = stack.pop()
        pages.check_time()
        try:
            page = pages.get(number)
            start = 100 if number == 1 else 0
            kind = page[start]
            if kind == _LEAF:
                yield from _payloads(pages, page, _cells(page, start, 8), seen)
            elif kind == _INTERIOR:
                below = [
                    int.from_bytes(page[cell : cell + 4], "big") for cell in _cells(page, start, 12)
                ]
                below.append(int.from_bytes(page[start + 8 : start + 12], "big"))
                # A page met before is a damaged tree's: read once is enough.
                fresh = [child for child in dict.fromkeys(below) if child not in seen]
                if len(fresh) < len(below):
                    yield DamagedError(f"SQLite page {number} leads to a page met before")
                for child in fresh:
                    add_page(child, seen)
                stack += reversed(fresh)
            else:
                yield DamagedError(f"SQLite page {number} is not a table page (type {kind})")
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


def _payloads(
    pages: SqlitePages, page: bytes, cells: Iterable[int], seen: set[int]
) -> Iterator[bytes | SidelightError]:
    """The whole payload of each cell, or its fault.

    Cells that are larger than their page together lie one in another: the rest is left out.
    """
    room = len(page)
    for cell in cells:
        try:
            size, at = varint(page, cell)
            _, at = varint(page, at)
            local = _local(pages, size)
            room -= local
            if room < 0:
                yield DamagedError("the cells of an SQLite page are larger than the page")
                return
            yield _payload(pages, page[at : at + local + 4], size, local, seen)
        except DamagedError as error:
            yield error


def _local(pages: SqlitePages, size: int) -> int:
    """How many bytes of a payload are in its cell."""
    if size > min(MAX_RECORD, pages.count * pages.page_size):
        raise DamagedError(f"an SQLite record of {size} bytes")
    usable = pages.usable
    if size <= usable - 35:
        return size
    least = (usable - 12) * 32 // 255 - 23
    local = least + (size - least) % (usable - 4)
    return local if local <= usable - 35 else least


def _payload(pages: SqlitePages, cell: bytes, size: int, local: int, seen: set[int]) -> bytes:
    """A payload of which `local` bytes are in the cell, before the number of a chain's first page.

    Raises DamagedError.
    """
    rest = size - local
    if len(cell) < local + (4 if rest else 0):
        raise DamagedError("an SQLite cell reaches over its page")
    parts = [cell[:local]]
    number = int.from_bytes(cell[local : local + 4], "big")
    room = pages.usable - 4
    while rest > 0:
        overflow = pages.take(number, seen)
        parts.append(overflow[4 : 4 + min(rest, room)])
        rest -= room
        number = int.from_bytes(overflow[:4], "big")
    return b"".join(parts)


def columns(record: bytes) -> list[bytes]:
    """A record's values as their bytes (numbers big endian, NULL empty)."""
    size, at = varint(record, 0)
    kinds: list[int] = []
    while at < size:
        if len(kinds) >= MAX_COLUMNS:
            raise DamagedError(f"an SQLite record of more than {MAX_COLUMNS} columns")
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
