"""The console on the API's server: which requests are its own, and its answers in Starlette's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.responses import Response, StreamingResponse

from dispatcher.console.web_messages import WebAnswer, WebRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from concurrent.futures import Executor

    from dispatcher.api.http_messages import HttpRequest
    from dispatcher.console.application import ConsoleApplication
    from dispatcher.console.web_messages import Poll

MOST_STREAMS: Final = 64  # live views and downloads at once
STREAM_SECONDS: Final = 600.0  # of a live view; the browser connects again
ANSWER_SECONDS: Final = 60.0  # for a page, or a part of a download
_SIGNATURE: Final = "AWS4-HMAC-SHA256"


def is_signed(request: HttpRequest) -> bool:
    """Whether a request says that it is signed as AWS's are: then it is the API's."""
    in_header = any(_SIGNATURE in value for value in request.values("authorization"))
    return in_header or "X-Amz-Signature=" in request.query


class ConsoleMount:
    """Answers the console's requests on the server's threads."""

    def __init__(self, console: ConsoleApplication, executor: Executor) -> None:
        self._console = console
        self._executor = executor
        self._streams = 0

    def serves(self, request: HttpRequest) -> bool:
        """Whether a request is the console's: unsigned, and of one of its paths.

        A browser that asks for a page that does not exist gets the console's answer.
        """
        if is_signed(request):
            return False
        wants_page = request.method == "GET" and "text/html" in ",".join(request.values("accept"))
        return wants_page or self._console.serves(request.method, request.path)

    async def answer(self, request: HttpRequest, *, secure: bool) -> Response:
        """Return the answer. Raises TimeoutError."""
        wanted = WebRequest(
            request.method, request.path, request.query, request.headers, request.body,
            request.source, secure,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await loop.run_in_executor(self._executor, self._console.answer, wanted)
        if request.method == "HEAD" and (answer.chunks or answer.poll):
            # Nothing of a file or of a live view is made: its connection would be kept for it.
            answer = WebAnswer(answer.status, answer.headers)
        return self._response(answer)

    def _response(self, answer: WebAnswer) -> Response:
        response: Response
        if answer.chunks is None and answer.poll is None:
            response = Response(answer.body, answer.status)
        elif self._streams >= MOST_STREAMS:
            return Response("too many live views and downloads\n", 503, {"Retry-After": "10"})
        elif answer.chunks is not None:
            response = StreamingResponse(self._counted(self._parts(answer.chunks)), answer.status)
        else:
            assert answer.poll is not None  # noqa: S101 - by the condition above
            response = StreamingResponse(self._counted(self._events(answer.poll)), answer.status)
        for name, value in answer.headers:
            response.headers.append(name, value)
        response.headers["Server"] = "Sidelight"
        return response

    async def _counted(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            async for part in parts:
                yield part
        finally:
            self._streams -= 1

    async def _parts(self, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while True:
            async with asyncio.timeout(ANSWER_SECONDS):
                part = await loop.run_in_executor(self._executor, _joined, chunks)
            if not part:
                return
            yield part

    async def _events(self, poll: Poll) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        end, last = loop.time() + STREAM_SECONDS, ""
        yield b"retry: 3000\n\n"
        while loop.time() < end:
            async with asyncio.timeout(ANSWER_SECONDS):
                text = await loop.run_in_executor(self._executor, poll.read)
            if text is None:
                return
            if text != last:
                last = text
                lines = "".join(f"data: {line}\n" for line in text.splitlines())
                yield f"{lines}\n".encode("utf-8", "replace")
            else:
                # An event, not a comment: the page sees that the server is there.
                yield b"event: alive\ndata:\n\n"
            await asyncio.sleep(poll.seconds)


def _joined(chunks: Iterator[bytes]) -> bytes:
    """Return the next chunks as one of some 64 KiB; empty at the end."""
    parts, size = [], 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= 1 << 16:
            break
    return b"".join(parts)
