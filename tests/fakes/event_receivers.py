"""A receiver of webhooks on loopback that fails in every way, in the order of its script."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


@dataclass
class Posted:
    """One request as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers.get("webhook-id", "")


@dataclass
class EventReceiver:
    """What came, what was answered with 200, and how the next requests are answered."""

    url: str = ""
    requests: list[Posted] = field(default_factory=list)
    taken: list[Posted] = field(default_factory=list)
    script: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def hang(self, _handler: BaseHTTPRequestHandler) -> None:
        self.ended.wait(30)

    def drip(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer 200, and then send a byte of the body now and then, until the client leaves."""
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.close_connection = True
        try:
            while not self.ended.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            pass

    def drip_status(self, handler: BaseHTTPRequestHandler) -> None:
        """Send a byte of the status line now and then, until the client leaves."""
        handler.close_connection = True
        try:
            handler.wfile.write(b"HTTP/1.1 200 ")
            while not self.ended.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            pass


def huge_head(handler: BaseHTTPRequestHandler) -> None:
    """Send headers that do not end."""
    handler.close_connection = True
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X-Long: " + b"x" * 60_000 + b"\r\n")
    except OSError:
        pass


def status(
    code: int, body: bytes = b"no", **headers: str
) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def cut(handler: BaseHTTPRequestHandler) -> None:
    """End the connection within the status line, with a reset."""
    handler.wfile.write(b"HTTP/1.1 2")
    handler.wfile.flush()
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    handler.close_connection = True


def cut_body(handler: BaseHTTPRequestHandler) -> None:
    """Promise a body and end within it: the status came."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"half")
    handler.close_connection = True


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Answer 200 with a body that does not end."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    try:
        while True:
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass


def closed(handler: BaseHTTPRequestHandler) -> None:
    """End the connection without an answer."""
    handler.close_connection = True


def not_http(handler: BaseHTTPRequestHandler) -> None:
    """Answer in another protocol."""
    handler.wfile.write(b"220 mail.example ESMTP\r\n")
    handler.close_connection = True


@contextmanager
def receiving(certificate: Path | None = None) -> Iterator[EventReceiver]:
    """Serve on loopback; with a PEM file of key and certificate by TLS."""
    receiver = EventReceiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            receiver.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted = Posted({name.lower(): value for name, value in self.headers.items()}, body)
            receiver.requests.append(posted)
            if receiver.script:
                receiver.script.pop(0)(self)
                return
            receiver.taken.append(posted)
            status(200, b"ok")(self)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # a client that leaves is what is tested

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        receiver.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.ended.set()
            server.shutdown()
            thread.join()
