"""rpm's stores made small: a header, a BerkeleyDB hash database, an ndb and an SQLite database."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = 512


def header(name: str, entries: Sequence[tuple[int, int, int]] = (), data: bytes = b"") -> bytes:
    """A header of a name, version 1 and release 2; `entries`: (tag, type, count) of `data`."""
    first = name.encode() + b"\0" + b"1\0" + b"2\0"
    after = len(name) + 1
    index = [(1000, 6, 0, 1), (1001, 6, after, 1), (1002, 6, after + 2, 1)]
    index += [(tag, kind, len(first), count) for tag, kind, count in entries]
    body = first + data
    packed = b"".join(struct.pack(">4I", *entry) for entry in index)
    return struct.pack(">II", len(index), len(body)) + packed + body


def berkeley(pages: Sequence[bytes]) -> bytes:
    """A hash database of these pages after its first."""
    meta = bytearray(PAGE)
    struct.pack_into("<I", meta, 12, 0x00061561)
    struct.pack_into("<I", meta, 20, PAGE)
    struct.pack_into("<I", meta, 32, len(pages))
    return bytes(meta) + b"".join(page.ljust(PAGE, b"\0") for page in pages)


def hash_page(items: Sequence[bytes]) -> bytes:
    """A page of pairs, key and value in turn, from its end down."""
    page = bytearray(PAGE)
    struct.pack_into("<H", page, 20, len(items))
    page[25] = 13
    at = PAGE
    for number, item in enumerate(items):
        at -= len(item)
        page[at : at + len(item)] = item
        struct.pack_into("<H", page, 26 + 2 * number, at)
    return bytes(page)


def off_page(number: int, size: int) -> bytes:
    """An item whose value begins on an overflow page."""
    return struct.pack("<B3xII", 3, number, size)


def overflow_page(following: int, data: bytes) -> bytes:
    """A page of a chain."""
    page = bytearray(PAGE)
    struct.pack_into("<I", page, 16, following)
    struct.pack_into("<H", page, 22, len(data))
    page[25] = 7
    page[26 : 26 + len(data)] = data
    return bytes(page)


KEY = b"\x01\x07\0\0\0"  # of any package but the counter


def ndb(blobs: Sequence[bytes], slots: Sequence[tuple[int, int]] = ()) -> bytes:
    """Blobs one after another; `slots`: further (package index, number of a blob)."""
    table, body, places = [], b"", []
    for index, blob in enumerate(blobs, 1):
        room = -(-(16 + len(blob) + 12) // 16) * 16
        head = struct.pack("<4sIII", b"BlbS", index, 1, len(blob)) + blob
        head = head.ljust(room - 12, b"\0")
        tail = struct.pack("<II4s", zlib.adler32(head), len(blob), b"BlbE")
        places.append((256 + len(body) // 16, room // 16))
        table.append((index, *places[-1]))
        body += head + tail
    table += [(index, *places[number]) for index, number in slots]
    packed = b"".join(struct.pack("<4sIII", b"Slot", *slot) for slot in table)
    start = struct.pack("<4s7I", b"RpmP", 0, 1, 1, len(table) + 1, 0, 0, 0)
    empty = struct.pack("<4sIII", b"Slot", 0, 0, 0)
    slots_left = (4096 - len(start) - len(packed)) // 16
    return start + packed + empty * slots_left + body


def sqlite(blobs: Sequence[bytes]) -> bytes:
    """A database whose table `Packages` has these blobs, in pages of 512 bytes."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(f"PRAGMA page_size = {PAGE}")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    connection.executemany("INSERT INTO Packages VALUES (?, ?)", enumerate(blobs, 1))
    data = connection.serialize()
    connection.close()
    return data
