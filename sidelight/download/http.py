"""One GET over HTTP: TLS verified, proxies of the environment, redirects that stay as safe.

Nothing is decoded here: a body arrives as the server sent it, so that its length, its digest and
the place to go on from are those of the file itself.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError

from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3.response import BaseHTTPResponse

_REDIRECTS = 5
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_CONNECT = 10.0  # seconds until a connection stands
_SILENCE = 30.0  # seconds without a byte, after which a body has stalled
AGENT = "Sidelight (advisory feeds)"


class InterruptedBodyError(DownloadError):
    """The connection failed, or ended before the body did: worth another try."""


class Client:
    """Connections to publishers; may be used by several threads."""

    def __init__(self, *, connect: float = _CONNECT, silence: float = _SILENCE) -> None:
        self._timeout = urllib3.Timeout(connect=connect, read=silence)
        self._context = ssl.create_default_context()
        self._direct = urllib3.PoolManager(ssl_context=self._context)
        self._proxies: dict[str, urllib3.ProxyManager] = {}

    def _manager(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if not proxy or proxy_bypass(parts.netloc):
            return self._direct
        if proxy not in self._proxies:
            self._proxies[proxy] = urllib3.ProxyManager(
                proxy if "//" in proxy else f"http://{proxy}", ssl_context=self._context
            )
        return self._proxies[proxy]

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[BaseHTTPResponse]:
        """The final answer to a GET, its body not yet read.

        Raises InterruptedBodyError where the connection fails, also while the body is read within
        the `with`; DownloadError for redirects without end or away from TLS.
        """
        response: BaseHTTPResponse | None = None
        try:
            response = self._followed(url, headers)
            yield response
        except HTTPError as error:
            raise InterruptedBodyError(_reason(error), where=url) from error
        finally:
            if response is not None:
                response.close()  # its rest is not wanted: the connection is given up

    def _followed(self, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        at = url
        for _redirect in range(_REDIRECTS + 1):
            try:
                response = self._manager(at).request(
                    "GET", at, headers={"User-Agent": AGENT, **headers}, redirect=False,
                    retries=False, preload_content=False, decode_content=False,
                    timeout=self._timeout,
                )  # fmt: skip
            except LocationParseError as error:
                raise DownloadError(f"{at!r} is no address", where=url) from error
            target = response.headers.get("Location")
            if response.status not in _REDIRECTED or not target:
                return response
            response.close()
            further = urljoin(at, target)
            if urlsplit(further).scheme not in {"https", urlsplit(at).scheme}:
                raise DownloadError(f"redirected to {further}, which is less safe", where=url)
            at = further
        raise DownloadError(f"redirected more than {_REDIRECTS} times", where=url)


def _reason(error: Exception) -> str:
    return f"the connection failed: {error}"[:300]
