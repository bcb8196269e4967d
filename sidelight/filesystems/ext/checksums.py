"""CRC32C and CRC16 over many equally long blocks at once, in numpy.

A CRC is linear over GF(2): the register after `a + b` is `advance(crc(a), len(b)) ^ crc(b)`. So
each row is folded in halves, all rows together: the left half's 32-bit words, advanced by the
right half's length, are xored onto the right half. Advancing is a 32x32 bit matrix, applied by two
look-ups of 16 bits. That is half a look-up a byte, and no loop over bytes in Python.

"Raw" means as the kernel's crc32c(): no final inversion; the seed is the register's first value.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CRC32C_REFLECTED = 0x82F63B78
CRC16_REFLECTED = 0xA001
INITIAL = 0xFFFFFFFF
# Rows are folded in pieces of about this many bytes, so that the work stays in the cache.
PIECE = 1 << 20


def crc32c_rows(rows: NDArray[np.uint8], seeds: NDArray[np.uint32] | int) -> NDArray[np.uint32]:
    """Raw CRC32C of each row of a (count, length) array; length at least 4.

    `seeds` is one value or one a row.
    """
    count, length = rows.shape
    width = 4 << max(0, (length - 1) // 4).bit_length()
    out = np.empty(count, dtype=np.uint32)
    step = max(1, PIECE // width)
    for begin in range(0, count, step):
        part = rows[begin : begin + step]
        # Zeros to the left leave a register that starts as zero unchanged.
        padded = np.zeros((len(part), width), dtype=np.uint8)
        padded[:, width - length :] = part
        seed = seeds if isinstance(seeds, int) else seeds[begin : begin + step]
        _xor_seed(padded, width - length, seed)
        out[begin : begin + step] = _fold(padded.view("<u4"))
    return out


def crc32c(data: bytes, seed: int = INITIAL) -> int:
    """Raw CRC32C of one message of any length."""
    if len(data) < 4:
        table = _bytewise()
        for byte in data:
            seed = int(table[(seed ^ byte) & 0xFF]) ^ (seed >> 8)
        return seed
    return int(crc32c_rows(np.frombuffer(data, dtype=np.uint8)[None, :], seed)[0])


def crc16_rows(rows: NDArray[np.uint8], seed: int) -> NDArray[np.uint16]:
    """CRC16 (polynomial 0x8005, reflected) of each row, as group descriptors use it."""
    table = _crc16_table()
    register = np.full(len(rows), seed, dtype=np.uint16)
    for column in rows.T:
        register = table[(register ^ column) & 0xFF] ^ (register >> 8)
    return register


def _xor_seed(padded: NDArray[np.uint8], start: int, seed: NDArray[np.uint32] | int) -> None:
    """A register that starts as `seed` equals one of zero with the seed on the first 4 bytes."""
    seeds = np.broadcast_to(np.asarray(seed, dtype="<u4"), (len(padded),))
    padded[:, start : start + 4] ^= np.ascontiguousarray(seeds).view(np.uint8).reshape(-1, 4)


def _fold(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Fold (count, 2**n) words to the register after them."""
    level = words.shape[1].bit_length() - 1
    while level > 0:
        level -= 1
        half = 1 << level
        words = _advance(words[:, :half], level) ^ words[:, half:]
    out: NDArray[np.uint32] = _advance(words, 0)[:, 0]
    return out


def _advance(words: NDArray[np.uint32], level: int) -> NDArray[np.uint32]:
    """Registers after 4 * 2**level zero bytes more."""
    low, high = _tables(level)
    moved: NDArray[np.uint32] = low[words & 0xFFFF] ^ high[words >> 16]
    return moved


@lru_cache(maxsize=32)
def _tables(level: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    columns = _columns(level)
    return _spread(columns[:16]), _spread(columns[16:])


def _columns(level: int) -> list[int]:
    """The matrix that advances by 4 * 2**level bytes: where each of the 32 bits goes."""
    columns = []
    for bit in range(32):
        register = 1 << bit
        for _ in range(32):
            register = (register >> 1) ^ (CRC32C_REFLECTED if register & 1 else 0)
        columns.append(register)
    for _ in range(level):
        columns = [_apply(columns, column) for column in columns]
    return columns


def _apply(columns: list[int], register: int) -> int:
    result = 0
    for bit, column in enumerate(columns):
        if register >> bit & 1:
            result ^= column
    return result


def _spread(columns: list[int]) -> NDArray[np.uint32]:
    """The image of every 16-bit value."""
    table = np.zeros(1 << len(columns), dtype=np.uint32)
    for bit, column in enumerate(columns):
        table[1 << bit : 2 << bit] = table[: 1 << bit] ^ np.uint32(column)
    return table


@lru_cache(maxsize=1)
def _bytewise() -> list[int]:
    return [_byte_register(byte, CRC32C_REFLECTED) for byte in range(256)]


@lru_cache(maxsize=1)
def _crc16_table() -> NDArray[np.uint16]:
    return np.array([_byte_register(b, CRC16_REFLECTED) for b in range(256)], dtype=np.uint16)


def _byte_register(byte: int, polynomial: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (polynomial if byte & 1 else 0)
    return byte
