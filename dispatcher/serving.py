"""The HTTP server of `sidelight serve`: metrics, sums as JSON, one page. It only reads.

There is no authentication yet, so it listens on loopback unless told otherwise; there it answers
only to a Host that is this machine, so that no web page can have a browser ask it.
"""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from dispatcher import console
from dispatcher.cost_report import costs_document, moment
from dispatcher.kept import Kept
from dispatcher.metrics import exposition
from dispatcher.sums import sums
from sidelight.errors import StoreError, UsageError
from sidelight.report.as_json import dumps
from sidelight.store.costs import BY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidelight.store import Store
    from workers.settings import Settings

log = logging.getLogger(__name__)

JSON = "application/json"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": console.POLICY,
}


class Server(ThreadingHTTPServer):
    """Listens from its construction; `serve_forever` answers."""

    daemon_threads = True

    def __init__(self, store: Store, settings: Settings, host: str, port: int) -> None:
        """Raises UsageError where the address cannot be had."""
        self.store = store
        self.settings = settings
        self.sums = Kept(lambda: sums(store))
        try:
            super().__init__((host, port), Answer)
        except OSError as error:
            raise UsageError(f"cannot listen: {error}", where=f"{host}:{port}") from error
        self.loopback = is_loopback(host)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine and nothing else."""
    name = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


class Answer(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 30  # a client that says nothing does not hold a thread for ever
    server_version = "Sidelight"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer by the path."""
        parts = urlsplit(self.path)
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        if self.server.loopback and not is_loopback(host):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, JSON, _error("this host is not served"))
            return
        made = PATHS.get(parts.path)
        if made is None:
            self._send(HTTPStatus.NOT_FOUND, JSON, _error("there is nothing here"))
            return
        kind, answer = made
        try:
            body = answer(self.server, parse_qs(parts.query))
        except UsageError as error:
            self._send(HTTPStatus.BAD_REQUEST, JSON, _error(str(error)))
        except StoreError as error:
            log.warning("%s", error)
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, JSON, _error("the store does not answer"))
        else:
            self._send(HTTPStatus.OK, kind, body)

    do_HEAD = do_GET  # noqa: N815 - the base's names

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """To the log, with what a client sent escaped."""
        log.info("%s %r", self.client_address[0], format % args)


def _metrics(server: Server, _: Mapping[str, list[str]]) -> bytes:
    return exposition(server.store, server.settings, server.sums)


def _page(server: Server, _: Mapping[str, list[str]]) -> bytes:
    page = console.page(server.store, server.settings, server.sums())
    return page.encode("utf-8", "backslashreplace")


def _health(server: Server, _: Mapping[str, list[str]]) -> bytes:
    server.store.totals.instances()  # raises where the store is away
    return b'{"status": "ok"}\n'


def _costs(server: Server, query: Mapping[str, list[str]]) -> bytes:
    by = query.get("by", ["account"])
    since = moment(query["since"][0]) if "since" in query else None
    if unknown := sorted(set(by) - set(BY)):
        raise UsageError(f"by is one of {', '.join(BY)}, not {', '.join(unknown)}")
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
