"""A publisher of feeds on loopback, with the faults of real ones, each at a place of its own."""

from __future__ import annotations

import gzip
import hashlib
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODIFIED = "Tue, 24 Nov 2026 10:00:00 GMT"


@dataclass
class Page:
    """What is published at a path. `faults` are used up first, one a request."""

    body: bytes
    etag: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    faults: list[Callable[[Handler, Page], None]] = field(default_factory=list)
    ranges: bool = True

    def __post_init__(self) -> None:
        self.etag = self.etag or f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'


class Handler(BaseHTTPRequestHandler):
    """Answers as a static file server does: validators, ranges, transfer compression."""

    protocol_version = "HTTP/1.1"
    server: Publisher

    def do_GET(self) -> None:
        path = self.path
        self.server.requests.append((path, dict(self.headers.items())))
        page = self.server.pages.get(path)
        if page is None:
            self.answer(404, b"nothing here")
        elif page.faults:
            page.faults.pop(0)(self, page)
        else:
            self.serve(page)

    def serve(self, page: Page, *, cut: int | None = None) -> None:
        """The page; only `cut` bytes of the body arrive before the connection ends."""
        headers = {"ETag": page.etag, "Last-Modified": MODIFIED, **page.headers}
        if self.headers.get("If-None-Match") == page.etag:
            self.answer(304, b"", headers)
            return
        body, status = page.body, 200
        start = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        if start and page.ranges and self.headers.get("If-Range") in {page.etag, MODIFIED}:
            if int(start) >= len(body):
                self.answer(416, b"")
                return
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body, status = body[int(start) :], 206
        elif "gzip" in self.headers.get("Accept-Encoding", "") and "X-Plain" not in headers:
            body = gzip.compress(body, mtime=0)
            headers["Content-Encoding"] = "gzip"
        self.answer(status, body, headers, cut=cut)

    def answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, *_args: Any) -> None:
        """Nothing to the terminal."""


class Publisher(ThreadingHTTPServer):
    """The server: what it publishes, and what it was asked."""

    daemon_threads = True

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.done = threading.Event()
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            scheme = "https"
        self.base = f"{scheme}://127.0.0.1:{self.server_address[1]}"

    def publish(self, path: str, body: bytes, **more: Any) -> Page:
        page = self.pages[path] = Page(body, **more)
        return page

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up a connection is not a fault of the server."""

    def running(self) -> Iterator[Publisher]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.done.set()
            self.shutdown()
            self.server_close()
            thread.join()


def status(code: int, **headers: str) -> Callable[[Handler, Page], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _page: handler.answer(code, b"", named)


def cut(after: int) -> Callable[[Handler, Page], None]:
    """The connection ends before the body does."""
    return lambda handler, page: handler.serve(page, cut=after)


def stall(after: int) -> Callable[[Handler, Page], None]:
    """The body stops, and the connection stays."""

    def fault(handler: Handler, page: Page) -> None:
        handler.serve(page, cut=after)
        handler.wfile.flush()
        handler.server.done.wait()

    return fault


def renewed(body: bytes, after: int) -> Callable[[Handler, Page], None]:
    """The connection ends, and then another edition is published."""

    def fault(handler: Handler, page: Page) -> None:
        handler.serve(page, cut=after)
        page.body = body
        page.etag = '"another"'

    return fault


def drip(begin: bytes, piece: bytes) -> Callable[[Handler, Page], None]:
    """The answer begins so, and then a piece comes now and then, without an end."""

    def fault(handler: Handler, _page: Page) -> None:
        handler.close_connection = True
        with suppress(OSError):
            handler.wfile.write(begin)
            while not handler.server.done.wait(0.02):
                handler.wfile.write(piece)

    return fault
