"""Thin-pool metadata on disk, all little-endian, in 4096-byte blocks.

Source: the kernel's description of the format (Documentation/admin-guide/device-mapper, and the
structures of dm-thin-metadata and persistent-data's B-tree).
"""

from __future__ import annotations

import struct

BLOCK = 4096

# CRC-32C, flags, own block, UUID, magic, version, time, transaction, held root.
SUPERBLOCK = struct.Struct("<IIQ16sQIIQQ")
SUPERBLOCK_MAGIC = 27022010
SUPERBLOCK_SEED = 160774  # XORed into the checksum
NEEDS_CHECK = 1
CHUNK_UNIT = 64 << 10  # bytes; the kernel takes only multiples of it
# Root of the mappings, root of the devices' details, data block and metadata block (in sectors).
ROOTS_OFFSET = 320
ROOTS = struct.Struct("<QQII")

# CRC-32C, flags, own block, entries, room for entries, size of a value, padding.
NODE = struct.Struct("<IIQIIII")
NODE_SEED = 121107
INTERNAL = 1
LEAF = 2
MAX_DEPTH = 16

# A leaf of a device's tree: number of the data block << 24 | time.
TIME_BITS = 24

POLYNOMIAL = 0x82F63B78


def _table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        register = index
        for _ in range(8):
            register = (register >> 1) ^ (POLYNOMIAL if register & 1 else 0)
        table.append(register)
    return tuple(table)


_TABLE = _table()


def checksum(data: bytes, seed: int) -> int:
    """The CRC-32C of a block after its first four bytes, not inverted, XORed with `seed`."""
    register = 0xFFFFFFFF
    for byte in memoryview(data)[4:BLOCK]:
        register = (register >> 8) ^ _TABLE[(register ^ byte) & 0xFF]
    return register ^ seed
