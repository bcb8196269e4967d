"""GUID partition table on disk: UEFI specification 2.10, section 5.3. All little-endian."""

from __future__ import annotations

import struct

SIGNATURE = b"EFI PART"
SECTOR_SIZES = (512, 4096)

# 5.3.2: signature, revision, header size (bytes), CRC32 of the header, reserved, own LBA, the
# other header's LBA, first and last usable LBA, disk GUID, LBA of the entries, number of entries,
# size of an entry (bytes), CRC32 of the entries. LBAs are in logical sectors.
HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
HEADER_CRC_OFFSET = 16
HEADER_CRC_SIZE = 4

# 5.3.3: type GUID, unique GUID, first LBA, last LBA (inclusive), attributes, name (UTF-16LE).
ENTRY = struct.Struct("<16s16sQQQ72s")
UNUSED = bytes(16)

# Caps: the specification has none. sgdisk and the kernel meet far smaller tables.
MAX_ENTRY_SIZE = 4096
MAX_TABLE_BYTES = 4 << 20
MAX_PARTITIONS = 4096

EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
PREP_BOOT = "9e1a2d38-c612-4316-aa26-8b49521e5a8b"
LINUX_RAID = "a19d880f-05fc-4d3b-a006-743f0f84911e"
