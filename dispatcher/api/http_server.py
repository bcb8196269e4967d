"""The read-only HTTP server of `sidelight serve`: metrics, totals as JSON, and one page.

There is no authentication yet, so it listens on loopback by default. On loopback it accepts only a
Host header that names this machine, so that no web page can make a browser query it.
"""

from __future__ import annotations

import io
import ipaddress
import logging
import re
import sys
import threading
import time
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from dispatcher.api.metrics import exposition
from dispatcher.console import page
from dispatcher.services.cached_value import RefreshingValue
from dispatcher.services.fleet_totals import sums
from sidelight.errors import StoreError, UsageError
from sidelight.report.as_json import dumps
from sidelight.report.costs import costs_document, moment
from sidelight.store import COST_KEYS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from _typeshed import WriteableBuffer

    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

log = logging.getLogger(__name__)

JSON = "application/json"
# A name or an address, and a port: no user, no scope, no other part of a URL.
_HOST = re.compile(r"(?P<name>[\w.-]*|\[[\da-fA-F:.]+\])(?::\d{0,5})?", re.ASCII)
MAX_CONNECTIONS = 64  # concurrent connections; a scraper and some browsers need a handful
MAX_FIELDS = 20  # fields of a query
REQUEST_SECONDS = 30.0  # the longest time that a slow client can occupy a thread
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": page.POLICY,
}


class Server(ThreadingHTTPServer):
    """An HTTP server that listens from its construction; `serve_forever` answers requests.

    Each connection has a thread, up to MAX_CONNECTIONS; further connections are closed at once.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, store: Store, settings: Settings, host: str, port: int) -> None:
        """Bind the address. Raises UsageError where that fails."""
        self.store = store
        self.settings = settings
        self.sums = RefreshingValue(lambda: sums(store))
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        try:
            super().__init__((host, port), RequestHandler)
        except OSError as error:
            raise UsageError(f"cannot listen: {error}", where=f"{host}:{port}") from error
        self.loopback = is_loopback(host)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a connection's thread, or close the connection where too many are open."""
        if not self._free.acquire(blocking=False):
            log.warning("%s: refused: %d connections are open", client_address[0], MAX_CONNECTIONS)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection's requests, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log the error that ended a connection; a client that disconnects is not an error."""
        del request
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("%s: the connection failed", client_address[0], exc_info=error)

    @property
    def url(self) -> str:
        """The URL of the listening address."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"


def is_loopback(host: str) -> bool:
    """Whether a host's name or address denotes only this machine."""
    name = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


class _Deadline(io.RawIOBase):
    """Read a socket until a deadline, so that one byte at a time cannot hold a thread forever."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.until = 0.0

    def readable(self) -> bool:
        """Return True: the stream is readable."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Raise TimeoutError at the deadline."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class RequestHandler(BaseHTTPRequestHandler):
    """One connection. Any input of a client gets an answer, or the connection is closed."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = REQUEST_SECONDS  # of a write
    server_version = "Sidelight"
    sys_version = ""

    def setup(self) -> None:
        """Replace the input stream by one with a deadline."""
        super().setup()
        self.rfile.close()
        self._reader = _Deadline(self.connection)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """Handle a request, within REQUEST_SECONDS from the connection or the last answer."""
        self._reader.until = time.monotonic() + REQUEST_SECONDS
        super().handle_one_request()

    def do_GET(self) -> None:
        """Answer a request by its path."""
        # Close: a body would be parsed as the next request.
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        self.connection.settimeout(REQUEST_SECONDS)
        try:
            kind, body = self._answer()
            status = HTTPStatus.OK
        except _RefusedError as error:
            status, kind, body = error.status, JSON, _error(str(error))
        except UsageError as error:
            status, kind, body = HTTPStatus.BAD_REQUEST, JSON, _error(str(error))
        except StoreError as error:
            log.warning("%s", error)
            status, kind = HTTPStatus.SERVICE_UNAVAILABLE, JSON
            body = _error("the store does not answer")
        except Exception:
            # An internal error: the client still gets an answer, and the log gets the details.
            log.exception("%.200r", self.path)
            status, kind = HTTPStatus.INTERNAL_SERVER_ERROR, JSON
            body = _error("the server failed; its log has more")
        self._send(status, kind, body)

    do_HEAD = do_GET  # noqa: N815 - the base's names

    def _answer(self) -> tuple[str, bytes]:
        """Return content type and body. Raises _RefusedError, UsageError, StoreError."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) > 1:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "several Host headers")
        host = _HOST.fullmatch(hosts[0].strip() if hosts else "")
        if host is None:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "not a valid Host header")
        try:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "not a valid request") from error
        if self.server.loopback and not is_loopback(host["name"]):
            raise _RefusedError(HTTPStatus.MISDIRECTED_REQUEST, "this host is not served")
        if parts.path not in PATHS:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "no such path")
        kind, answer = PATHS[parts.path]
        return kind, answer(self.server, query)

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer invalid HTTP without repeating any of the client's input."""
        del message, explain
        status = HTTPStatus(code)
        self.log_error("code %d", code)
        self.close_connection = True
        self.command = self.command or ""
        self._send(status, JSON, _error(status.phrase.lower()))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log with the client's input escaped and bounded."""
        log.info("%s %.300r", self.client_address[0], format % args)


class _RefusedError(Exception):
    """A refused request, with the reason for the client."""

    def __init__(self, status: HTTPStatus, what: str) -> None:
        super().__init__(what)
        self.status = status


def _metrics(server: Server, _: Mapping[str, list[str]]) -> bytes:
    return exposition(server.store, server.settings, server.sums)


def _page(server: Server, _: Mapping[str, list[str]]) -> bytes:
    return page.page(server.store, server.settings, server.sums()).encode()


def _health(server: Server, _: Mapping[str, list[str]]) -> bytes:
    server.store.totals.instances()  # raises where the store does not answer
    return b'{"status": "ok"}\n'


def _costs(server: Server, query: Mapping[str, list[str]]) -> bytes:
    by = query.get("by", ["account"])
    since = moment(query["since"][0]) if "since" in query else None
    if unknown := sorted(set(by) - set(COST_KEYS)):
        raise UsageError(f"by is one of {', '.join(COST_KEYS)}, not {unknown[0][:100]!r}")
    return dumps({"costs": costs_document(server.store.costs.sums(by, since), by)}).encode()


def _coverage(server: Server, _: Mapping[str, list[str]]) -> bytes:
    totals = server.store.totals
    document = {
        "instances": totals.instances(),
        "coverage": [asdict(row) for row in totals.coverage()],
        "findings": totals.findings(),
    }
    return dumps(document).encode()


def _error(text: str) -> bytes:
    return dumps({"error": text}).encode()


PATHS: dict[str, tuple[str, Callable[[Server, Mapping[str, list[str]]], bytes]]] = {
    "/": ("text/html; charset=utf-8", _page),
    "/metrics": (CONTENT_TYPE_LATEST, _metrics),
    "/healthz": (JSON, _health),
    "/api/v1/costs": (JSON, _costs),
    "/api/v1/coverage": (JSON, _coverage),
}
