"""Requests with small answers: no redirects, and bounds on size and time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode

from urllib3.exceptions import HTTPError, LocationParseError

from sidelight.download.deadlines import RequestDeadline
from sidelight.download.http import Client, explained
from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.response import BaseHTTPResponse

ANSWER_LIMIT: Final = 256 << 10  # bytes
SECONDS: Final = 10.0  # for a whole request, from its connection to the last byte
_SILENCE: Final = 5.0  # seconds without a byte
_AT_ONCE: Final = 2  # a server that answers slowly takes no more threads than these
_CHUNK: Final = 8 << 10


class SmallAnswer(NamedTuple):
    """An answer's status and whole body."""

    status: int
    body: bytes


class SmallAnswerClient:
    """Sends requests whose answers are small. Safe to share between threads."""

    def __init__(self, *, limit: int = ANSWER_LIMIT, seconds: float = SECONDS) -> None:
        self._client = Client(connect=_SILENCE, silence=min(_SILENCE, seconds))
        self._limit = limit
        self._seconds = seconds
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def get(self, url: str) -> SmallAnswer:
        """Return the answer to a GET. Raises DownloadError."""
        return self._bounded("GET", url, None, {})

    def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> SmallAnswer:
        """Return the answer to a form. Raises DownloadError."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._bounded("POST", url, urlencode(fields).encode(), {**kind, **headers})

    def _bounded(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> SmallAnswer:
        if not self._places.acquire(timeout=self._seconds):
            raise DownloadError(
                "it answers too slowly: other requests are still waiting", where=url
            )
        try:
            return self._answer(method, url, body, headers)
        except LocationParseError as error:
            raise DownloadError(f"{url!r} is not an address", where=url) from error
        except HTTPError as error:
            raise explained(error, url) from error
        finally:
            self._places.release()

    def _answer(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> SmallAnswer:
        late = f"the answer took over {self._seconds:g} s"
        with RequestDeadline(self._seconds) as deadline:
            try:
                received = self._received(self._client.opened(method, url, headers, body), url)
            except HTTPError as error:
                if deadline.is_over:
                    raise DownloadError(late, where=url) from error
                raise
            # An answer without a length ends where the connection does.
            if deadline.is_over:
                raise DownloadError(late, where=url)
            return received

    def _received(self, response: BaseHTTPResponse, url: str) -> SmallAnswer:
        try:
            received = bytearray()
            for chunk in response.stream(_CHUNK, decode_content=False):
                received += chunk
                if len(received) > self._limit:
                    raise DownloadError(f"the answer is longer than {self._limit} bytes", where=url)
            return SmallAnswer(response.status, bytes(received))
        finally:
            response.close()
