"""`sidelight serve` against clients that send anything: an answer or an end, never a traceback."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher.api import http_server
from dispatcher.api.http_server import PATHS, RequestHandler, Server
from sidelight.fleet.settings import Settings
from sidelight.model import Coverage
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.services, pytest.mark.enable_socket]

HOSTILE = 'x\x1b]0;t\x07\u202e\u2066\u200b\u2028\udcff\x9b2J\n"\\<b>'
REASON = HOSTILE.replace("\udcff", "")  # a code of our own: the store takes text that is UTF-8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("store")
    nowhere = Settings.of(broker_url="redis://127.0.0.1:1/0")
    with Store(f"sqlite:///{folder}/store.db") as store:
        store.migrate()
        store.instances.cover([Coverage("1" * 12, "eu-west-1", "i-1", HOSTILE, "ACTIVE", REASON)])
        store.sweeps.record(REASON[:9], REASON[:9], orphans=1, remaining=1)
        with Server(store, nowhere, "127.0.0.1", 0) as server:
            yield server


def answered(server: Server, request: bytes) -> bytes:
    """What the handler sends back, in this thread: an exception of its would come out."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(True)
        sender = threading.Thread(target=lambda: _send(ours, request))
        sender.start()
        came = bytearray()
        reader = threading.Thread(target=lambda: _drain(ours, came))
        reader.start()
        RequestHandler(theirs, ("127.0.0.1", 1), server)
        theirs.shutdown(socket.SHUT_RDWR)
        sender.join()
        reader.join()
    return bytes(came)


def _send(connection: socket.socket, request: bytes) -> None:
    connection.sendall(request)
    connection.shutdown(socket.SHUT_WR)


def _drain(connection: socket.socket, came: bytearray) -> None:
    while data := connection.recv(65536):
        came += data


def status(server: Server, target: str, *headers: str, host: str = "localhost") -> int:
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", ""]
    return int(answered(server, "\r\n".join(lines).encode("latin-1")).split()[1])


@pytest.mark.parametrize(
    "host",
    ["[::", "[", "]", "[::1", "::1]", "[v1.x]", "[::1%eth0]", "a b", "@", ":", "localhost:x",
     "a@localhost", "localhost/",
     "\x85", "[fe80::1%25\x00]", "xn--", "\xe9", "1" * 5000, "127.0.0.1.", "[1.2.3.4]"],
)  # fmt: skip
def test_an_odd_host_is_refused(server: Server, host: str) -> None:
    assert status(server, "/healthz", host=host) in {400, 421}


def test_two_hosts_are_refused(server: Server) -> None:
    assert status(server, "/healthz", "Host: localhost") == 400


@pytest.mark.parametrize(
    "target",
    ["//[", "//[::", "http://[::", "/healthz#\x85", "*", "http://localhost:x/healthz", "//a@[b/"],
)
def test_an_odd_target_is_answered(server: Server, target: str) -> None:
    assert status(server, target) in {200, 400, 404}


@pytest.mark.parametrize(
    "query",
    ["since=0001-01-01T00:00:00%2B23:59", "since=9999-12-31T23:59:59-23:59", "since=", "since=x",
     "since=%00", "since=2026-W54", "since=2026-01-01T24:61", "by=tag", "by=", "by=%ff&by=%00",
     "&".join(f"a{n}=1" for n in range(30)), "since=" + "9" * 5000, "since=10000-01-01"],
)  # fmt: skip
def test_a_query_that_means_nothing_is_a_bad_request(server: Server, query: str) -> None:
    expected = {200, 400} if query in {"by=", "since="} else {400}
    assert status(server, f"/api/v1/costs?{query}") in expected


@pytest.mark.parametrize("since", ["0001-01-01", "9999-12-31", "0001-01-01T00:00:00-23:59"])
def test_the_ends_of_the_calendar_are_times(server: Server, since: str) -> None:
    assert status(server, f"/api/v1/costs?since={since}") == 200


TOKENS = st.sampled_from([
    "GET", "HEAD", "POST", " ", "\t", "\r\n", "\n", "\r", ":", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9",
    "HTTP/9.9", "HTTP/1.1.1", "Host", "localhost", "[::", "Content-Length", "-1", "99999999999",
    "Transfer-Encoding", "chunked", "Expect", "100-continue", "Connection", "keep-alive", "%00",
    "%ff", "?", "&", "=", "since", "by", "0001-01-01T00:00:00+23:59", "\x00", "\xff", "\x85", "/",
    "//", "\x1b[2J", *PATHS,
])  # fmt: skip
RAW = st.one_of(
    st.binary(max_size=400),
    st.lists(TOKENS, max_size=30).map(lambda words: "".join(words).encode("latin-1")),
    st.tuples(st.sampled_from(sorted(PATHS)), st.text(max_size=30), st.text(max_size=30)).map(
        lambda one: f"GET {one[0]}?{one[1]} HTTP/1.1\r\nHost: {one[2]}\r\n\r\n".encode(
            "utf-8", "replace"
        )
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(RAW)
def test_whatever_is_sent_nothing_is_raised(server: Server, raw: bytes) -> None:
    answer = answered(server, raw)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 ", b"<", b"{", b"#"))
    assert b" 500 " not in answer.split(b"\r\n")[0]


def test_what_a_client_sent_is_not_sent_back(server: Server) -> None:
    assert b"evil" not in answered(server, b"evil evil evil evil evil\r\n\r\n")
    assert b"evil" not in answered(server, b"evil / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/coverage", "/api/v1/costs"])
def test_nothing_hostile_is_in_any_answer(server: Server, path: str) -> None:
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
    text = answered(server, request).partition(b"\r\n\r\n")[2].decode("utf-8")
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "<b>" not in text or path != "/"


def test_hostile_labels_are_what_prometheus_reads(server: Server) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    request = b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n"
    text = answered(server, request).partition(b"\r\n\r\n")[2].decode("utf-8")
    reasons = [
        sample.labels["reason"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "sidelight_coverage_instances"
    ]
    (reason,) = reasons
    assert reason.startswith("x\\x1b]0;t\\x07\\u202e")


def test_connections_beyond_the_cap_are_closed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_free", threading.BoundedSemaphore(2))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        address = "127.0.0.1", int(server.server_address[1])
        held = [socket.create_connection(address) for _ in range(2)]
        for one in held:  # an answer shows that it has its thread
            one.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(9) == b"HTTP/1.1 "
        with socket.create_connection(address) as third:
            assert third.recv(1) == b"", "closed at once"
        held.pop().close()
        for one in held:
            one.close()
    finally:
        server.shutdown()
        thread.join()


def test_a_request_that_comes_slowly_ends_at_its_deadline(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def later() -> float:
        now[0] += http_server.REQUEST_SECONDS / 2
        return now[0]

    monkeypatch.setattr("dispatcher.api.http_server.time.monotonic", later)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"GET / HTTP/1.1\r\nHost: loc")  # and never the rest
        RequestHandler(theirs, ("127.0.0.1", 1), server)


def test_what_a_client_sends_is_bounded_and_escaped_in_the_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        status(server, "/" + "\x1b[2J" + "x" * 5000)
    for record in caplog.records:
        assert len(record.getMessage()) < 500
        assert "\x1b" not in record.getMessage()
