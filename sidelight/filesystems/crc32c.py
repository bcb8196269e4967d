"""CRC-32C (Castagnoli) by google-crc32c, which uses the processor's own instruction for it.

The checksum of XFS v5, of ext4's metadata_csum and of jbd2 (RFC 3720, appendix B.4). All here works
on the raw register: the caller gives the seed (usually 0xFFFFFFFF) and inverts the result where its
format does (XFS does, ext4 does not).
"""

from __future__ import annotations

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


def advance(registers: Words, zeros: int) -> Words:
    """Registers after `zeros` zero bytes.

    A CRC is linear over GF(2). So four bytes that stand `zeros` before the end (their own four
    included) add just this of themselves, as a little-endian word, to a whole's register: a field
    can be taken out of a checksum without a copy of the data.
    """
    moved = np.asarray(registers, np.uint32)
    low, high = _jump(zeros)
    return low.take(moved & 0xFFFF) ^ high.take(moved >> 16)


@lru_cache(maxsize=64)
def _jump(zeros: int) -> tuple[Words, Words]:
    """Tables that move a register over so many zero bytes: for its low and its high 16 bits."""
    images = [crc32c(bytes(zeros), 1 << bit) for bit in range(32)]
    return _spread(images[:16]), _spread(images[16:])


def _spread(images: list[int]) -> Words:
    """The table of a linear map of 16 bits, from the images of its 16 basis vectors."""
    table = np.zeros(1, np.uint32)
    for image in images:
        table = np.concatenate((table, table ^ np.uint32(image)))
    return table
