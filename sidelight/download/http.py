"""One GET over HTTP: verified TLS, the environment's proxies, no redirects away from TLS.

Nothing is decoded here: a body is as the server sent it, so that its length, its digest and the
offset to resume from are those of the file itself.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from functools import cached_property
from http.client import HTTPException, RemoteDisconnected
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from sidelight.download.deadlines import POOLS
from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.response import BaseHTTPResponse

_REDIRECTS = 5
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_CONNECT = 10.0  # seconds until a connection is established
_SILENCE = 30.0  # seconds without a byte, after which a body has stalled
AGENT = "Sidelight (advisory feeds)"


class InterruptedBodyError(DownloadError):
    """The connection failed, or ended before the body: a retry is useful."""


class UnreachableError(InterruptedBodyError):
    """No answer at the publisher's or the proxy's address, or no address: one more try."""


class Client:
    """Connections to publishers. Safe to share between threads."""

    def __init__(
        self,
        *,
        connect: float = _CONNECT,
        silence: float = _SILENCE,
        context: ssl.SSLContext | None = None,
        pools: Mapping[str, type[HTTPConnectionPool]] = POOLS,
    ) -> None:
        """`pools` are those of connections without a proxy; a proxy's own address is trusted."""
        self._timeout = urllib3.Timeout(connect=connect, read=silence)
        self._given_context = context
        self._pools = pools
        self._proxies: dict[str, urllib3.ProxyManager] = {}

    # Made for the first request: the system's certificates take some 20 ms to read.
    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._given_context or ssl.create_default_context()

    @cached_property
    def _direct(self) -> urllib3.PoolManager:
        manager = urllib3.PoolManager(ssl_context=self._context)
        manager.pool_classes_by_scheme = dict(self._pools)
        return manager

    def _manager(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if not proxy or proxy_bypass(parts.netloc):
            return self._direct
        if proxy not in self._proxies:
            manager = urllib3.ProxyManager(
                proxy if "//" in proxy else f"http://{proxy}", ssl_context=self._context
            )
            manager.pool_classes_by_scheme = POOLS
            self._proxies[proxy] = manager
        return self._proxies[proxy]

    def opened(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> BaseHTTPResponse:
        """Return the answer to one request, with its body not read yet; the caller closes it.

        Raises urllib3's errors: `explained` has ours.
        """
        return self._manager(url).request(
            method, url, body=body, headers=headers, redirect=False, retries=False,
            preload_content=False, decode_content=False, timeout=self._timeout,
        )  # fmt: skip

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[BaseHTTPResponse]:
        """Open the final answer to a GET, with its body not read yet.

        Raises InterruptedBodyError if the connection fails, also while the body is read within the
        `with`; DownloadError for endless redirects or one away from TLS.
        """
        response: BaseHTTPResponse | None = None
        try:
            response = self._followed(url, headers)
            yield response
        except HTTPError as error:
            raise explained(error, url) from error
        finally:
            if response is not None:
                response.close()  # the rest is not needed: the connection is closed

    def _followed(self, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        at = url
        for _redirect in range(_REDIRECTS + 1):
            try:
                response = self.opened("GET", at, {"User-Agent": AGENT, **headers})
            except LocationParseError as error:
                raise DownloadError(f"{at!r} is not an address", where=url) from error
            target = response.headers.get("Location")
            if response.status not in _REDIRECTED or not target:
                return response
            response.close()
            further = urljoin(at, target)
            if urlsplit(further).scheme not in {"https", urlsplit(at).scheme}:
                raise DownloadError(f"redirected to {further}, which is less safe", where=url)
            at = further
        raise DownloadError(f"redirected more than {_REDIRECTS} times", where=url)


def explained(error: HTTPError, url: str) -> InterruptedBodyError:
    """Return our error of one of urllib3's."""
    cause = _cause(error)
    is_unreachable = isinstance(cause, (NewConnectionError, ConnectTimeoutError))
    kind = UnreachableError if is_unreachable else InterruptedBodyError
    return kind(_reason(cause, url), where=url)


def _cause(error: BaseException) -> BaseException:
    """Return the cause of a proxy's or a protocol's error."""
    inner = getattr(error, "original_error", None) or getattr(error, "reason", None)
    return inner if isinstance(inner, HTTPError) else error


def _fault(error: BaseException) -> str:
    """Return what ended a connection in words, without Python's names of errors."""
    inner: object = error
    # `ProtocolError('Connection aborted.', RemoteDisconnected('Remote end closed …'))`
    while isinstance(inner, HTTPError) and inner.args and isinstance(inner.args[-1], Exception):
        inner = inner.args[-1]
    if isinstance(inner, RemoteDisconnected):
        return "it was closed before an answer"
    if isinstance(inner, (ConnectionError, TimeoutError)):
        return (inner.strerror or "it was closed").lower()
    if isinstance(inner, HTTPException):
        return "the answer is not HTTP"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()[:150]
    return str(inner).rpartition(">: ")[2][:150]


def _tls_fault(error: BaseException) -> str:
    """Return OpenSSL's reason: `[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)`."""
    inner = error.args[0] if error.args else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {inner.verify_message[:150]}"
    if isinstance(inner, ssl.SSLError) and inner.reason:
        return inner.reason.replace("_", " ").lower()[:150]
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()[:150]
    return str(inner)[:150]


def _reason(error: BaseException, url: str) -> str:
    """Return the reason of an error, without urllib3's names of its objects."""
    host = urlsplit(url).hostname
    known: tuple[tuple[type[BaseException], str], ...] = (
        (NameResolutionError, f"the name {getattr(error, '_host', host)} cannot be resolved"),
        # `HTTPSConnection(…): Failed to establish a new connection: [Errno 111] Connection refused`
        (NewConnectionError, f"{host} cannot be reached: {str(error).rpartition('] ')[2][:100]}"),
        (ConnectTimeoutError, f"{host} did not accept a connection in time"),
        (ReadTimeoutError, f"{host} sent nothing for too long"),
        (SSLError, f"TLS failed: {_tls_fault(error)}"),
        (ProxyError, f"the proxy failed: {_fault(getattr(error, 'original_error', error))}"),
    )
    other = f"the connection failed: {_fault(error)}"
    cut = error.args[-1] if isinstance(error, ProtocolError) and error.args else None
    if isinstance(cut, IncompleteRead):
        missing = cut.expected or 0
        other = f"the connection ended after {cut.partial} of {cut.partial + missing} bytes"
    return next((text for kind, text in known if isinstance(error, kind)), other)
