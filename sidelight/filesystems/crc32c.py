"""CRC-32C (Castagnoli) by google-crc32c, which uses the processor's own instruction for it.

The checksum of XFS v5, of ext4's metadata_csum and of jbd2 (RFC 3720, appendix B.4). All here works
on the raw register: the caller gives the seed (usually 0xFFFFFFFF) and inverts the result where its
format does (XFS does, ext4 does not).
"""

from __future__ import annotations

import sys
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
from google_crc32c import extend

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Words = npt.NDArray[np.uint32]
    Bytes = npt.NDArray[np.uint8]

POLYNOMIAL = 0x82F63B78
# The library takes and gives inverted registers.
_INVERTED = 0xFFFFFFFF
_ALL = np.uint32(_INVERTED)


def crc32c(data: bytes | bytearray, crc: int = 0xFFFFFFFF) -> int:
    """The raw register after `data`, from the seed `crc`, without the final inversion."""
    register: int = extend(crc ^ _INVERTED, bytes(data)) ^ _INVERTED
    return register


def crc32c_pieces(
    data: bytes, starts: Sequence[int], length: int, crc: int | Words = 0xFFFFFFFF
) -> Words:
    """The raw registers of `length` bytes of `data` from each of `starts`, seeded by `crc`.

    `crc` is one seed or a seed for each piece. Not inverted at the end. Shape (n,).
    """
    pieces = [data[start : start + length] for start in starts]
    seeds = repeat(crc ^ _INVERTED) if isinstance(crc, int) else (crc ^ _ALL).tolist()
    return np.fromiter(map(extend, seeds, pieces), np.uint32, len(pieces)) ^ _ALL


def crc32c_many(array: Bytes, crc: int | Words = 0xFFFFFFFF) -> Words:
    """The same of the rows of `array`, shape (n, length)."""
    rows, length = array.shape
    starts = range(0, rows * length, length) if length else [0] * rows
    return crc32c_pieces(array.tobytes(), starts, length, crc)


def all_are(data: bytes, length: int, registers: Words, crc: int | Words = 0xFFFFFFFF) -> bool:
    """Whether `data` is rows of `length` bytes whose raw registers, seeded by `crc`, are these.

    A CRC is linear: what the rows' registers say of the whole's is reckoned, and the whole's is
    computed in one go, ten times as fast as each row's. That rows with faults agree by chance has
    odds of 1 to 2**32.
    """
    seeds = np.broadcast_to(np.asarray(crc, np.uint32), registers.shape)
    own = registers ^ advance(seeds, length)
    while len(own) > 1:
        if len(own) % 2:
            own = np.concatenate((np.zeros(1, np.uint32), own))
        own = advance(own[::2], length) ^ own[1::2]
        length *= 2
    return crc32c(data, 0) == (int(own[0]) if len(own) else 0)


def advance(registers: Words, zeros: int) -> Words:
    """Registers after `zeros` zero bytes.

    A CRC is linear over GF(2). So four bytes that are `zeros` before the end (their own four
    included) add just this of themselves, as a little-endian word, to a whole's register: a field
    can be taken out of a checksum without a copy of the data.
    """
    moved = np.ascontiguousarray(registers, np.uint32).view(np.uint8).reshape(-1, 4)
    first, second, third, fourth = _jump(zeros)
    low = first.take(moved[:, _LOW]) ^ second.take(moved[:, _LOW ^ 1])
    return low ^ third.take(moved[:, _LOW ^ 2]) ^ fourth.take(moved[:, _LOW ^ 3])


# Where a word's lowest byte is in this machine's memory.
_LOW = 0 if sys.byteorder == "little" else 3


@lru_cache(maxsize=128)
def _jump(zeros: int) -> tuple[Words, Words, Words, Words]:
    """Tables that move a register over so many zero bytes: of each of its bytes, lowest first."""
    if zeros <= _FEW or zeros % 2:
        images = np.array([crc32c(bytes(zeros), 1 << bit) for bit in range(32)], np.uint32)
    else:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        images = advance(advance(bits, zeros // 2), zeros // 2)
    first, second, third, fourth = images.reshape(4, 8)
    return _spread(first), _spread(second), _spread(third), _spread(fourth)


# As many zero bytes are gone through one by one.
_FEW = 4096


def _spread(images: Words) -> Words:
    """The table of a linear map of 8 bits, from the images of its basis vectors."""
    table = np.zeros(1, np.uint32)
    for image in images:
        table = np.concatenate((table, table ^ image))
    return table
