"""`sidelight serve` against clients that send anything: an answer or an end, never a traceback."""

from __future__ import annotations

import logging
import select
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from dispatcher.api.pages import PAGES
from dispatcher.api.protocol.requests import BODY_LIMIT
from sidelight.fleet.settings import Settings
from sidelight.model import Coverage
from sidelight.store import Store
from tests.fixtures.http_servers import served
from tests.fixtures.hypothesis_profiles import many

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dispatcher.api.server import ApiServer

pytestmark = [pytest.mark.services, pytest.mark.enable_socket]

HOSTILE = 'x\x1b]0;t\x07\u202e\u2066\u200b\u2028\udcff\x9b2J\n"\\<b>'
REASON = HOSTILE.replace("\udcff", "")  # a code of our own: the store takes text that is UTF-8


@contextmanager
def running(folder: Path, **values: object) -> Iterator[ApiServer]:
    nowhere = Settings.of(broker_url="redis://127.0.0.1:1/0", **values)
    with Store(f"sqlite:///{folder}/store.db") as store:
        store.migrate()
        store.instances.cover([Coverage("1" * 12, "eu-west-1", "i-1", HOSTILE, "ACTIVE", REASON)])
        store.sweeps.record(REASON[:9], REASON[:9], orphans=1, remaining=1)
        with served(store, nowhere) as server:
            yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server that cuts clients off after a fifth of a second."""
    with running(tmp_path_factory.mktemp("store"), api_request_seconds=0.2) as server:
        yield server


def answered(server: ApiServer, request: bytes) -> bytes:
    """All that the server sends back until it ends the connection."""
    answer = bytearray()
    address = "127.0.0.1", server.server_address[1]
    # The server may end the connection before it has read all.
    with socket.create_connection(address, timeout=30) as connection, suppress(OSError):
        connection.sendall(request)
        while data := connection.recv(65536):
            answer += data
    return bytes(answer)


def status(server: ApiServer, target: str, *headers: str, host: str = "localhost") -> int:
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", ""]
    return int(answered(server, "\r\n".join(lines).encode("latin-1")).split()[1])


@pytest.mark.parametrize(
    "host",
    ["[::", "[", "]", "[::1", "::1]", "[v1.x]", "[::1%eth0]", "a b", "@", ":", "localhost:x",
     "a@localhost", "localhost/",
     "\x85", "[fe80::1%25\x00]", "xn--", "\xe9", "1" * 5000, "127.0.0.1.", "[1.2.3.4]"],
)  # fmt: skip
def test_an_odd_host_is_refused(server: ApiServer, host: str) -> None:
    assert status(server, "/healthz", host=host) in {400, 421}


def test_two_hosts_are_refused(server: ApiServer) -> None:
    assert status(server, "/healthz", "Host: localhost") == 400


@pytest.mark.parametrize(
    "target",
    ["//[", "//[::", "http://[::", "/healthz#\x85", "*", "http://localhost:x/healthz", "//a@[b/"],
)
def test_an_odd_target_is_answered(server: ApiServer, target: str) -> None:
    assert status(server, target) in {200, 400, 404}


@pytest.mark.parametrize(
    "query",
    ["since=0001-01-01T00:00:00%2B23:59", "since=9999-12-31T23:59:59-23:59", "since=", "since=x",
     "since=%00", "since=2026-W54", "since=2026-01-01T24:61", "by=tag", "by=", "by=%ff&by=%00",
     "&".join(f"a{n}=1" for n in range(30)), "since=" + "9" * 5000, "since=10000-01-01"],
)  # fmt: skip
def test_a_query_that_means_nothing_is_a_bad_request(server: ApiServer, query: str) -> None:
    expected = {200, 400} if query in {"by=", "since="} else {400}
    assert status(server, f"/api/v1/costs?{query}") in expected


@pytest.mark.parametrize("since", ["0001-01-01", "9999-12-31", "0001-01-01T00:00:00-23:59"])
def test_the_ends_of_the_calendar_are_times(server: ApiServer, since: str) -> None:
    assert status(server, f"/api/v1/costs?since={since}") == 200


TOKENS = st.sampled_from([
    "GET", "HEAD", "POST", " ", "\t", "\r\n", "\n", "\r", ":", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9",
    "HTTP/9.9", "HTTP/1.1.1", "Host", "localhost", "[::", "Content-Length", "-1", "99999999999",
    "Transfer-Encoding", "chunked", "Expect", "100-continue", "Connection", "keep-alive", "%00",
    "%ff", "?", "&", "=", "since", "by", "0001-01-01T00:00:00+23:59", "\x00", "\xff", "\x85", "/",
    "//", "\x1b[2J", *PAGES,
])  # fmt: skip
RAW = st.one_of(
    st.binary(max_size=400),
    st.lists(TOKENS, max_size=30).map(lambda words: "".join(words).encode("latin-1")),
    st.tuples(st.sampled_from(sorted(PAGES)), st.text(max_size=30), st.text(max_size=30)).map(
        lambda one: f"GET {one[0]}?{one[1]} HTTP/1.1\r\nHost: {one[2]}\r\n\r\n".encode(
            "utf-8", "replace"
        )
    ),
)


@many(100, suppress_health_check=list(HealthCheck))
@given(RAW)
def test_whatever_is_sent_nothing_is_raised(hasty: ApiServer, raw: bytes) -> None:
    answer = answered(hasty, raw)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 ", b"<", b"{", b"#"))
    assert b" 500 " not in answer.split(b"\r\n")[0]


def test_what_a_client_sent_is_not_sent_back(server: ApiServer) -> None:
    assert b"evil" not in answered(server, b"evil evil evil evil evil\r\n\r\n")
    assert b"evil" not in answered(server, b"evil / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    "path", ["/login?next=<b>", "/metrics", "/api/v1/coverage", "/api/v1/costs"]
)
def test_nothing_hostile_is_in_any_answer(server: ApiServer, path: str) -> None:
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
    text = answered(server, request).partition(b"\r\n\r\n")[2].decode("utf-8")
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "<b>" not in text or "login" not in path


def test_hostile_labels_are_what_prometheus_reads(server: ApiServer) -> None:
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


def test_connections_beyond_the_cap_are_refused(tmp_path: Path) -> None:
    with running(tmp_path, api_connections=2) as server:
        address = "127.0.0.1", server.server_address[1]
        held = [socket.create_connection(address) for _ in range(2)]
        assert b" 503 " in answered(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for one in held:
            one.close()


def test_a_head_that_comes_slowly_is_cut_off(hasty: ApiServer) -> None:
    assert answered(hasty, b"GET / HTTP/1.1\r\nHost: loc") == b"", "and never the rest"


def test_a_body_that_comes_slowly_is_answered_and_cut_off(hasty: ApiServer) -> None:
    head = b"POST /findings/list HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12"
    answer = answered(hasty, head)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert b"RequestTimeoutException" in answer


def test_a_client_that_takes_no_answer_is_cut_off(hasty: ApiServer) -> None:
    hasty._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.connect(("127.0.0.1", hasty.server_address[1]))
        connection.settimeout(30)
        # Answers of half a megabyte, none of which is read: the connection ends all the same.
        with suppress(OSError):
            connection.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        ended = select.poll()
        ended.register(connection, 0)  # a reset is reported in any case
        assert ended.poll(30_000)


@pytest.mark.parametrize(
    "headers",
    [f"Content-Length: {BODY_LIMIT + 1}", "Content-Length: 99999999999999999999999",
     "Transfer-Encoding: chunked"],
)  # fmt: skip
def test_a_body_without_bounds_is_refused_before_it_is_read(
    server: ApiServer, headers: str
) -> None:
    head = f"POST /findings/list HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n".encode()
    answer = answered(server, head)
    assert answer.split()[1] in {b"413", b"400"}
    assert b"connection: close" in answer.lower()


def test_a_page_is_read_only(server: ApiServer) -> None:
    head = b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert answered(server, head).split()[1] == b"405"


def test_what_a_client_sends_is_bounded_and_escaped_in_the_log(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        status(server, "/" + "\x1b[2J" + "x" * 5000)
    for record in caplog.records:
        assert len(record.getMessage()) < 500
        assert "\x1b" not in record.getMessage()
