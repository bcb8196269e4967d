"""An HTTP/1.1 server with keep-alive: a thread a connection, loopback sized.

Werkzeug's own server closes each connection, which halves the rate of block reads.
"""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from sidelight.localcloud.kernel_timestamps import Arrivals
from sidelight.localcloud.messages import Reply, Request, Wreck

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BODY = 16 << 20


class Connection(BaseHTTPRequestHandler):
    """One client's connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def setup(self) -> None:
        """Be known to the listener, so that it can end us."""
        super().setup()
        self.rfile.close()
        self.arrivals = Arrivals(self.connection)
        self.rfile = io.BufferedReader(self.arrivals)
        self.number = self.server.opened(self.connection)

    def finish(self) -> None:
        """Be forgotten."""
        self.server.closed(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        """Serve until the client leaves."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing: the counters report what was called."""

    def _exchange(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_BODY or "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.close_connection = True
            self._send(Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
            return
        body = self.rfile.read(length) if length else b""
        path, _, query = self.path.partition("?")
        request = Request(
            method=self.command,
            path=unquote(path),
            query_string=query,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            arrived=self.arrivals.at,
            connection=self.number,
        )
        try:
            reply = self.server.front(request)
        except Exception:  # noqa: BLE001 - moto may raise anything, and the client is to hear of it
            traceback.print_exc()
            reply = Reply(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._send(reply)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _exchange  # noqa: N815 - the base's names

    def _send(self, reply: Reply) -> None:
        if reply.wreck is not Wreck.NONE:
            self.close_connection = True
        if reply.wreck is Wreck.HANG:
            # It comes back when the client leaves, or at `stop`.
            with contextlib.suppress(OSError):
                self.connection.recv(1)
        if reply.wreck in (Wreck.LOST, Wreck.HANG):
            return
        phrase = HTTPStatus(reply.status).phrase
        lines = [f"HTTP/1.1 {reply.status} {phrase}", f"Content-Length: {len(reply.body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        if self.close_connection:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        body = reply.body if self.command != "HEAD" else b""
        if reply.wreck is Wreck.CUT:
            body = body[: len(body) // 2]
        # Together where small: two packets would be two wake-ups of the client.
        if len(body) < 16384:
            self.wfile.write(head + body)
        else:
            self.connection.sendall(head, socket.MSG_MORE)
            self.connection.sendall(body)


class Listener(ThreadingHTTPServer):
    """Listens and serves in threads of its own, from construction to `stop`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, host: str, port: int, front: Callable[[Request], Reply]) -> None:
        """Raises OSError where the address cannot be had."""
        self.front = front
        self._open: set[socket.socket] = set()
        self._count = 0
        self._lock = threading.Lock()
        super().__init__((host, port), Connection)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), name="localcloud", daemon=True
        )
        self._thread.start()

    def opened(self, connection: socket.socket) -> int:
        """A connection began; its number."""
        with self._lock:
            self._open.add(connection)
            self._count += 1
            return self._count

    def closed(self, connection: socket.socket) -> None:
        """A connection ended."""
        with self._lock:
            self._open.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not news; anything else is printed by the base."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Listen no more and end every connection."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
