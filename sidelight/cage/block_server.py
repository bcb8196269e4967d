"""The parent's side of the channel: it answers a reader's questions and takes its inventory.

What comes from the reader is hostile: each frame is bounded by its kind before it is kept, each
offset must lie within its volume, what is asked for is counted, and nothing waits past the
deadline, whatever the reader does or omits.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from sidelight.blocks.source import touch
from sidelight.cage import source_errors
from sidelight.cage.frames import (
    HEADER,
    MOST_BYTES,
    MOST_READ,
    READ,
    FrameError,
    FrameKind,
    unpack_ranges,
)
from sidelight.cage.inventory_records import InventoryDecoder
from sidelight.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource
    from sidelight.model import Inventory

# What a reader may be given: each disk so many times, and something for small ones.
MOST_TIMES: Final = 8
LEAST_BYTES: Final = 16 << 30
# Frames of one reader. A machine of a million files takes some hundred thousand.
MOST_FRAMES: Final = 20_000_000
_AT_ONCE: Final = 64 << 10  # bytes of one receive
_LONGEST_STEP: Final = 1.0  # seconds until a wait looks at the deadline again
_TIMEVAL: Final = struct.Struct("@ll")
# A block and more, as far as the kernel lets: a send then does not wait for its reader.
_SEND_BUFFER: Final = 1 << 20


class DeadlineError(Exception):
    """The reader has not ended in time."""


class NotSealedError(Exception):
    """The reader lacks a protection that is required."""


class ReaderFailedError(Exception):
    """The reader says why it has no inventory: a kind, a sentence, coordinates, a traceback."""

    def __init__(self, kind: str, what: str, where: str, trace: str) -> None:
        super().__init__(kind, what, where, trace)
        self.kind, self.what, self.where, self.trace = kind, what, where, trace


class BlockServer:
    """Serves the sources of one machine to its reader, in the thread of the scan."""

    def __init__(
        self, channel: socket.socket, sources: Sequence[BlockSource], seconds: float
    ) -> None:
        """`seconds` until the deadline, from now on. Blocks are read in the caller's thread."""
        self._channel = channel
        self._sources = sources
        self._deadline = time.monotonic() + seconds
        self._buffer = bytearray()
        self._frames = 0
        self._bytes_left = LEAST_BYTES + MOST_TIMES * sum(source.size for source in sources)
        self._decoder = InventoryDecoder()
        self.missing: list[str] = []
        step = min(_LONGEST_STEP, max(0.01, seconds / 4))
        wait = _TIMEVAL.pack(int(step), int(step % 1 * 1_000_000))
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def run(self, start: bytes, *, is_required: bool = False) -> Inventory:
        """Start the reader and serve it until it gives an inventory.

        With `is_required` a reader that lacks a protection does not get a byte: NotSealedError.
        Raises DeadlineError; EOFError where the reader has ended; FrameError where it breaks the
        protocol; ReaderFailedError; and what reading a source raises, but for a SourceError.
        """
        kind, payload = self._next()
        if kind != FrameKind.SEALED:
            raise FrameError(f"a frame of kind {kind} before the seal")
        self.missing = _texts(payload, None)
        if is_required and self.missing:
            raise NotSealedError(", ".join(self.missing))
        self._send(FrameKind.START, start)
        while True:
            kind, payload = self._next()
            if kind == FrameKind.READ:
                self._read(payload)
            elif kind == FrameKind.PREFETCH:
                source, ranges = self._hint(payload)
                source.prefetch(ranges)
            elif kind == FrameKind.TOUCH:
                touch(*self._hint(payload))
            elif kind == FrameKind.RECORDS:
                self._decoder.add(payload)
            elif kind == FrameKind.DONE:
                return self._decoder.done(payload)
            elif kind == FrameKind.FAILED:
                raise ReaderFailedError(*_texts(payload, 4))
            else:
                raise FrameError(f"a frame of kind {kind}")

    def _read(self, payload: bytes) -> None:
        if len(payload) != READ.size:
            raise FrameError(f"a question of {len(payload)} bytes")
        number, offset, length = READ.unpack(payload)
        source = self._source(number)
        if not 0 < length <= MOST_READ or offset + length > source.size:
            raise FrameError(f"{length} bytes at {offset} of {source.size}")
        self._bytes_left -= length
        if self._bytes_left < 0:
            raise FrameError(f"more bytes than {MOST_TIMES} times all disks")
        try:
            data = source.read_at(offset, length)
        except SourceError as error:
            self._send(FrameKind.ERROR, source_errors.dump(error))
        else:
            self._send(FrameKind.DATA, data)

    def _hint(self, payload: bytes) -> tuple[BlockSource, list[tuple[int, int]]]:
        number, ranges = unpack_ranges(payload)
        source = self._source(number)
        size = source.size
        for offset, length in ranges:
            if offset + length > size:
                raise FrameError(f"{length} bytes at {offset} of {size}")
        return source, ranges

    def _source(self, number: int) -> BlockSource:
        if number >= len(self._sources):
            raise FrameError(f"disk {number} of {len(self._sources)}")
        return self._sources[number]

    # --- frames ---

    def _next(self) -> tuple[int, bytes]:
        """Return the next frame's kind and payload."""
        self._frames += 1
        if self._frames > MOST_FRAMES:
            raise FrameError(f"more than {MOST_FRAMES} frames")
        self._fill(HEADER.size)
        kind, length = HEADER.unpack_from(self._buffer)
        if kind not in MOST_BYTES or length > MOST_BYTES[kind]:
            raise FrameError(f"a frame of kind {kind} with {length} bytes")
        end = HEADER.size + length
        self._fill(end)
        payload = bytes(memoryview(self._buffer)[HEADER.size : end])
        del self._buffer[:end]
        return kind, payload

    def _fill(self, size: int) -> None:
        """Receive until the buffer has `size` bytes."""
        while len(self._buffer) < size:
            self._check_time()
            try:
                data = self._channel.recv(_AT_ONCE)
            except BlockingIOError:
                continue
            except ConnectionError as error:
                raise EOFError from error
            if not data:
                raise EOFError
            self._buffer += data

    def _send(self, kind: FrameKind, payload: bytes) -> None:
        parts = [memoryview(HEADER.pack(kind, len(payload))), memoryview(payload)]
        while parts:
            try:
                sent = self._channel.sendmsg(parts)
            except BlockingIOError:
                sent = 0
            except ConnectionError as error:
                raise EOFError from error
            while parts and sent >= len(parts[0]):
                sent -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][sent:]
                self._check_time()

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise DeadlineError


def _texts(payload: bytes, count: int | None) -> list[str]:
    """Return a list of texts, `count` of them. Raises FrameError for anything else."""
    try:
        texts = json.loads(payload.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise FrameError(f"not JSON: {error}") from error
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise FrameError("not a list of texts")
    if count not in (None, len(texts)):
        raise FrameError(f"{len(texts)} texts")
    return texts
