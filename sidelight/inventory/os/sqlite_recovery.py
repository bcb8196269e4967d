"""What SQLite would do on opening a database that was not closed: the -wal and -journal files.

Sources: "The WAL-Mode File Format" and "The Rollback Journal" of SQLite's documentation.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    _Words = NDArray[np.uint32]
    _Weights = tuple[_Words, _Words, _Words, _Words, tuple[int, int, int]]

_WAL_MAGIC = 0x377F0682  # the lowest bit: checksums over big-endian words
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_MASK = 0xFFFFFFFF
_SIZES = frozenset(512 << shift for shift in range(8))


def committed_frames(
    log: bytes, check_time: Callable[[], None] = lambda: None
) -> dict[int, memoryview]:
    """Page number -> contents, from every valid frame up to the last commit of a -wal file.

    Nothing from a log that SQLite would not use: bad magic, bad checksum, of an earlier cycle.
    The contents are views of the log. Raises what `check_time` does.
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
    frames: list[tuple[int, int, int]] = []  # page number, database's size after it, offset
    committed = 0
    for at in range(32, len(log) - 24 - size + 1, 24 + size):
        check_time()
        number, commit, one, two, sum1, sum2 = struct.unpack_from(">6I", log, at)
        page = log[at + 24 : at + 24 + size]
        state = _checksum(log[at : at + 8] + page, state, order)
        if (one, two) != (salt1, salt2) or state != (sum1, sum2) or number == 0:
            break
        frames.append((number, commit, at + 24))
        if commit:
            committed = len(frames)
    return _last_frames(frames[:committed], memoryview(log), size)


def _last_frames(
    frames: list[tuple[int, int, int]], log: memoryview, size: int
) -> dict[int, memoryview]:
    """The last frame of each page, less those past the end that a later commit gave the database.

    From the last frame to the first, each is looked at once: a commit may shrink the database, and
    what lay past its end then is not part of it, unless it was written again later.
    """
    pages: dict[int, memoryview] = {}
    end = 1 << 32
    for number, commit, at in reversed(frames):
        end = min(end, commit or end)
        if number <= end and number not in pages:
            pages[number] = log[at : at + size]
    return pages


def original_pages(
    journal: bytes, check_time: Callable[[], None] = lambda: None
) -> dict[int, memoryview]:
    """Page number -> contents before the transaction that a rollback journal is left of.

    The contents are views of the journal. Raises what `check_time` does.
    """
    view = memoryview(journal)
    pages: dict[int, memoryview] = {}
    at = 0
    while journal[at : at + 8] == _JOURNAL_MAGIC and at + 28 <= len(journal):
        check_time()
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
            # The first is the oldest: what was there when the transaction began.
            pages.setdefault(number, view[at + 4 : at + 4 + size])
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
