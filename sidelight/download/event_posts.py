"""POST to a receiver of events: verified TLS, no redirects, bounds on answer and time."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError, LocationParseError

from sidelight.download.deadlines import POOLS, RequestDeadline
from sidelight.download.http import Client, explained
from sidelight.download.public_addresses import PUBLIC_POOLS, is_public
from sidelight.errors import DownloadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.response import BaseHTTPResponse

SECONDS: Final = 15.0  # for a whole request, from its connection to the last byte
BODY_SECONDS: Final = 1.0  # for an answer's body, once its status has come: it is only shown
ANSWER_LIMIT: Final = 16 << 10  # bytes that are read of an answer; its status alone counts
URL_LIMIT: Final = 2048  # characters
_CHUNK: Final = 4 << 10
AGENT: Final = "Sidelight (events)"


class PostAnswer(NamedTuple):
    """An answer's status, the begin of its body, and its headers Retry-After and Location."""

    status: int
    body: bytes
    retry_after: str = ""
    location: str = ""


class EventPosts:
    """Sends requests to one receiver. Its connection is kept between them."""

    def __init__(
        self, url: str, *, private: bool = False, ca: str = "", seconds: float = SECONDS
    ) -> None:
        """`private` allows addresses that are not public, and HTTP. `ca`: a file of authorities.

        Raises UsageError for an address that is not one of a receiver, and for the file.
        """
        self.where = _checked(url, private=private)
        self._url = url
        self._seconds = seconds
        self._client = Client(
            connect=seconds,
            silence=seconds,
            context=_context(ca),
            pools=POOLS if private else PUBLIC_POOLS,
        )

    def post(self, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """Return the answer to a request. Raises DownloadError where no status came."""
        try:
            return self._answer(body, {"User-Agent": AGENT, **headers})
        except LocationParseError as error:
            raise DownloadError("is not an address", where=self.where) from error
        except HTTPError as error:
            raise explained(error, self.where) from error

    def _answer(self, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        with RequestDeadline(self._seconds) as deadline:
            try:
                response = self._client.opened("POST", self._url, headers, body)
            except HTTPError as error:
                if deadline.is_over:
                    raise self._late() from error
                raise
            if deadline.is_over:  # http.client takes a head that is cut for a whole one
                response.close()
                raise self._late()
            deadline.shorten(BODY_SECONDS)
            try:
                return PostAnswer(
                    response.status,
                    _begin(response),
                    response.headers.get("Retry-After", ""),
                    response.headers.get("Location", ""),
                )
            finally:
                response.close()

    def _late(self) -> DownloadError:
        return DownloadError(f"no answer within {self._seconds:g} s", where=self.where)


def _begin(response: BaseHTTPResponse) -> bytes:
    """Return the begin of a body. One that is read to its end leaves its connection open."""
    received = bytearray()
    try:
        for chunk in response.stream(_CHUNK, decode_content=False):
            received += chunk
            if len(received) > ANSWER_LIMIT:
                break
    except HTTPError:
        pass  # the status came: the receiver has decided
    return bytes(received[:ANSWER_LIMIT])


def _checked(url: str, *, private: bool) -> str:
    """Return a receiver's scheme and host, for messages: its path may be a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError("is not an address of the web", where="webhook") from error
    if parts.scheme not in ("https", "http") or not host or len(url) > URL_LIMIT:
        raise UsageError("is not an address of the web (https://HOST/PATH)", where="webhook")
    shown = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
    if any(character.isspace() or not character.isprintable() for character in url):
        raise UsageError("has a blank or a control character in its address", where=shown)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise UsageError("has a user, a password or a fragment in its address", where=shown)
    if private:
        return shown
    if parts.scheme != "https":
        raise UsageError(
            "is not https; SIDELIGHT_WEBHOOK_PRIVATE=yes allows it in your own network", where=shown
        )
    _literal(host, shown)
    return shown


def _literal(host: str, shown: str) -> None:
    """Refuse a private address that is written as one: a proxy might connect to it."""
    try:
        public = is_public(host)
    except ValueError:
        return
    if not public:
        raise UsageError(
            "is not a public address; SIDELIGHT_WEBHOOK_PRIVATE=yes allows it", where=shown
        )


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            what = f"SIDELIGHT_WEBHOOK_CA cannot be read: {error}"
            raise UsageError(what, where=ca) from error
    return context
