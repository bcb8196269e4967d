"""A physical volume written by hand, for tests that damage it: label, header, one metadata area."""

from __future__ import annotations

import struct

from sidelight.disk.lvm.layout import checksum

MDA = 4096
MDA_SIZE = 1020 << 10
PE_START = 1 << 20


def physical_volume(uuid: str, text: bytes, extents: bytes = b"") -> bytes:
    """A disk with this text and these bytes as its extents."""
    raw = uuid.replace("-", "").encode()
    size = PE_START + max(len(extents), 4096)
    header = struct.pack("<32sQ", raw, size)
    header += struct.pack("<4Q", PE_START, 0, 0, 0) + struct.pack("<4Q", MDA, MDA_SIZE, 0, 0)
    label = (struct.pack("<I8s", 32, b"LVM2 001") + header).ljust(512 - 20, b"\0")
    disk = bytearray(size)
    disk[512:1024] = struct.pack("<8sQI", b"LABELONE", 1, checksum(label)) + label
    locations = struct.pack("<QQII", 512, len(text), checksum(text), 0).ljust(512 - 40, b"\0")
    area = struct.pack("<16sIQQ", b" LVM2 x[5A%r0N*>", 1, MDA, MDA_SIZE) + locations
    disk[MDA : MDA + 512] = struct.pack("<I", checksum(area)) + area
    disk[MDA + 512 : MDA + 512 + len(text)] = text
    disk[PE_START : PE_START + len(extents)] = extents
    return bytes(disk)
