"""The messages between a caged reader and the process that feeds it.

Each is a frame: a kind (1 byte), the length of its payload (4 bytes, little endian) and the
payload. The reader is not trusted: what it sends is bounded here before it is kept, by kind. Its
numbers are unsigned, so no payload can mean a negative offset.
"""

from __future__ import annotations

import struct
from array import array
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER: Final = struct.Struct("<BI")
READ: Final = struct.Struct("<HQI")  # the source's number, offset and length in bytes
_SOURCE: Final = struct.Struct("<H")

MOST_SOURCES: Final = 1 << 12  # an instance has a few dozen volumes at most
MOST_READ: Final = 32 << 20  # bytes of one read; what a block cache fetches at once
MOST_RANGES: Final = 1 << 16  # of one hint
MOST_TEXT: Final = 8 << 20  # bytes of one frame of records

# Between the worker and the zygote: bytes of a message, and the one that ends a reader.
MOST_MESSAGE: Final = 4096
STOP: Final = b"stop"


class FrameKind(IntEnum):
    """The kind of a frame. Those up to 15 are the reader's, the others its parent's."""

    SEALED = 1  # JSON: which protections this kernel lacks
    READ = 2  # READ; the reader waits for DATA or ERROR
    PREFETCH = 3  # a source's number and ranges: a hint, without an answer
    TOUCH = 4  # as PREFETCH
    RECORDS = 5  # JSON: a part of the inventory
    DONE = 6  # JSON: the rest of the inventory, and how many records came before
    FAILED = 7  # JSON: why there is no inventory
    START = 16  # JSON: sources and options
    DATA = 17  # the bytes that were asked for
    ERROR = 18  # JSON: the error that reading them raised


# Payload bytes at most of each kind that a reader sends.
MOST_BYTES: Final = {
    FrameKind.SEALED: 4096,
    FrameKind.READ: READ.size,
    FrameKind.PREFETCH: _SOURCE.size + 16 * MOST_RANGES,
    FrameKind.TOUCH: _SOURCE.size + 16 * MOST_RANGES,
    FrameKind.RECORDS: MOST_TEXT,
    FrameKind.DONE: MOST_TEXT,
    FrameKind.FAILED: 64 << 10,
}


class FrameError(ValueError):
    """A frame is not what the protocol allows."""


def frame(kind: FrameKind, payload: bytes) -> bytes:
    """Return a frame."""
    return HEADER.pack(kind, len(payload)) + payload


def pack_ranges(source: int, ranges: Iterable[int]) -> bytes:
    """Return the payload of a hint; `ranges` are offsets and lengths by turns."""
    return _SOURCE.pack(source) + array("Q", ranges).tobytes()


def unpack_ranges(payload: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Return the source's number and the `(offset, length)` of a hint. Raises FrameError."""
    if len(payload) < _SOURCE.size or (len(payload) - _SOURCE.size) % 16:
        raise FrameError(f"a hint of {len(payload)} bytes")
    numbers = array("Q")
    numbers.frombytes(payload[_SOURCE.size :])
    (source,) = _SOURCE.unpack_from(payload)
    return source, list(zip(numbers[::2], numbers[1::2], strict=True))
