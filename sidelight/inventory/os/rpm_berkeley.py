"""rpm's BerkeleyDB store: the values of the hash database `Packages`.

Source: BerkeleyDB's page layouts (db_page.h, hash.h). Every page is looked at in turn, not the
buckets: what matters is each value once. Either byte order, known by the magic number.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, NotRecognisedError, UnsupportedError
from sidelight.inventory.os import rpm_header
from sidelight.inventory.os.chunks import Chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.errors import SidelightError
    from sidelight.inventory.protocol import WantedFile

_HASH_MAGIC = 0x00061561
_PAGE_HEAD = 26  # bytes: lsn 8, number 4, previous 4, next 4, entries 2, free offset 2, level, type
_HASH_UNSORTED, _OVERFLOW, _HASH = 2, 7, 13  # page types
_INLINE, _OFF_PAGE = 1, 3  # item types


class BerkeleyPages:
    """The pages of a hash database, from 0."""

    def __init__(self, file: WantedFile) -> None:
        """Raises NotRecognisedError, UnsupportedError (encrypted), DamagedError."""
        self._chunks = Chunks(file)
        head = self._chunks.read(0, min(72, self._chunks.size))
        if len(head) < 72:
            raise NotRecognisedError("too short for a BerkeleyDB database")
        self.order = next(
            (o for o in "<>" if struct.unpack_from(f"{o}I", head, 12)[0] == _HASH_MAGIC), ""
        )
        if not self.order:
            raise NotRecognisedError("not a BerkeleyDB hash database")
        self.size = struct.unpack_from(f"{self.order}I", head, 20)[0]
        if self.size < 512 or self.size > 65536 or self.size & (self.size - 1):
            raise DamagedError(f"a BerkeleyDB page size of {self.size}")
        if head[24]:
            raise UnsupportedError("an encrypted BerkeleyDB database")
        last = struct.unpack_from(f"{self.order}I", head, 32)[0]
        self.declared = last + 1
        self.count = min(self.declared, self._chunks.size // self.size)
        self._used = bytearray(self.count)  # whether an overflow page is part of a value already

    def take(self, number: int) -> bytes:
        """A page of one value alone. Raises DamagedError where it is part of another one too."""
        page = self.get(number)
        if self._used[number]:
            raise DamagedError(f"BerkeleyDB page {number} is part of two values, or twice of one")
        self._used[number] = 1
        return page

    def get(self, number: int) -> bytes:
        """One page. Raises DamagedError for a number outside the file."""
        if not 0 < number < self.count:
            raise DamagedError(f"BerkeleyDB page {number} lies outside the file")
        return self._chunks.read(number * self.size, self.size)

    def number(self, data: bytes, at: int) -> int:
        """A 32-bit number."""
        value: int = struct.unpack_from(f"{self.order}I", data, at)[0]
        return value

    def half(self, data: bytes, at: int) -> int:
        """A 16-bit number."""
        value: int = struct.unpack_from(f"{self.order}H", data, at)[0]
        return value


def header_blobs(file: WantedFile) -> Iterator[bytes | SidelightError]:
    """Every header in the order of its page, or the fault of one that cannot be read.

    Raises NotRecognisedError, UnsupportedError and DamagedError where nothing can be read.
    """
    pages = BerkeleyPages(file)
    if pages.count < pages.declared:
        what = f"the database has {pages.declared} pages, the file {pages.count}"
        yield DamagedError(what)
    for number in range(1, pages.count):
        file.check_time()
        try:
            page = pages.get(number)
            if page[25] in {_HASH, _HASH_UNSORTED}:
                yield from _values(pages, page)
        except DamagedError as error:
            yield error


def _values(pages: BerkeleyPages, page: bytes) -> Iterator[bytes | SidelightError]:
    """The values of one page's pairs; the pair of key 0 is rpm's counter."""
    count = pages.half(page, 20)
    if _PAGE_HEAD + 2 * count > len(page):
        raise DamagedError(f"a BerkeleyDB page with {count} items")
    offsets = struct.unpack_from(f"{pages.order}{count}H", page, _PAGE_HEAD)
    # Items grow from the page's end down, one below the other.
    if any(above <= below for above, below in pairwise(offsets)):
        raise DamagedError("the items of a BerkeleyDB page lie one in another")
    for index in range(0, count - 1, 2):
        key, at = offsets[index], offsets[index + 1]
        # An item ends where the one before it begins: they grow from the page's end down.
        if key + 5 <= len(page) and page[key] == _INLINE and page[key + 1 : key + 5] == bytes(4):
            continue
        try:
            yield _value(pages, page, key, at)
        except DamagedError as error:
            yield error


def _value(pages: BerkeleyPages, page: bytes, key: int, at: int) -> bytes:
    """The item at `at`, which ends where its key's begins."""
    if not at < key <= len(page):
        raise DamagedError("a BerkeleyDB item lies outside its page")
    if page[at] == _OFF_PAGE:
        return _off_page(pages, page, at)
    if page[at] == _INLINE:
        return page[at + 1 : key]
    raise DamagedError(f"a BerkeleyDB item of type {page[at]}")


def _off_page(pages: BerkeleyPages, page: bytes, at: int) -> bytes:
    """A value on a chain of overflow pages."""
    if at + 12 > len(page):
        raise DamagedError("a BerkeleyDB item lies outside its page")
    number, size = pages.number(page, at + 4), pages.number(page, at + 8)
    if size > min(rpm_header.MAX_BLOB, pages.count * pages.size):
        raise DamagedError(f"a BerkeleyDB value of {size} bytes")
    parts: list[bytes] = []
    have = 0
    while have < size:
        overflow = pages.take(number)
        used = pages.half(overflow, 22)
        if overflow[25] != _OVERFLOW or not 0 < used <= len(overflow) - _PAGE_HEAD:
            raise DamagedError(f"BerkeleyDB page {number} is not a page of a long value")
        parts.append(overflow[_PAGE_HEAD : _PAGE_HEAD + used])
        have += used
        number = pages.number(overflow, 16)
    return b"".join(parts)[:size]
