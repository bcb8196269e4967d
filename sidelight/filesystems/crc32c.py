"""CRC-32C (Castagnoli), vectorised: many blocks of equal length at once.

The reflected polynomial is 0x82F63B78 (RFC 3720, appendix B.4; the checksum of XFS v5, of ext4's
metadata_csum and of jbd2). Both functions work on the raw register: the caller gives the seed
(usually 0xFFFFFFFF) and inverts the result where its format does (XFS does, ext4 does not).

A CRC is linear over GF(2), which is all that is used here: a seed may be XORed into the first four
bytes, zeros in front change nothing from a zero register, and the register of a whole is the
left part's register moved over the right part's length, XORed with the right part's own.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint32]
    Bytes = npt.NDArray[np.uint8]

POLYNOMIAL = 0x82F63B78

# Bytes that one lane takes in sequence, before lanes are folded together: long lanes cost the least
# for each byte, short ones the fewest calls, which is what counts for little data.
LANE = 128
SHORT_LANE = 32
LITTLE = 192 << 10
# Bytes worked on at once: enough that calls cost little beside what they do.
SLAB = 4 << 20
# Below this many bytes a plain loop is quicker than setting up the lanes.
SHORT = 64


def _byte_table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        register = index
        for _ in range(8):
            register = (register >> 1) ^ (POLYNOMIAL if register & 1 else 0)
        table.append(register)
    return tuple(table)


_TABLE = _byte_table()
# Which half of a word in memory is its low one.
_LOWER = 0 if sys.byteorder == "little" else 1


def _spread(images: list[int]) -> Words:
    """The table of a linear map of 16 bits, from the images of its 16 basis vectors."""
    table = np.zeros(1, np.uint32)
    for image in images:
        table = np.concatenate((table, table ^ np.uint32(image)))
    return table


@lru_cache(maxsize=64)
def _shift(length: int) -> tuple[Words, Words]:
    """Tables that move a register over `length` zero bytes: for its low and its high 16 bits."""
    if length == 4:
        images = []
        for bit in range(32):
            register = 1 << bit
            for _ in range(4):
                register = (register >> 8) ^ _TABLE[register & 0xFF]
            images.append(register)
    else:
        low, high = _shift(length // 2)
        basis = np.left_shift(np.uint32(1), np.arange(32, dtype=np.uint32))
        once = low[basis & 0xFFFF] ^ high[basis >> 16]
        images = (low[once & 0xFFFF] ^ high[once >> 16]).tolist()
    return _spread(images[:16]), _spread(images[16:])


def _short(data: bytes, register: int) -> int:
    table = _TABLE
    for byte in data:
        register = (register >> 8) ^ table[(register ^ byte) & 0xFF]
    return register


def _move(state: Words, tables: tuple[Words, Words]) -> Words:
    return tables[0].take(state & 0xFFFF) ^ tables[1].take(state >> 16)


@lru_cache(maxsize=64)
def _jump(length: int) -> tuple[Words, Words]:
    """As _shift, for any length of at least one byte."""
    images = [_advance_one(1 << bit, length) for bit in range(32)]
    return _spread(images[:16]), _spread(images[16:])


@lru_cache(maxsize=256)
def _advance_one(register: int, zeros: int) -> int:
    """A register after `zeros` zero bytes."""
    for _ in range(zeros % 4):
        register = (register >> 8) ^ _TABLE[register & 0xFF]
    length = 4
    while length <= zeros:
        if zeros & length:
            low, high = _shift(length)
            register = int(low[register & 0xFFFF]) ^ int(high[register >> 16])
        length *= 2
    return register


def _in_sequence(columns: Words) -> Words:
    """Zero-seeded registers of lanes, shape (words, lanes): what costs most of all."""
    low, high = _shift(4)
    state: Words = np.zeros(columns.shape[1], np.uint32)
    halves = state.view(np.uint16)
    lower, upper = halves[_LOWER::2], halves[1 - _LOWER :: 2]
    for column in columns:
        np.bitwise_xor(state, column, out=state)
        np.bitwise_xor(low.take(lower), high.take(upper), out=state)
    return state


def _lanes(words: Words) -> Words:
    """Zero-seeded registers of rows, shape (rows, a power of two of words)."""
    rows, width = words.shape
    little = words.nbytes <= LITTLE
    lane = min(width, (SHORT_LANE if little else LANE) // 4)
    lanes = words.reshape(-1, lane)
    busy = None
    if not little and lane > 1:
        # Metadata is full of zeros, and a lane of zeros has the register zero.
        busy = np.bitwise_or.reduce(lanes.view(np.uint64), axis=1) != 0
        lanes = lanes[busy]
    # Column by column, so transposed once: each step then reads a contiguous run.
    state = _in_sequence(np.ascontiguousarray(lanes.T))
    if busy is not None:
        some, state = state, np.zeros(len(busy), np.uint32)
        state[busy] = some
    length = lane * 4
    state = state.reshape(rows, -1)
    while state.shape[1] > 1:
        state = _move(state[:, 0::2], _shift(length)) ^ state[:, 1::2]
        length *= 2
    return state.reshape(-1)


def crc32c(data: bytes, crc: int = 0xFFFFFFFF) -> int:
    """The raw register after `data`, from the seed `crc`, without the final inversion."""
    if len(data) < SHORT:
        return _short(data, crc)
    return int(crc32c_many(np.frombuffer(data, np.uint8).reshape(1, -1), crc)[0])


def crc32c_many(array: Bytes, crc: int | Words = 0xFFFFFFFF) -> Words:
    """The raw registers of the rows of `array`, shape (n, length), seeded by `crc`.

    `crc` is one seed or a seed for each row. Not inverted at the end. The result has shape (n,).
    """
    rows, length = array.shape
    if length < 4:
        seeds = np.broadcast_to(np.asarray(crc, np.uint32), (rows,))
        return np.array(
            [_short(row.tobytes(), int(seed)) for row, seed in zip(array, seeds, strict=True)],
            np.uint32,
        )
    width = _padded(length)
    result = np.empty(rows, np.uint32)
    step = max(1, SLAB // width)
    for begin in range(0, rows, step):
        part = array[begin : begin + step]
        if width != length or not part.flags.c_contiguous:
            padded = np.zeros((len(part), width), np.uint8)
            padded[:, width - length :] = part
            part = padded
        result[begin : begin + step] = _lanes(part.view("<u4"))
    result ^= np.uint32(_advance_one(crc, length)) if isinstance(crc, int) else advance(crc, length)
    return result


def advance(registers: Words, zeros: int) -> Words:
    """Registers after `zeros` zero bytes.

    Four bytes that stand `zeros` before the end (their own four included) add just this of
    themselves, as a little-endian word, to a whole's register: so a field can be taken out of a
    checksum without a copy of the data.
    """
    moved = np.asarray(registers, np.uint32)
    return _move(moved, _jump(zeros)) if zeros else moved


def _padded(length: int) -> int:
    """The next power of two of bytes: leading zeros are free of meaning, and folding is simple."""
    return max(4, 1 << (length - 1).bit_length())
