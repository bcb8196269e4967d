"""Requests with small answers end at their deadline, however the peer sends."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from sidelight.download.small_answers import SmallAnswerClient
from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = [pytest.mark.services, pytest.mark.enable_socket]
HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nok"
DEADLINE = 0.5  # seconds


@contextmanager
def peer(begin: bytes, drip: bytes, *, answers: Sequence[bytes] = ()) -> Iterator[str]:
    """A server of one connection: whole answers, then `begin`, then `drip` again and again."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                for answer in answers:
                    connection.recv(65536)
                    connection.sendall(answer)
                connection.recv(65536)
                connection.sendall(begin)
                while drip and not ended.wait(0.05):
                    connection.sendall(drip)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        ended.set()
        thread.join(10)


@pytest.mark.parametrize(
    ("begin", "drip"),
    [
        (b"", b"H"),
        (HEAD + b"X-Long: ", b"x"),
        (HEAD, b"X: y\r\n"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
        (HEAD + b"Connection: close\r\n\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["status", "header", "headers", "body", "body-without-length", "chunks"],
)
def test_a_peer_that_drips_is_left_at_the_deadline(begin: bytes, drip: bytes) -> None:
    client = SmallAnswerClient(seconds=DEADLINE)
    with peer(begin, drip) as url:
        began = time.monotonic()
        with pytest.raises(DownloadError) as caught:
            client.get(url)
        assert time.monotonic() - began < 10 * DEADLINE
    assert "took over 0.5 s" in caught.value.what


def test_a_kept_connection_has_the_deadline_of_each_request() -> None:
    client = SmallAnswerClient(seconds=DEADLINE)
    with peer(HEAD + b"X-Long: ", b"x", answers=[WHOLE]) as url:
        assert client.get(url).body == b"ok"
        began = time.monotonic()
        with pytest.raises(DownloadError):
            client.get(url)
        assert time.monotonic() - began < 10 * DEADLINE


def test_an_answer_in_time_is_whole() -> None:
    with peer(WHOLE, b"") as url:
        assert SmallAnswerClient().post(url, {"a": "b"}, {}) == (200, b"ok")


def test_an_answer_that_is_too_long_is_refused() -> None:
    begin = HEAD + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000
    with peer(begin, b"") as url, pytest.raises(DownloadError, match="longer than 100 bytes"):
        SmallAnswerClient(limit=100).get(url)
