"""On-disk layout of ext2, ext3 and ext4: numbers alone, no behaviour.

Everything is little-endian except the journal (see `journal_layout`). Offsets and sizes are in
bytes. Sources: the kernel's Documentation/filesystems/ext4 (superblock, group descriptors, inode
table, extents, block map, directories, inline data, checksums).
"""

from __future__ import annotations

import struct

# --- Superblock: 1024 bytes, at byte 1024 whatever the block size. ---
SUPERBLOCK_OFFSET = 1024
SUPERBLOCK_SIZE = 1024
SUPERBLOCK_MAGIC = 0xEF53
MAGIC_OFFSET = 0x38  # within the superblock
CHECKSUM_OFFSET = 0x3FC

# 0x00: inodes, blocks low, reserved low, free blocks low, free inodes, first data block,
# log2(block size / 1024), log2(cluster size / 1024), blocks a group, clusters a group,
# inodes a group, mtime, wtime, mount count, max mount count, magic, state, errors, minor
# revision, last check, check interval, creator OS, revision, reserve uid, reserve gid.
SUPERBLOCK_BASE = struct.Struct("<13I6H4I2H")
# 0x54: first inode, inode size, block group of this copy, compat, incompat, ro_compat, UUID, label.
SUPERBLOCK_DYNAMIC = struct.Struct("<IHH3I16s16s")
DYNAMIC_OFFSET = 0x54
# 0xE0: journal inode, journal device, head of the orphan list, hash seed (4), hash version,
# journal backup type, group descriptor size, default mount options, first meta group.
SUPERBLOCK_JOURNAL = struct.Struct("<3I4I2BH2I")
JOURNAL_OFFSET = 0xE0
BLOCKS_HIGH_OFFSET = 0x150  # u32
BACKUP_GROUPS_OFFSET = 0x24C  # 2 x u32, sparse_super2
CHECKSUM_SEED_OFFSET = 0x270  # u32, csum_seed
ORPHAN_FILE_OFFSET = 0x280  # u32, inode of the orphan file
CHECKSUM_TYPE_OFFSET = 0x175  # u8, 1 = crc32c

ROOT_INODE = 2
JOURNAL_INODE = 8
GOOD_OLD_INODE_SIZE = 128
CHECKSUM_CRC32C = 1

COMPAT_HAS_JOURNAL = 0x4
COMPAT_SPARSE_SUPER2 = 0x200
COMPAT_FAST_COMMIT = 0x400
COMPAT_ORPHAN_FILE = 0x1000

INCOMPAT_FILETYPE = 0x2
INCOMPAT_RECOVER = 0x4
INCOMPAT_JOURNAL_DEV = 0x8
INCOMPAT_META_BG = 0x10
INCOMPAT_EXTENTS = 0x40
INCOMPAT_64BIT = 0x80
INCOMPAT_MMP = 0x100
INCOMPAT_FLEX_BG = 0x200
INCOMPAT_EA_INODE = 0x400
INCOMPAT_CSUM_SEED = 0x2000
INCOMPAT_LARGEDIR = 0x4000
INCOMPAT_INLINE_DATA = 0x8000
INCOMPAT_ENCRYPT = 0x10000
INCOMPAT_CASEFOLD = 0x20000
INCOMPAT_NAMES = {
    0x1: "compression",
    INCOMPAT_JOURNAL_DEV: "journal_dev",
    0x1000: "dirdata",
}
INCOMPAT_READ = (
    INCOMPAT_FILETYPE
    | INCOMPAT_RECOVER
    | INCOMPAT_META_BG
    | INCOMPAT_EXTENTS
    | INCOMPAT_64BIT
    | INCOMPAT_MMP
    | INCOMPAT_FLEX_BG
    | INCOMPAT_EA_INODE
    | INCOMPAT_CSUM_SEED
    | INCOMPAT_LARGEDIR
    | INCOMPAT_INLINE_DATA
    | INCOMPAT_ENCRYPT
    | INCOMPAT_CASEFOLD
)
# What a filesystem may have and still be called ext2 or ext3 (blkid's rule).
EXT3_INCOMPAT = INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_META_BG

