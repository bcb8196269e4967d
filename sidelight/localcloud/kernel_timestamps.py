"""When a request arrived: by the kernel, which marks each packet, not by the thread that reads it.

That thread may have to wait: for a core, or for the interpreter's lock. Calls that wait so are read
together, and would count as of one moment though they came one after the other.
"""

from __future__ import annotations

import io
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# socket(7) of Linux; the module `socket` does not name it.
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@qq")


class Arrivals(io.RawIOBase):
    """What a connection receives. `at` says when the last of what was read came.

    In seconds of `time.monotonic`. Where the kernel does not mark what it receives it is the moment
    of the read.
    """

    def __init__(self, connection: socket.socket) -> None:
        """Does not close it."""
        self._connection = connection
        self._marked = sys.platform == "linux" and _ask_for_marks(connection)
        self.at = time.monotonic()

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """What there is, at least a byte; 0 at the end."""
        if not self._marked:
            count = self._connection.recv_into(buffer)
            self.at = time.monotonic()
            return count
        room = socket.CMSG_SPACE(TIMESPEC.size)
        count, ancillary, _, _ = self._connection.recvmsg_into([buffer], room)
        self.at = time.monotonic()
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = TIMESPEC.unpack(value)
                self.at -= max(0.0, time.time() - seconds - nanoseconds / 1e9)
        return count


def _ask_for_marks(connection: socket.socket) -> bool:
    """False where the kernel has none, as a sandbox's."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True
