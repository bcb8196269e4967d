"""CRC16 (polynomial 0x8005, reflected) over many rows: the old group descriptor checksum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFLECTED = 0xA001


def crc16_rows(rows: NDArray[np.uint8], seed: int) -> NDArray[np.uint16]:
    """The register after each row of a (count, length) array, without final inversion."""
    register = np.full(len(rows), seed, dtype=np.uint16)
    for column in rows.T:
        register = _TABLE[(register ^ column) & 0xFF] ^ (register >> 8)
    return register


def _register(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (REFLECTED if byte & 1 else 0)
    return byte


_TABLE = np.array([_register(byte) for byte in range(256)], dtype=np.uint16)
