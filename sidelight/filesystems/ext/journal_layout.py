"""On-disk layout of jbd2's journal and of ext4's fast commits: numbers alone.

The journal is big-endian, the fast commits are little-endian. Offsets and sizes are in bytes.
Sources: the kernel's Documentation/filesystems/ext4/journal.rst; fs/ext4/fast_commit.h.
"""

from __future__ import annotations

import struct

MAGIC = 0xC03B3998
HEADER = struct.Struct(">III")  # magic, block type, sequence
DESCRIPTOR, COMMIT, SUPERBLOCK_V1, SUPERBLOCK_V2, REVOKE = 1, 2, 3, 4, 5

# --- Journal superblock: block 0 of the journal, 1024 bytes. ---
SUPERBLOCK_SIZE = 1024
# 0x0C: block size, blocks, first log block, first sequence, start (0 = clean), errno,
# compat, incompat, ro_compat features, UUID
SUPERBLOCK = struct.Struct(">9I16s")
SUPERBLOCK_AT = 0x0C
CHECKSUM_TYPE_AT = 0x50  # u8, 4 = crc32c
FAST_BLOCKS_AT = 0x54  # u32
CHECKSUM_AT = 0xFC  # u32
CHECKSUM_CRC32C = 4

COMPAT_CHECKSUM = 0x1
INCOMPAT_64BIT = 0x2
INCOMPAT_ASYNC_COMMIT = 0x4
INCOMPAT_CSUM_V2 = 0x8
INCOMPAT_CSUM_V3 = 0x10
INCOMPAT_FAST_COMMIT = 0x20
INCOMPAT_KNOWN = 0x3F

FAST_BLOCKS_DEFAULT = 256
LEAST_BLOCKS = 1024  # the log is never cut below this for fast commits

# --- Descriptor block: header, tags, and with v2 or v3 a 4-byte checksum at its end. ---
TAIL = 4
UUID = 16
FLAG_ESCAPE, FLAG_SAME_UUID, FLAG_LAST = 0x1, 0x2, 0x8
TAG = struct.Struct(">IHH")  # block, checksum (v2: low half), flags
TAG3 = struct.Struct(">IIII")  # block, flags, block high, checksum

# --- Commit block. ---
COMMIT_CHECKSUM_TYPE_AT = 12  # u8: 1 = crc32; then u8 its size, 2 bytes pad
COMMIT_CHECKSUM_AT = 16  # u32
COMMIT_SECONDS_AT = 48  # u64
COMMIT_SIZE = 60
COMMIT_CRC32 = (1, 4)

# --- Revoke block: header, u32 bytes in use (with the header), block numbers of 4 or 8 bytes. ---
REVOKE_HEADER = 16

# --- Fast commits: tags {u16 type, u16 length} with values, never across a block's end. ---
FAST_TAG = struct.Struct("<HH")
(
    FAST_ADD_RANGE,
    FAST_DEL_RANGE,
    FAST_CREAT,
    FAST_LINK,
    FAST_UNLINK,
    FAST_INODE,
    FAST_PAD,
    FAST_TAIL,
    FAST_HEAD,
) = range(1, 10)
FAST_PAIR = struct.Struct("<II")  # head: features, tid; tail: tid, crc; dentry: parent, inode
FAST_RANGE = struct.Struct("<III")  # del_range: inode, logical, length
FAST_EXTENT = struct.Struct("<IIHHI")  # add_range: inode, then an extent leaf
