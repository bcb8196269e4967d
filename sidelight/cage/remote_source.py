"""A disk's blocks from within the cage: each read is a question to the parent.

A read of a few bytes costs as much as one of a chunk: so the chunk around it comes too, where that
cannot cost a block or an error more, and the last few chunks are kept.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from sidelight.cage import source_errors
from sidelight.cage.frames import (
    HEADER,
    MOST_RANGES,
    MOST_READ,
    READ,
    FrameError,
    FrameKind,
    frame,
    pack_ranges,
)
from sidelight.errors import OutOfRangeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Bytes of a chunk, which divides a snapshot's block of 512 KiB; and how many are kept.
CHUNK: Final = 64 << 10
MOST_CHUNKS: Final = 16
_NEW: Final = HEADER.size


class ParentChannel:
    """The socket to the parent: it is the only one that a reader has."""

    def __init__(self, channel: socket.socket) -> None:
        """`channel` is a blocking stream socket."""
        self._socket = channel

    def send(self, kind: FrameKind, payload: bytes) -> None:
        """Send a frame."""
        self._socket.sendall(frame(kind, payload))

    def receive(self) -> tuple[int, bytes]:
        """Return the kind and the payload of the next frame. Raises EOFError."""
        kind, length = HEADER.unpack(self._exactly(HEADER.size))
        return kind, self._exactly(length)

    def read(self, source: int, offset: int, length: int) -> bytes:
        """Return the bytes that the parent has. Raises SourceError, as reading them did there."""
        self.send(FrameKind.READ, READ.pack(source, offset, length))
        kind, payload = self.receive()
        if kind == FrameKind.DATA and len(payload) == length:
            return payload
        if kind == FrameKind.ERROR:
            raise source_errors.load(payload)
        raise FrameError(f"a frame of kind {kind} for {length} bytes")

    def _exactly(self, length: int) -> bytes:
        data = self._socket.recv(length, socket.MSG_WAITALL) if length else b""
        if len(data) == length:
            return data
        parts = [data]
        missing = length - len(data)
        while missing:
            more = self._socket.recv(missing, socket.MSG_WAITALL)
            if not more:
                raise EOFError("the parent has closed the channel")
            parts.append(more)
            missing -= len(more)
        return b"".join(parts)


class RemoteSource:
    """A BlockSource in the parent. For one thread: a caged reader has no more."""

    def __init__(
        self, channel: ParentChannel, number: int, name: str, size: int, unit: int
    ) -> None:
        """`size` and `unit` in bytes; a `unit` of 0 says that any bytes can be had for little."""
        self._channel = channel
        self._number = number
        self.name = name
        self.size = size
        self.unit = unit
        self._chunks: OrderedDict[int, bytes] = OrderedDict()

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from a kept chunk, or else from the parent."""
        offset, length = int(offset), int(length)
        if offset < 0 or length < 0 or offset + length > self.size:
            raise OutOfRangeError(
                f"{length} bytes at {offset} do not lie within {self.size}", where=self.name
            )
        if not length:
            return b""
        start = offset - offset % CHUNK
        if self.unit % CHUNK == 0 < self.unit and offset + length <= start + CHUNK:
            data = self._chunk(start)
            return data[offset - start : offset - start + length]
        if length <= MOST_READ:
            return self._channel.read(self._number, offset, length)
        return b"".join(
            self._channel.read(self._number, begin, size)
            for begin, size in self._pieces(offset, length)
        )

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on, without waiting."""
        self._hint(FrameKind.PREFETCH, ranges)

    def touch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on, without waiting."""
        self._hint(FrameKind.TOUCH, ranges)

    def _chunk(self, start: int) -> bytes:
        data = self._chunks.get(start)
        if data is None:
            length = min(CHUNK, self.size - start)
            data = self._channel.read(self._number, start, length)
            self._chunks[start] = data
            if len(self._chunks) > MOST_CHUNKS:
                self._chunks.popitem(last=False)
        else:
            self._chunks.move_to_end(start)
        return data

    def _pieces(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Cut a long read where blocks begin, so that none is fetched for two pieces."""
        end = offset + length
        while offset < end:
            following = min(offset - offset % (self.unit or 1) + MOST_READ, end)
            yield offset, following - offset
            offset = following

    def _hint(self, kind: FrameKind, ranges: Iterable[tuple[int, int]]) -> None:
        merged = list(islice(self._merged(ranges), MOST_RANGES))
        if merged:
            self._channel.send(kind, pack_ranges(self._number, chain.from_iterable(merged)))

    def _merged(self, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """The ranges in their order, cut to the source; those of one block after another as one."""
        unit = self.unit or 1
        start = end = 0
        for offset, length in ranges:
            if length <= 0 or not 0 <= offset < self.size:
                continue
            stop = min(offset + length, self.size)
            if start < end and start <= offset and offset // unit <= (end - 1) // unit + 1:
                end = max(end, stop)
                continue
            if start < end:
                yield int(start), int(end - start)
            start, end = offset, stop
        if start < end:
            yield int(start), int(end - start)
