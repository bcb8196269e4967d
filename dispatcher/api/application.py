"""The ASGI application of `sidelight serve`: console, probes and API, on a pool of threads."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from dispatcher.api.errors import (
    ApiError,
    MalformedRequestError,
    MissingAuthenticationError,
    RequestTimeoutError,
    RequestTooLargeError,
)
from dispatcher.api.gateway import answerable
from dispatcher.api.http_messages import HttpRequest, check_host
from dispatcher.api.pages import JSON, METRICS, PAGES, SECURITY_HEADERS
from dispatcher.api.protocol.answers import Answer, failure
from dispatcher.api.protocol.requests import BODY_LIMIT
from sidelight.report.as_json import dumps

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from datetime import datetime

    from starlette.requests import Request

    from dispatcher.api.authentication.authenticator import Authenticator
    from dispatcher.api.console_mount import ConsoleMount
    from dispatcher.api.gateway import Gateway
    from dispatcher.api.pages import PageContext

log = logging.getLogger(__name__)

MAX_FIELDS: Final = 20  # fields of a page's query
_BASIC: Final = 'Basic realm="Sidelight: an access key\'s id and secret", charset="UTF-8"'


class Application:
    """Reads requests, answers them on threads, and writes the answers."""

    def __init__(  # noqa: PLR0913 - what it is made of, by keyword
        self,
        *,
        context: PageContext,
        gateway: Gateway,
        authenticator: Authenticator,
        console: ConsoleMount,
        executor: Executor,
        hosts: frozenset[str] | None,
        now: Callable[[], datetime],
    ) -> None:
        """`hosts` are the names that are served besides loopback's; None: beyond loopback."""
        self._context = context
        self._gateway = gateway
        self._authenticator = authenticator
        self._console = console
        self._executor = executor
        self._hosts = hosts
        self._now = now
        self._seconds = context.settings.api.request_seconds

    def asgi(self) -> Starlette:
        """Return the application for a server of ASGI."""
        methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        return Starlette(routes=[Route("/{path:path}", self._endpoint, methods=methods)])

    async def _endpoint(self, request: Request) -> Response:
        source = request.client.host if request.client else ""
        path = ""
        try:
            async with asyncio.timeout(self._seconds):
                body = await _body(request)
            path, _, query = _target(request)
            read = HttpRequest(request.method, path, query, _headers(request), body, source)
            check_host(read, self._hosts)
            if path not in PAGES and self._console.serves(read):
                response = await self._console.answer(read, secure=request.url.scheme == "https")
                log.info("%s %s %.300r %d", source, request.method, path, response.status_code)
                return response
            answer = self._page if path in PAGES else self._gateway.answer
            loop = asyncio.get_running_loop()
            reply = await loop.run_in_executor(self._executor, answer, read)
        except TimeoutError:
            reply = _closing(RequestTimeoutError("the request took too long"))
        except ApiError as error:
            reply = _closing(error)
        log.info("%s %s %.300r %d", source, request.method, path, reply.status)
        headers = {**SECURITY_HEADERS, "Server": "Sidelight", **reply.headers}
        return Response(reply.body, reply.status, headers)

    def _page(self, request: HttpRequest) -> Answer:
        """Return a page. Raises nothing."""
        page = PAGES[request.path]
        try:
            if request.method not in {"GET", "HEAD"}:
                return _plain(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD"})
            self._check_reader(request)
            query = _page_query(request.query)
            body = page.body(self._context, query)
        except MissingAuthenticationError:
            return _plain(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": _BASIC})
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            shown = answerable(error, f"{request.path!r:.200}")
            body = dumps({"error": shown.what}).encode()
            return Answer(shown.status, {"Content-Type": JSON, **shown.headers()}, body)
        return Answer(HTTPStatus.OK, {"Content-Type": page.content_type}, body)

    def _check_reader(self, request: HttpRequest) -> None:
        """Raise MissingAuthenticationError unless the caller may read a page.

        On loopback everyone may, as ever; beyond it the id and secret of an access key without
        account scope is asked for: pages are about the whole fleet.
        """
        page, api = PAGES[request.path], self._context.settings.api
        is_open = page.is_probe or (request.path == METRICS and api.open_metrics)
        if self._hosts is not None or is_open:
            return
        key_and_secret = _basic(request)
        if key_and_secret is None:
            raise MissingAuthenticationError("the page needs an access key")
        try:
            principal = self._authenticator.by_secret(*key_and_secret, self._now())
        except ApiError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            raise MissingAuthenticationError(error.what) from error
        if principal.accounts is not None:
            raise MissingAuthenticationError("the key is not for the whole fleet")


async def _body(request: Request) -> bytes:
    """Return the body. Raises RequestTooLargeError and MalformedRequestError."""
    if request.headers.get("transfer-encoding"):
        raise MalformedRequestError("a body needs Content-Length; chunked bodies are not accepted")
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_LIMIT:
        raise RequestTooLargeError(f"a body may have {BODY_LIMIT} bytes")
    return b"".join([part async for part in request.stream()])


def _target(request: Request) -> tuple[str, str, str]:
    """Return the path as it was sent, and the query. Raises MalformedRequestError."""
    raw = request.scope.get("raw_path")
    path = raw if isinstance(raw, bytes) else request.url.path.encode()
    try:
        query = request.scope["query_string"].decode("ascii")
        return path.decode("ascii").partition("?")[0], "?", query
    except UnicodeDecodeError as error:
        raise MalformedRequestError("the path is not ASCII") from error


def _headers(request: Request) -> list[tuple[str, str]]:
    try:
        return [(name.decode("ascii").lower(), value.decode("utf-8"))
                for name, value in request.headers.raw]  # fmt: skip
    except UnicodeDecodeError as error:
        raise MalformedRequestError("a header is not UTF-8") from error


def _page_query(query: str) -> dict[str, list[str]]:
    try:
        return parse_qs(query, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise MalformedRequestError("not a valid query") from error


def _basic(request: HttpRequest) -> tuple[str, str] | None:
    """Return key id and secret of HTTP's Basic authentication; None where there is none."""
    values = request.values("authorization")
    kind, _, text = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, secret) if colon else None


def _plain(status: HTTPStatus, headers: dict[str, str]) -> Answer:
    body = dumps({"error": status.phrase.lower()}).encode()
    return Answer(status, {"Content-Type": JSON, **headers}, body)


def _closing(error: ApiError) -> Answer:
    """Return an error's answer that ends the connection: what follows it may be the body."""
    answer = failure(error, "")
    return Answer(answer.status, {**answer.headers, "Connection": "close"}, answer.body)
