"""Layout of the XFS log, from "XFS Algorithms & Data Structures" (Journaling Log).

Records and operation headers are big-endian. What the operations carry (items) is in the byte order
of the machine that wrote it, which the record names; only little-endian logs are read here.
All offsets in bytes, disk addresses in basic blocks of 512.
"""

from __future__ import annotations

from struct import Struct

BASIC_BLOCK = 512
HEADER_MAGIC = 0xFEEDBABE
# magic cycle version length lsn tail_lsn crc(little-endian) previous operations
RECORD = Struct(">IIIIQQ4xII")
RECORD_CRC = 32
RECORD_CYCLES = 44
RECORD_FORMAT = 300  # 1: little-endian
RECORD_UUID = 304
RECORD_SIZE = 320  # the size of the in-core log buffer: how many headers there are
RECORD_CRC_LENGTHS = (328, 324)  # of the header that the CRC covers: 64- and 32-bit kernels
EXTENDED_CRC_LENGTH = 260
CYCLE_SPAN = 32768  # bytes of data whose cycle words one header holds
VERSION_2 = 2
FORMAT_LINUX_LE = 1
MAX_RECORD = 256 << 10
MAX_BUFFERS = 8  # records that may be in flight at once

OPERATION = Struct(">IIBB2x")  # transaction, length, client, flags
CLIENTS = (0x69, 0xAA)
OP_START = 0x01
OP_COMMIT = 0x02
OP_CONTINUE = 0x04
OP_WAS_CONTINUED = 0x08
OP_END = 0x10
OP_UNMOUNT = 0x20

TRANSACTION_MAGIC = b"NART"  # "TRAN", little-endian
TRANSACTION_HEADER = 16
MAX_REGIONS = 4096  # of one item; the kernel's cap is lower for real items

# Item types -----------------------------------------------------------------------------------
ITEM = Struct("<HH")  # type, number of regions
EFI, EFD = 0x1236, 0x1237
INODE, BUFFER, DQUOT, QUOTAOFF, ICREATE = 0x123B, 0x123C, 0x123D, 0x123E, 0x123F
RUI, RUD, CUI, CUD, BUI, BUD = 0x1240, 0x1241, 0x1242, 0x1243, 0x1244, 0x1245
ATTRI, ATTRD, XMI, XMD = 0x1246, 0x1247, 0x1248, 0x1249
# Intents that free space, count owners and sharers, or set attributes, with their dones, also of
# realtime devices: none of them changes what a path leads to or what a file holds.
NO_EFFECT = frozenset(
    (EFI, EFD, DQUOT, QUOTAOFF, RUI, RUD, CUI, CUD, ATTRI, ATTRD, *range(0x124A, 0x1250))
)

# type regions flags length address words of the map, then the map
BUFFER_ITEM = Struct("<HHHHqI")
BUFFER_CHUNK = 128  # bytes for each bit of the map
BUFFER_INODES = 0x01  # only the unlinked lists in inodes change
BUFFER_CANCEL = 0x02
BUFFER_DQUOTS = 0x1C
BUFFER_TYPE_SHIFT = 11
TYPE_BTREE = 4
# Quota, allocation group headers, directory indices, attributes, realtime maps: never read here.
TYPES_NOT_READ = frozenset((1, 2, 3, 5, 6, 7, 12, 13, 14, 15, 16, 17, 19, 20))

# type regions fields attribute-size data-size pad inode - address length offset
INODE_ITEM = Struct("<HHIHHIQ16xqii")
INODE_ITEM_PACKED = Struct("<HHIHHQ16xqii")
FIELD_DATA = 0x002
FIELD_EXTENTS = 0x004
FIELD_BROOT = 0x008
FIELD_DATA_OWNER = 0x200

ICREATE_ITEM = Struct(">4xIIIIII")  # group, block, count, inode size, length, generation

INTENT_ID = Struct("<8xQ")  # of an intent and of its done
BUI_HEADER = Struct("<HHIQ")  # type, regions, extents, id
BUI_EXTENT = Struct("<QQQII")  # owner, block, offset, length, flags
BUI_TYPE = 0xFF
BUI_MAP, BUI_UNMAP = 1, 2
BUI_ATTRIBUTES = 1 << 31
BUI_UNWRITTEN = 1 << 30
BUI_REALTIME = 1 << 29
XMI_ITEM = Struct("<HHIQQQ")  # type, regions, pad, id, two inodes

# An inode core as the log has it: as on disk, but in the machine's byte order. Up to the pointer of
# the unlinked list, which is not taken from here; times apart, since they are one word or two.
LOG_CORE = "HHBBHIIIHHQ{times}QQIIHBBIHHI"
LOG_CORE_LENGTH = 96
LOG_CORE_V3 = "QQQI12s{time}Q16s"  # from the change count on, at 104
LOG_CORE_V3_AT = 104
LOG_CORE_V3_LENGTH = 176
LSN_IN_V3 = 1  # index of the LSN among the fields of LOG_CORE_V3

# Where a block of each magic keeps its LSN and its UUID (v5), by kind of metadata.
LSN_PLACES = {
    b"BMA3": (32, 40),
    b"XDB3": (16, 24),
    b"XDD3": (16, 24),
    b"XSLM": (48, 16),
    b"XFSB": (240, 32),
}
# B+trees of allocation groups: logged as B+trees like the extent trees, never read here.
GROUP_TREES = frozenset(
    (b"ABTB", b"ABTC", b"AB3B", b"AB3C", b"IABT", b"IAB3", b"FIBT", b"FIB3", b"RMB3", b"R3FC",
     b"MAPR", b"RCFL")
)  # fmt: skip
