"""What SQLite would do on opening a database that was not closed: the -wal and -journal files.

Sources: "The WAL-Mode File Format" and "The Rollback Journal" of SQLite's documentation.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Words = NDArray[np.uint32]
    _Weights = tuple[_Words, _Words, _Words, _Words, tuple[int, int, int]]

_WAL_MAGIC = 0x377F0682  # the lowest bit: checksums over big-endian words
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_MASK = 0xFFFFFFFF
_SIZES = frozenset(512 << shift for shift in range(8))


def committed_frames(log: bytes) -> dict[int, bytes]:
    """Page number -> contents, from every valid frame up to the last commit of a -wal file.

    Nothing from a log that SQLite would not use: bad magic, bad checksum, of an earlier cycle.
    """
    if len(log) < 32:
        return {}
    magic, _, size, _, salt1, salt2, sum1, sum2 = struct.unpack_from(">8I", log)
    if magic & ~1 != _WAL_MAGIC or size not in _SIZES:
        return {}
    order = ">u4" if magic & 1 else "<u4"
    state = _checksum(log[:24], (0, 0), order)
    if state != (sum1, sum2):
        return {}
    pages: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    for at in range(32, len(log) - 24 - size + 1, 24 + size):
        number, commit, one, two, sum1, sum2 = struct.unpack_from(">6I", log, at)
        page = log[at + 24 : at + 24 + size]
        state = _checksum(log[at : at + 8] + page, state, order)
        if (one, two) != (salt1, salt2) or state != (sum1, sum2) or number == 0:
            break
        pending[number] = page
        if commit:
            pages.update(pending)
            pending.clear()
            # A commit may shrink the database: pages past its end are no longer part of it.
            for gone in [n for n in pages if n > commit]:
                del pages[gone]
    return pages


def original_pages(journal: bytes) -> dict[int, bytes]:
    """Page number -> contents before the transaction that a rollback journal is left of."""
    pages: dict[int, bytes] = {}
    at = 0
    while journal[at : at + 8] == _JOURNAL_MAGIC and at + 28 <= len(journal):
        count, nonce, _, sector, size = struct.unpack_from(">5I", journal, at + 8)
        if size not in _SIZES or not 32 <= sector <= 65536 or sector & (sector - 1):
            break
        at += sector
        if count == _MASK:
            count = (len(journal) - at) // (size + 8)
        for _ in range(count):
            if at + size + 8 > len(journal):
                return pages
            number = int.from_bytes(journal[at : at + 4], "big")
            page = journal[at + 4 : at + 4 + size]
            expected = int.from_bytes(journal[at + 4 + size : at + 8 + size], "big")
            if (nonce + sum(page[size - 200 : 0 : -200])) & _MASK != expected:
                return pages
            # The first is the oldest: what stood there when the transaction began.
            pages.setdefault(number, page)
            at += size + 8
        at = -(-at // sector) * sector
    return pages


def _checksum(data: bytes, state: tuple[int, int], order: str) -> tuple[int, int]:
    """The log's running checksum over pairs of 32-bit words.

    Each pair (a, b) does `x += a + y; y += b + x`: linear, so that a whole page is one product with
    the powers of its matrix, modulo 2^32.
    """
    words = np.frombuffer(data, dtype=order).astype(np.uint32)
    x_even, x_odd, y_even, y_odd, (p, q, r) = _weights(len(words) // 2)
    even, odd = words[0::2], words[1::2]
    total_x = int((even * x_even + odd * x_odd).sum(dtype=np.uint32))
    total_y = int((even * y_even + odd * y_odd).sum(dtype=np.uint32))
    x, y = state
    return (p * x + q * y + total_x) & _MASK, (q * x + r * y + total_y) & _MASK


@lru_cache(maxsize=8)
def _weights(pairs: int) -> _Weights:
    """What each word counts in the end, and the matrix's power for the state before."""
    powers = np.zeros((3, pairs), dtype=np.uint32)
    p, q, r = 1, 0, 1  # the symmetric matrix [[p, q], [q, r]]
    for index in range(pairs - 1, -1, -1):
        powers[:, index] = p, q, r
        p, q, r = (p + q) & _MASK, (p + 2 * q) & _MASK, (q + 2 * r) & _MASK
    first, second, third = powers
    return first + second, second, second + third, third, (p, q, r)
