"""One GET over HTTP: verified TLS, the environment's proxies, no redirects away from TLS.

A publisher (by a redirect, or by an address in its documents) leads to nothing that is nearer to
this machine than itself: from the internet into no private network, and from a private network
neither to this machine nor to the service that has its credentials.

Nothing is decoded here: a body is as the server sent it, so that its length, its digest and the
offset to resume from are those of the file itself.
"""

from __future__ import annotations

import ssl
import time
from contextlib import contextmanager, suppress
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

from sidelight.download.deadlines import POOLS, RequestDeadline, peer
from sidelight.download.public_addresses import Reach, pools_from, reach_of
from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.response import BaseHTTPResponse

_REDIRECTS = 5
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_CONNECT = 10.0  # seconds until a connection is established
_SILENCE = 30.0  # seconds without a byte, after which a body has stalled
WINDOW = 60.0  # seconds for an answer's beginning, redirects included, and for SLOWEST bytes
SLOWEST = 256 << 10  # bytes of a body in a window, or what is left of it
_SHOWN = 200  # characters of an address that a publisher names
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
        window: float = WINDOW,
        context: ssl.SSLContext | None = None,
        pools: Mapping[str, type[HTTPConnectionPool]] = POOLS,
    ) -> None:
        """`pools` are those of connections without a proxy; a proxy's own address is trusted.

        Times are in seconds; `window` is that of `get`.
        """
        self._window = window
        self._reached: dict[str, Reach] = {}  # by host
        self._bounded_managers: dict[Reach, urllib3.PoolManager] = {}
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
        return self._sent(self._manager(url), url, headers, method, body)

    def _sent(
        self,
        manager: urllib3.PoolManager,
        url: str,
        headers: Mapping[str, str],
        method: str = "GET",
        body: bytes | None = None,
    ) -> BaseHTTPResponse:
        return manager.request(
            method, url, body=body, headers=headers, redirect=False, retries=False,
            preload_content=False, decode_content=False, timeout=self._timeout,
        )  # fmt: skip

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str], named_by: str = "") -> Iterator[FeedAnswer]:
        """Open the final answer to a GET, with its body not read yet.

        `named_by`: the address of the document that names this one, if a publisher's does.

        Raises InterruptedBodyError if the connection fails or is too slow, also while the body is
        read within the `with`; DownloadError for endless redirects, one away from TLS, and an
        address that is nearer than its publisher's.
        """
        with RequestDeadline(self._window) as deadline:
            response: BaseHTTPResponse | None = None
            try:
                least = self._reached.get(_host(named_by), Reach.PUBLIC) if named_by else None
                response = self._followed(url, {"User-Agent": AGENT, **headers}, least)
                deadline.shorten(self._window)
                yield FeedAnswer(response, deadline, self._window, url)
            except HTTPError as error:
                if deadline.is_over:
                    raise _too_slow(url, self._window) from error
                raise explained(error, url) from error
            finally:
                if response is not None:
                    response.close()  # the rest is not needed: the connection is closed

    def _followed(
        self, url: str, headers: Mapping[str, str], least: Reach | None
    ) -> BaseHTTPResponse:
        at = url
        for _redirect in range(_REDIRECTS + 1):
            try:
                response = self._request(at, headers, least)
            except LocationParseError as error:
                raise DownloadError(f"{at[:_SHOWN]!r} is not an address", where=url) from error
            target = response.headers.get("Location")
            if response.status not in _REDIRECTED or not target:
                return response
            response.close()
            further = urljoin(at, target)
            if urlsplit(further).scheme not in {"https", urlsplit(at).scheme}:
                what = f"redirected to {further[:_SHOWN]}, which is less safe"
                raise DownloadError(what, where=url)
            least = max(least or Reach.METADATA, self._reached.get(_host(at), Reach.PUBLIC))
            at = further
        raise DownloadError(f"redirected more than {_REDIRECTS} times", where=url)

    def _request(
        self, url: str, headers: Mapping[str, str], least: Reach | None
    ) -> BaseHTTPResponse:
        """Send a GET; `least` bounds where an address leads that somebody else named.

        Raises DownloadError where it is nearer.
        """
        manager = self._manager(url)
        if least is not None:
            try:
                manager = self._bounded(manager, url, least)
                response = self._sent(manager, url, headers)
            except DownloadError as error:
                what = f"leads to {url[:_SHOWN]}, which is refused: {error.what}"
                raise DownloadError(what, where=error.where) from error
        else:
            response = self._sent(manager, url, headers)
        with suppress(ValueError):  # its connection ended before its address was read
            self._reached[_host(url)] = reach_of(peer())
        return response

    def _bounded(self, manager: urllib3.PoolManager, url: str, least: Reach) -> urllib3.PoolManager:
        """Return what connects to no nearer address than `least`. Raises DownloadError.

        A proxy resolves names itself: only an address without a name can be judged then.
        """
        if manager is self._direct:
            if least not in self._bounded_managers:
                bounded = urllib3.PoolManager(ssl_context=self._context)
                bounded.pool_classes_by_scheme = dict(pools_from(least))
                self._bounded_managers[least] = bounded
            return self._bounded_managers[least]
        with suppress(ValueError):
            if reach_of(_host(url)) < max(least, Reach.PRIVATE):
                raise DownloadError("its address is not a public one", where=_host(url))
        return manager


class FeedAnswer:
    """An answer whose body is read at a least pace."""

    def __init__(
        self, response: BaseHTTPResponse, deadline: RequestDeadline, window: float, url: str
    ) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._deadline = deadline
        self._window = window
        self._url = url

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the body as it arrives, in pieces of at most `size` bytes.

        Raises InterruptedBodyError if it arrives too slowly, and urllib3's errors.
        """
        received, since = 0, time.monotonic()
        while chunk := self._response.read1(size, decode_content=False):
            yield chunk
            received += len(chunk)
            if received >= SLOWEST and time.monotonic() - since >= self._window / 10:
                self._deadline.shorten(self._window)
                received, since = 0, time.monotonic()
        if self._deadline.is_over:  # a body without a length ends where its connection does
            raise _too_slow(self._url, self._window)


def _too_slow(url: str, window: float) -> InterruptedBodyError:
    what = f"{_host(url)} sends too slowly: less than {SLOWEST >> 10} KiB in {window:g} s"
    return InterruptedBodyError(what, where=url)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


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
