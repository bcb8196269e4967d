"""A deadline for a whole request: connection, TLS, headers and body.

urllib3's timeouts are for each read: a peer that sends a byte of a header now and then is never too
slow for them. At the deadline the connections of the request are shut down, which ends any read.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from types import TracebackType

# Of this thread's request: `deadline`, and `peer`, the address that it is connected to.
_current: Final = threading.local()


class RequestDeadline:
    """Shuts down what this thread connects to within the `with`, `seconds` after its begin."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.is_over = False

    def __enter__(self) -> Self:
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _current.deadline = None
        self._timer.cancel()
        with self._lock:
            for watched in self._sockets:
                watched.close()
            self._sockets.clear()

    def shorten(self, seconds: float) -> None:
        """End the request `seconds` from now; a deadline that is over stays so."""
        self._timer.cancel()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, connected: socket.socket) -> None:
        """End this socket's connection at the deadline.

        A duplicate is kept: TLS takes the socket's descriptor away from its object.
        """
        copy = socket.fromfd(connected.fileno(), connected.family, connected.type)
        with self._lock:
            self._sockets.append(copy)
            if self.is_over:
                _shut(copy)

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for watched in self._sockets:
                _shut(watched)


def _shut(watched: socket.socket) -> None:
    with suppress(OSError):  # the peer ended it
        watched.shutdown(socket.SHUT_RDWR)


def peer() -> str:
    """Return the address of this thread's last request: of the proxy, where there is one."""
    return str(getattr(_current, "peer", ""))


def _watch(connected: socket.socket | None) -> None:
    if connected is not None:
        _current.peer = ""
        with suppress(OSError):  # the peer ended it: the request reports that
            _current.peer = connected.getpeername()[0]
    deadline: RequestDeadline | None = getattr(_current, "deadline", None)
    if deadline is not None and connected is not None:
        deadline.watch(connected)


class WatchedConnection(HTTPConnection):
    """Connections that the thread's deadline ends, also those of an earlier request."""

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        _watch(connected)
        return connected

    def putrequest(self, method: str, url: str, *flags: bool, **named: bool) -> None:
        """Begin a request, also on a connection that an earlier one left open."""
        _watch(self.sock)
        super().putrequest(method, url, *flags, **named)


class WatchedTlsConnection(WatchedConnection, HTTPSConnection):
    """As WatchedConnection, by TLS."""


class PlainPool(HTTPConnectionPool):
    """Connections without TLS that a deadline ends."""

    ConnectionCls = WatchedConnection


class TlsPool(HTTPSConnectionPool):
    """Connections by TLS that a deadline ends."""

    ConnectionCls = WatchedTlsConnection


# For `PoolManager.pool_classes_by_scheme`.
POOLS: Final = {"http": PlainPool, "https": TlsPool}
