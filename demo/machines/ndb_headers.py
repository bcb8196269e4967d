"""Print the header blobs of an rpm ndb database as `rpmdb --importdb` reads them.

Source: the layout of rpm's ndb backend (rpmpkg): pages of 16-byte slots, blobs in 16-byte units.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

HEADER_MAGIC = bytes.fromhex("8eade80100000000")

data = Path(sys.argv[1]).read_bytes()
pages = struct.unpack_from("<I", data, 12)[0]
for slot in range(32, pages * 4096, 16):
    magic, _, block, _ = struct.unpack_from("<4sIII", data, slot)
    if magic == b"Slot" and block:
        length = struct.unpack_from("<I", data, block * 16 + 12)[0]
        start = block * 16 + 16
        sys.stdout.buffer.write(HEADER_MAGIC + data[start : start + length])
