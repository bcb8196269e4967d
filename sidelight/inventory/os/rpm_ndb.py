"""rpm's ndb store (SUSE): Packages.db, a slot table and the blobs that it points to.

Source: the layout that rpm's lib/backend/ndb writes. Little endian, in blocks of 16 bytes; the slot
table lies in pages of 4096 bytes at the file's start, of which the first two slots are the header.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, LimitError, NotRecognisedError
from sidelight.inventory.os import rpm_header
from sidelight.inventory.os.chunks import Chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.errors import SidelightError
    from sidelight.inventory.protocol import WantedFile

_HEADER = struct.Struct("<4s7I")  # magic, version, generation, slot pages, next index, 3 unused
_SLOT = struct.Struct("<4sIII")  # magic, package index, block offset, count of blocks
_BLOB = struct.Struct("<4sIII")  # magic, package index, generation, length in bytes
_TAIL = struct.Struct("<II4s")  # adler32 of head and data, length in bytes, magic

_PAGE = 4096
_BLOCK = 16
MAX_SLOT_PAGES = 2048


def header_blobs(file: WantedFile) -> Iterator[bytes | SidelightError]:
    """Every header in the file's order, or the fault of one that cannot be read.

    Raises NotRecognisedError, DamagedError and LimitError where there is no slot table.
    """
    chunks = Chunks(file)
    end = 0
    for index, block, count in sorted(_slots(chunks), key=lambda slot: slot[1]):
        file.check_time()
        if block < end:
            yield DamagedError(f"package {index}: its blob lies in that of another package")
            continue
        end = block + count
        try:
            yield _blob(chunks, index, block, count)
        except DamagedError as error:
            yield error


def _slots(chunks: Chunks) -> list[tuple[int, int, int]]:
    """(package index, offset in blocks, count of blocks) of every used slot."""
    magic, version, _, slot_pages, *_ = _HEADER.unpack(chunks.read(0, _HEADER.size))
    if magic != b"RpmP":
        raise NotRecognisedError("not an rpm ndb database")
    if version != 0:
        raise DamagedError(f"version {version} of rpm's ndb format")
    if slot_pages > MAX_SLOT_PAGES:
        raise LimitError(f"{slot_pages} pages of slots")
    table = chunks.read(0, slot_pages * _PAGE)
    slots = []
    for magic, index, block, count in _SLOT.iter_unpack(table[2 * _SLOT.size :]):
        if magic != b"Slot":
            raise DamagedError("rpm's ndb slot table is damaged")
        if index and block:
            slots.append((index, block, count))
    return slots


def _blob(chunks: Chunks, index: int, block: int, count: int) -> bytes:
    size = count * _BLOCK
    if not _BLOB.size + _TAIL.size <= size <= rpm_header.MAX_BLOB:
        raise DamagedError(f"package {index}: a blob of {size} bytes")
    data = chunks.read(block * _BLOCK, size)
    magic, own, _, length = _BLOB.unpack_from(data)
    if magic != b"BlbS" or own != index or _BLOB.size + length + _TAIL.size > size:
        raise DamagedError(f"package {index}: no blob at block {block}")
    checksum, again, end = _TAIL.unpack_from(data, size - _TAIL.size)
    if end != b"BlbE" or again != length:
        raise DamagedError(f"package {index}: its blob has no end")
    # The padding between data and tail is zeros, and counts.
    if zlib.adler32(data[: size - _TAIL.size]) != checksum:
        raise DamagedError(f"package {index}: a bad checksum")
    return data[_BLOB.size : _BLOB.size + length]
