"""LVM2 on disk: the label, the physical volume's header, the metadata area.

Source: lvm2's own description of its format (lib/format_text/layout.h). Little-endian; offsets and
sizes in bytes here, in 512-byte sectors within the metadata text.
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

SECTOR = 512
LABEL_SECTORS = 4  # the label is in one of the first four sectors

# "LABELONE", own sector, CRC of the rest of the sector, offset of the PV header, type.
LABEL = struct.Struct("<8sQII8s")
LABEL_MAGIC = b"LABELONE"
LABEL_TYPE = b"LVM2 001"
LABEL_CRC_FROM = 20

# UUID (32 characters without hyphens), size of the device; then lists of areas, each ended by
# zeros: the data areas, the metadata areas.
PV_HEADER = struct.Struct("<32sQ")
AREA = struct.Struct("<QQ")
MAX_AREAS = 4  # lvm2 makes at most two
# After the lists: version and flags. Of version 2 on a flag says that a volume group has it.
PV_EXTENSION = struct.Struct("<II")
PV_USED_SINCE = 2
PV_USED = 1

# CRC of the rest of these 512 bytes, magic, version, own offset, size of the area.
MDA_HEADER = struct.Struct("<I16sIQQ")
MDA_HEADER_SIZE = 512
MDA_MAGIC = b" LVM2 x[5A%r0N*>"
# Offset within the area, size, CRC and flags of a text.
RAW_LOCATION = struct.Struct("<QQII")
RAW_IGNORED = 1

MAX_TEXT = 16 << 20
MAX_TEXTS_READ = 512 << 20  # bytes of all members together
MAX_TEXTS_PARSED = 8 << 20  # of those that differ

_CRC_START = 0xF597A6CF


def checksum(data: bytes) -> int:
    """LVM2's CRC-32: the usual polynomial, its own start value, no inversion at the end."""
    return zlib.crc32(data, _CRC_START ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def hyphened(uuid: str) -> str:
    """A UUID of 32 characters as LVM2's text and tools write it."""
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(uuid[a:b] for a, b in pairwise(cuts))
