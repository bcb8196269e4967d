"""The HTTP server by raw and plain clients."""

from __future__ import annotations

import errno
import http.client
import io
import select
import socket
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from sidelight.localcloud.http_server import Listener
from sidelight.localcloud.kernel_timestamps import SO_TIMESTAMPNS, Arrivals
from sidelight.localcloud.messages import Reply, Request, Wreck

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.services


def echo(request: Request) -> Reply:
    if request.path == "/lost":
        return Reply(200, wreck=Wreck.LOST)
    if request.path == "/cut":
        return Reply(200, body=b"x" * 100_000, wreck=Wreck.CUT)
    if request.path == "/broken":
        raise ZeroDivisionError
    text = f"{request.method} {request.path} {request.query.get('q')} "
    return Reply(200, {"X-Name": "v"}, text.encode() + request.body)


@pytest.fixture
def listener() -> Iterator[Listener]:
    echo_listener = Listener("127.0.0.1", 0, echo)
    yield echo_listener
    echo_listener.stop()


def ask(listener: Listener) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", int(listener.server_address[1]), timeout=30)


def test_a_connection_is_kept_for_many_requests(listener: Listener) -> None:
    connection = ask(listener)
    connection.connect()
    kept = connection.sock
    for number in range(3):
        connection.request("POST", f"/a%20b?q={number}%2B", body=b"body")
        assert connection.getresponse().read() == f"POST /a b {number}+ body".encode()
        assert connection.sock is kept
    connection.close()


def test_a_lost_answer_closes_the_connection_without_a_byte(listener: Listener) -> None:
    connection = ask(listener)
    connection.request("GET", "/lost")
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()


def test_a_cut_answer_is_shorter_than_announced(listener: Listener) -> None:
    connection = ask(listener)
    connection.request("GET", "/cut")
    with pytest.raises(http.client.IncompleteRead) as error:
        connection.getresponse().read()
    assert len(error.value.partial) == 50_000
    connection.close()


def test_a_bug_behind_is_answered_with_500(
    listener: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    connection = ask(listener)
    connection.request("GET", "/broken")
    assert connection.getresponse().status == 500
    connection.close()
    assert "ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_body_of_no_sound_length_is_refused(listener: Listener, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(listener.server_address[1])), 30) as raw:
        raw.sendall(head)
        answer = raw.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_nonsense_ends_its_own_connection_only(listener: Listener) -> None:
    with socket.create_connection(("127.0.0.1", int(listener.server_address[1])), 30) as raw:
        raw.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert b"400" in raw.makefile("rb").read()
    connection = ask(listener)
    connection.request("GET", "/ok")
    assert connection.getresponse().status == 200
    connection.close()


def test_stop_ends_idle_connections() -> None:
    listener = Listener("127.0.0.1", 0, echo)
    connection = ask(listener)
    connection.request("GET", "/ok")
    connection.getresponse().read()
    listener.stop()
    assert connection.sock is not None
    assert connection.sock.recv(1) == b""
    connection.close()


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends, the server's first."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as connection,
    ):
        yield connection, client


def marks() -> bool:
    """Whether this kernel marks what it receives; a moment after it was asked to."""
    with connected() as (connection, client), suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        for _ in range(10_000):
            client.sendall(b"x")
            if connection.recvmsg(1, 64)[1]:
                return True
    return False


def test_a_request_arrives_when_the_kernel_has_it_and_not_when_it_is_read() -> None:
    if not (sys.platform == "linux" and marks()):
        pytest.skip("this kernel does not mark what it receives")
    with connected() as (connection, client):
        arrivals = Arrivals(connection)
        reader = io.BufferedReader(arrivals)
        marked = 0
        for _ in range(1000):
            before = time.monotonic()
            client.sendall(b"x")
            select.select([connection], [], [])
            after = time.monotonic()
            assert reader.read(1) == b"x"
            assert before - 0.1 <= arrivals.at  # two clocks are read, one after the other
            marked += arrivals.at <= after
        assert marked > 100


def test_where_the_kernel_marks_nothing_a_request_arrives_when_it_is_read() -> None:
    class Unmarked(socket.socket):
        def setsockopt(self, *_: object) -> None:
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    with connected() as (connection, client):
        with Unmarked(fileno=connection.detach()) as unmarked:
            arrivals = Arrivals(unmarked)
            client.sendall(b"x")
            before = time.monotonic()
            assert io.BufferedReader(arrivals).read(1) == b"x"
        assert before <= arrivals.at <= time.monotonic()