RO_COMPAT_SPARSE_SUPER = 0x1
RO_COMPAT_LARGE_FILE = 0x2
RO_COMPAT_BTREE_DIR = 0x4
RO_COMPAT_GDT_CSUM = 0x10
RO_COMPAT_BIGALLOC = 0x200
RO_COMPAT_METADATA_CSUM = 0x400
RO_COMPAT_ORPHAN_PRESENT = 0x10000
EXT3_RO_COMPAT = RO_COMPAT_SPARSE_SUPER | RO_COMPAT_LARGE_FILE | RO_COMPAT_BTREE_DIR

# --- Group descriptor: 32 bytes, or up to 1024 with 64bit (64 in practice). ---
GROUP_INODE_TABLE = 0x08  # u32 block
GROUP_FREE_INODES = 0x0E  # u16
GROUP_DIRECTORIES = 0x10  # u16
GROUP_FLAGS = 0x12  # u16
GROUP_UNUSED_INODES = 0x1C  # u16, at the table's end; with checksums
GROUP_CHECKSUM = 0x1E  # u16
GROUP_INODE_UNINIT = 0x1  # of the flags: no inode was ever used
GROUP_INODE_TABLE_HIGH = 0x28  # u32, with 64bit
GROUP_SIZE = 32

# --- Inode: 128 bytes, then extra_isize more, then extended attributes. ---
INODE_MODE = 0x00  # u16
INODE_UID = 0x02  # u16
INODE_SIZE = 0x04  # u32
INODE_ATIME = 0x08  # i32 seconds
INODE_CTIME = 0x0C
INODE_MTIME = 0x10
INODE_DTIME = 0x14
INODE_GID = 0x18  # u16
INODE_LINKS = 0x1A  # u16
INODE_BLOCKS = 0x1C  # u32, 512-byte units
INODE_FLAGS = 0x20  # u32
INODE_BLOCK = 0x28  # 60 bytes: block map, extent root, fast symlink or inline data
INODE_BLOCK_SIZE = 60
INODE_GENERATION = 0x64  # u32
INODE_FILE_ACL = 0x68  # u32
INODE_SIZE_HIGH = 0x6C  # u32
INODE_UID_HIGH = 0x78  # u16
INODE_GID_HIGH = 0x7A  # u16
INODE_CHECKSUM = 0x7C  # u16
INODE_EXTRA_SIZE = 0x80  # u16
INODE_CHECKSUM_HIGH = 0x82  # u16
INODE_CTIME_EXTRA = 0x84  # u32: 2 bits of epoch, 30 bits of nanoseconds
INODE_MTIME_EXTRA = 0x88
INODE_ATIME_EXTRA = 0x8C
INODE_CRTIME = 0x90
INODE_CRTIME_EXTRA = 0x94

FLAG_ENCRYPT = 0x800
FLAG_INDEX = 0x1000
FLAG_EXTENTS = 0x80000
FLAG_INLINE_DATA = 0x10000000
FLAG_CASEFOLD = 0x40000000

# --- Extent tree: header 12 bytes, entries 12 bytes each, in blocks a 4-byte checksum after. ---
EXTENT_HEADER = struct.Struct("<HHHHI")  # magic, entries, most entries, depth, generation
EXTENT_LEAF = struct.Struct("<IHHI")  # logical, length, start high, start low (blocks)
EXTENT_INDEX = struct.Struct("<IIHH")  # logical, child low, child high, unused
EXTENT_MAGIC = 0xF30A
EXTENT_ENTRY = 12
EXTENT_MOST_DEPTH = 5
EXTENT_UNWRITTEN = 32768  # a longer length is this plus that of an unwritten extent

# --- Block map (ext2, ext3). ---
DIRECT_BLOCKS = 12

# --- Directory entry: inode u32, record length u16, name length u8, type u8, name. ---
DIRENT = struct.Struct("<IHBB")
DIRENT_LEAST = 12  # record length of a one-byte name
DIRENT_TAIL = 12  # the entry-shaped checksum at a block's end
DIRENT_TAIL_WORD = 0xDE00000C  # its second word: length 12, no name, the type 0xDE
DX_ROOT_COUNT = 0x20  # offset of limit u16, count u16 in an index root, after its two entries
DX_NODE_COUNT = 0x08  # and in an index node
DX_ENTRY = 8

# --- Extended attributes inside an inode. ---
XATTR_MAGIC = 0xEA020000
# name length, name index, value offset, value inode, value size, hash
XATTR_ENTRY = struct.Struct("<BBHIII")
XATTR_SYSTEM = 7  # name index of "system."
INLINE_PARENT = 4  # bytes of the parent's inode number before an inline directory's entries
