"""One connection of the server: slow clients are cut off, which uvicorn alone does not do."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio


_NO_LINGER: Final = struct.pack("ii", 1, 0)  # linger for zero seconds (socket(7))


class BoundedConnection(H11Protocol):
    """A connection that must bring a whole head, and take a whole answer, in a bounded time.

    The body's time is the application's concern.
    """

    seconds = 30.0  # of `bounded_connection`
    _timer: asyncio.TimerHandle | None = None
    _is_behind = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time of the first head."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._restart()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start the time in which the answer is taken and the next head arrives."""
        super().on_response_complete()
        self._restart()

    def _restart(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._is_behind = False
        self._timer = self.loop.call_later(self.seconds, self._expire)

    def _expire(self) -> None:
        """End a connection without a request in work, or whose answer is not taken."""
        if self.cycle is None or self.cycle.response_complete or self._is_behind:
            self._abort()
            return
        self._is_behind = self.transport.get_write_buffer_size() > 0
        self._timer = self.loop.call_later(self.seconds, self._expire)

    def _abort(self) -> None:
        """End the connection by a reset: the kernel, too, drops what the client does not take."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()


def bounded_connection(seconds: float) -> type[BoundedConnection]:
    """Return the class of connections with this time."""
    return type("TimedConnection", (BoundedConnection,), {"seconds": seconds})
