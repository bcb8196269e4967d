"""On-disk layout of XFS: offsets in bytes, all fields big-endian unless said.

From "XFS Algorithms & Data Structures" (the xfs-documentation project); section names are given.
CRC fields are little-endian CRC-32C, inverted, over the whole structure with the field as zeros.
"""

from __future__ import annotations

from struct import Struct

BASIC_BLOCK = 512  # bytes: the unit of disk addresses ("daddr") and of the log

# Superblocks ----------------------------------------------------------------------------------
SB_MAGIC = b"XFSB"
SB_SIZE = 512  # bytes read; the CRC covers a whole sector
SB_CRC = 224
# blocksize dblocks - uuid logstart rootino - agblocks agcount - logblocks versionnum sectsize
# inodesize inopblock fname blocklog sectlog inodelog inopblog agblklog - inprogress -
SUPERBLOCK = Struct(">4xIQ16x16sQQ20xII4xIHHHH12sBBBBBxBx")
SB_DIRBLKLOG = 192
# features2 bad_features2 compat ro_compat incompat log_incompat
SB_FEATURES = Struct(">IIIIII")
SB_FEATURES_AT = 200
SB_UUID = 32
SB_LSN = 240  # u64: where the log stood when this was last written
SB_META_UUID = 248

VERSION_NUMBER = 0x000F
VERSION_DIRV2 = 0x2000
VERSION_ASCII_CI = 0x4000  # names are found in any letter case
VERSION_MOREBITS = 0x8000
VERSION2_FTYPE = 0x200

INCOMPAT_FTYPE = 0x1
INCOMPAT_META_UUID = 0x4
INCOMPAT_NEEDSREPAIR = 0x10
# ftype, sparse inodes, meta_uuid, bigtime, needsrepair, nrext64, exchange-range, parent pointers,
# metadata directories, zoned realtime, zone gaps: none moves a structure that this reader finds
# without its own flag (bigtime and nrext64 are flagged on each inode).
INCOMPAT_KNOWN = 0x7FF
LOG_INCOMPAT_KNOWN = 0x1  # logged extended attributes

# Allocation groups' inodes (AG Inode Management): the header, then a B+tree of chunks of 64 ------
AGI_MAGIC = b"XAGI"
AGI_SECTOR = 2
AGI_ROOT = Struct(">II")  # root block, levels
AGI_ROOT_AT = 20
INOBT_MAGICS = (b"IABT", b"IAB3")
INOBT_HEADER_V4 = 16
INOBT_HEADER_V5 = 56
INOBT_LEVELS = 8

# Inodes (On-disk Inode) -----------------------------------------------------------------------
INODE_MAGIC = 0x494E
INODE_CORE_V2 = 100
INODE_CORE_V3 = 176
DI_MODE = 2
DI_VERSION = 4
DI_FORMAT = 5
DI_ONLINK = 6
DI_UID = 8
DI_GID = 12
DI_NLINK = 16
DI_BIG_NEXTENTS = 24
DI_ATIME = 32
DI_MTIME = 40
DI_CTIME = 48
DI_SIZE = 56
DI_NEXTENTS = 76
DI_FORKOFF = 82
DI_FLAGS = 90
DI_CRC = 100
DI_LSN = 112
DI_FLAGS2 = 120
DI_CRTIME = 144
DI_INO = 152
DI_UUID = 160

FORMAT_LOCAL = 1
FORMAT_EXTENTS = 2
FORMAT_BTREE = 3

FLAG_REALTIME = 0x1
FLAG2_BIGTIME = 0x8
FLAG2_NREXT64 = 0x10
BIGTIME_EPOCH = 1 << 31  # seconds before 1970 at which a big timestamp is zero

# Extents and their B+tree (Data Extents) ------------------------------------------------------
EXTENT_SIZE = 16
BMBT_MAGIC_V4 = b"BMAP"
BMBT_MAGIC_V5 = b"BMA3"
BMBT_HEADER_V4 = 24
BMBT_HEADER_V5 = 72
BMBT_BLKNO = 24
BMBT_UUID = 40
BMBT_OWNER = 56
BMBT_CRC = 64
BMBT_MAX_LEVEL = 14
BMDR_HEADER = Struct(">HH")  # level, numrecs: the root in an inode's fork
BMBT_COUNTS = Struct(">4xHH")  # level, numrecs of a block

# Directories ----------------------------------------------------------------------------------
DIR_LEAF_OFFSET = 32 << 30  # bytes: entries lie below, leaves and free indices from here on
DIR_BLOCK_MAGIC_V4 = int.from_bytes(b"XD2B", "big")
DIR_DATA_MAGIC_V4 = int.from_bytes(b"XD2D", "big")
DIR_BLOCK_MAGIC_V5 = int.from_bytes(b"XDB3", "big")
DIR_DATA_MAGIC_V5 = int.from_bytes(b"XDD3", "big")
DIR_HEADER_V4 = 16
DIR_HEADER_V5 = 64
DIR_CRC = 4
DIR_BLKNO = 8
DIR_UUID = 24
DIR_OWNER = 40
DIR_ENTRY = Struct(">QB")  # inode number, length of the name
DIR_TAIL = Struct(">II")  # count of leaf entries, stale ones among them
DIR_FREE_TAG = 0xFFFF << 48  # in an entry's place: a hole, its length in the next 16 bits

# Symbolic links -------------------------------------------------------------------------------
SYMLINK_MAGIC = b"XSLM"
SYMLINK_HEADER_V5 = 56
SYMLINK_BYTES = 8
SYMLINK_CRC = 12
SYMLINK_UUID = 16
SYMLINK_OWNER = 32
SYMLINK_MAX = 1024
