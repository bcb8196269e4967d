"""Events reach a webhook signed, in order and at least once, whatever the receiver does."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import re
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from dispatcher.events.publisher import Publisher, TargetRefusedError
from dispatcher.events.signatures import WebhookSigner
from dispatcher.events.webhook import Webhook
from dispatcher.services.event_targets import publisher_of
from sidelight.aws.session import Session
from sidelight.download import event_posts
from sidelight.download.event_posts import EventPosts
from sidelight.fleet.settings import Settings
from sidelight.store import Store
from tests.fakes.event_receivers import (
    closed,
    cut,
    cut_body,
    endless,
    huge_head,
    not_http,
    receiving,
    status,
)
from tests.fixtures.stored_findings import REGION, inventory, package, says, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.event_receivers import EventReceiver


pytestmark = [pytest.mark.services, pytest.mark.enable_socket]
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path}/store.db") as store:
        store.migrate()
        yield store


@pytest.fixture
def receiver() -> Iterator[EventReceiver]:
    with receiving() as receiver:
        yield receiver


def happen(store: Store, count: int, machine: str = "i-1") -> None:
    """So many findings are opened."""
    names = [f"p{number}" for number in range(count)]
    scanned(store, says(*names), inventory(*map(package, names)), machine)


def webhook(url: str, *, seconds: float = 5.0, ca: str = "", private: bool = True) -> Webhook:
    calls = EventPosts(url, private=private, ca=ca, seconds=seconds)
    return Webhook(calls, signer=WebhookSigner(SECRET), pause=lambda _: None)


def sequences(receiver: EventReceiver) -> list[int]:
    return [int(json.loads(posted.body)["id"]) for posted in receiver.taken]


def test_a_request_is_verified_by_an_implementation_of_the_standard(
    store: Store, receiver: EventReceiver
) -> None:
    happen(store, 2)
    assert Publisher(store, "t", webhook(receiver.url), after=0).run() == 2
    for posted in receiver.taken:
        event = Verifier(SECRET).verify(posted.body, dict(posted.headers))
        assert event["detail"]["sidelight"]["eventId"] == posted.id
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRET).verify(posted.body + b" ", dict(posted.headers))
        with pytest.raises(WebhookVerificationError):
            Verifier(OTHER).verify(posted.body, dict(posted.headers))
    assert receiver.connections == 1


def test_a_secret_is_replaced_while_both_verify() -> None:
    headers = WebhookSigner(f"{SECRET} {OTHER}").headers("id", b"{}", datetime.now(UTC).timestamp())
    for secret in (SECRET, OTHER):
        assert Verifier(secret).verify(b"{}", headers) == {}


@pytest.mark.parametrize("fault", ["500", "cut", "hang", "429", "302", "drip", "huge", "refused"])
def test_a_receiver_that_fails_loses_nothing_and_reorders_nothing(
    store: Store, receiver: EventReceiver, fault: str
) -> None:
    """Each fault, at the third event, until the attempts of a run are used up."""
    happen(store, 5)
    faults = {
        "500": status(500), "cut": cut, "hang": receiver.hang,
        "429": status(429, Retry_After="0"), "302": status(302, Location="http://169.254.169.254/"),
        "drip": receiver.drip_status, "huge": huge_head,
    }  # fmt: skip
    seconds = 0.3 if fault in {"hang", "drip"} else 5.0
    sink = webhook(receiver.url, seconds=seconds)
    publisher = Publisher(store, "t", sink, after=0)

    if fault == "refused":
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        gone = Publisher(store, "t", webhook(f"http://127.0.0.1:{port}/"), after=0)
        with pytest.raises(TargetRefusedError, match=r"event 1 is not taken: .*cannot be reached"):
            gone.run()
        assert store.outbox.position("t") == store.outbox.last()  # a new target: nothing is stored
        assert publisher.run() == 5
    else:
        receiver.script[:] = [_take(receiver), _take(receiver), *[faults[fault]] * 3]
        with pytest.raises(TargetRefusedError, match="event 3 is not taken"):
            publisher.run()
        assert sequences(receiver) == [1, 2]
        receiver.script.clear()
        assert Publisher(store, "t", webhook(receiver.url)).run() == 3
    assert sequences(receiver) == [1, 2, 3, 4, 5]


def _take(receiver: EventReceiver) -> Any:
    def take(handler: Any) -> None:
        receiver.taken.append(receiver.requests[-1])
        status(200)(handler)

    return take


@pytest.mark.parametrize("answer", [cut_body, endless], ids=["cut-body", "endless-body"])
def test_the_status_decides_and_an_answer_is_bounded(
    store: Store, receiver: EventReceiver, answer: Any
) -> None:
    happen(store, 2)
    receiver.script.append(answer)
    assert Publisher(store, "t", webhook(receiver.url), after=0).run() == 2
    assert len(receiver.requests) == 2


def test_a_body_that_drips_does_not_hold_the_next_event(
    store: Store, receiver: EventReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_posts, "BODY_SECONDS", 0.2)
    happen(store, 3)
    receiver.script[:] = [receiver.drip, receiver.drip]
    # The request's own time is not what ends it.
    assert Publisher(store, "t", webhook(receiver.url, seconds=86_400), after=0).run() == 3
    assert len(receiver.requests) == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (closed, "the connection failed: it was closed before an answer"),
        (cut, "the connection failed: connection reset by peer"),
        (not_http, "the connection failed: the answer is not HTTP"),
    ],
)
def test_a_fault_is_reported_in_plain_words(
    store: Store, receiver: EventReceiver, fault: Any, words: str
) -> None:
    happen(store, 1)
    receiver.script[:] = [fault] * 3
    with pytest.raises(TargetRefusedError, match=words) as caught:
        Publisher(store, "t", webhook(receiver.url), after=0).run()
    assert not re.search(r"Error|Errno|_ssl|[(\[{]['\"]", str(caught.value))


def test_a_passing_fault_is_tried_again_with_the_same_id(
    store: Store, receiver: EventReceiver
) -> None:
    happen(store, 1)
    receiver.script[:] = [status(503), cut]
    assert Publisher(store, "t", webhook(receiver.url), after=0).run() == 1
    assert len({posted.id for posted in receiver.requests}) == 1
    assert len(receiver.requests) == 3


def test_a_redirect_is_not_followed(store: Store, receiver: EventReceiver) -> None:
    happen(store, 1)
    with receiving() as other:
        receiver.script.append(status(307, Location=other.url))
        with pytest.raises(TargetRefusedError, match=r"redirects to .*, which is not followed"):
            Publisher(store, "t", webhook(receiver.url), after=0).run()
        assert (len(receiver.requests), other.requests) == (1, [])


@pytest.mark.parametrize(("text", "seconds"), [("1800", 1800), ("999999", 3600), ("x", 0)])
def test_a_receiver_says_when_to_come_back(
    store: Store, receiver: EventReceiver, text: str, seconds: int
) -> None:
    happen(store, 1)
    receiver.script[:] = [status(429, Retry_After=text)] * 3
    with pytest.raises(TargetRefusedError) as caught:
        Publisher(store, "t", webhook(receiver.url), after=0).run()
    assert caught.value.retry_after == seconds
    assert len(receiver.requests) == (1 if seconds else 3)


def test_a_date_says_when_to_come_back(store: Store, receiver: EventReceiver) -> None:
    happen(store, 1)
    now = datetime(2026, 11, 30, 8, tzinfo=UTC)
    receiver.script.append(status(503, Retry_After="Mon, 30 Nov 2026 08:10:00 GMT"))
    sink = Webhook(EventPosts(receiver.url, private=True), clock=now.timestamp)
    with pytest.raises(TargetRefusedError) as caught:
        Publisher(store, "t", sink, after=0).run()
    assert caught.value.retry_after == 600


def test_a_hostile_refusal_is_one_inert_line(store: Store, receiver: EventReceiver) -> None:
    happen(store, 1)
    receiver.script.append(status(400, b"\x1b[2J\nINFO all is well " + b"x" * 9000))
    with pytest.raises(TargetRefusedError) as caught:
        Publisher(store, "t", webhook(receiver.url), after=0).run()
    text = str(caught.value)
    assert "\\x1b[2J\\n" in text
    assert len(text) < 400


def pem(path: Path, address: str, until: timedelta = timedelta(days=1)) -> Path:
    """Write a key and a certificate of its own for an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9)).not_valid_after(now + until)
        .add_extension(names, critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize("wrong", ["unknown", "name", "expired"])
def test_wrong_tls_gets_nothing(store: Store, tmp_path: Path, wrong: str) -> None:
    happen(store, 1)
    address = "127.0.0.9" if wrong == "name" else "127.0.0.1"
    until = timedelta(days=-1) if wrong == "expired" else timedelta(days=1)
    certificate = pem(tmp_path / "a.pem", address, until)
    ca = "" if wrong == "unknown" else str(certificate)
    with receiving(certificate) as receiver:
        with pytest.raises(TargetRefusedError, match="TLS failed: the certificate is not") as error:
            Publisher(store, "t", webhook(receiver.url, ca=ca), after=0).run()
        assert "_ssl" not in str(error.value)
        assert receiver.requests == []


def test_an_authority_of_ones_own_is_trusted(store: Store, tmp_path: Path) -> None:
    happen(store, 2)
    certificate = pem(tmp_path / "a.pem", "127.0.0.1")
    with receiving(certificate) as receiver:
        sink = webhook(receiver.url, ca=str(certificate))
        assert Publisher(store, "t", sink, after=0).run() == 2
        assert sequences(receiver) == [1, 2]


def test_a_name_that_leads_inside_gets_nothing(
    store: Store, receiver: EventReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first answer of the name server is public and the second is not."""
    happen(store, 1)
    port = int(receiver.url.split(":")[2].split("/")[0])
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: inside)
    sink = webhook(f"https://hooks.example:{port}/", private=False)
    with pytest.raises(TargetRefusedError, match=r"127\.0\.0\.1 is not a public one"):
        Publisher(store, "t", sink, after=0).run()
    assert receiver.connections == 0


def test_a_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: list[str] = []

    def resolve(host: str, port: int, *_args: Any, **_named: Any) -> Any:
        hosts.append(host)
        if host != "hooks.example":
            raise ConnectionRefusedError(host)  # the connection itself: to no name
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    sink = webhook("https://hooks.example/", private=False)
    assert sink._posted("id", b"{}")[0]
    assert set(hosts) == {"hooks.example", "8.8.8.8"}


def test_secrets_and_addresses_come_from_files(
    store: Store, receiver: EventReceiver, tmp_path: Path
) -> None:
    happen(store, 1)
    for name, text in {"url": receiver.url, "secret": SECRET, "token": "Bearer abc"}.items():
        (tmp_path / name).write_text(f"{text}\n")
    settings = Settings.of(
        webhook_secret=f"file:{tmp_path}/secret",
        webhook_authorization=f"file:{tmp_path}/token",
        webhook_private=True,
    )
    target = f"webhook:file:{tmp_path}/url"
    assert (
        publisher_of(store, settings, Session(region=REGION), target, after=0).run() == 2
    )  # with the scan
    assert {posted.headers["authorization"] for posted in receiver.taken} == {"Bearer abc"}


def command(store_url: str, url: str, *options: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "SIDELIGHT_STORE_URL": store_url, "SIDELIGHT_WEBHOOK_SECRET": SECRET,
        "SIDELIGHT_WEBHOOK_PRIVATE": "yes",
    }  # fmt: skip
    words = ["fleet", "events", "--types", "findings", "--publish", f"webhook:{url}", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "dispatcher.cli", *words], env=environment,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
def test_a_process_killed_between_send_and_commit_sends_again(
    store: Store, receiver: EventReceiver, tmp_path: Path
) -> None:
    """SIGKILL after the receiver has the third event, before its answer; and after its answer."""
    url = f"sqlite:///{tmp_path}/store.db"
    happen(store, 6)
    running: list[subprocess.Popen[bytes]] = []

    def kill(handler: Any) -> None:
        receiver.taken.append(receiver.requests[-1])
        running[-1].kill()
        running[-1].wait()
        handler.close_connection = True

    take = _take(receiver)
    receiver.script[:] = [take, take, kill]
    running.append(command(url, receiver.url, "--after", "0"))
    assert running[-1].wait(60) == -signal.SIGKILL
    # The batch was not committed: all of it comes again, in order, with the same ids.
    receiver.script[:] = [take, take, take, take, kill]
    running.append(command(url, receiver.url, "--after", "0"))
    assert running[-1].wait(60) == -signal.SIGKILL
    receiver.script.clear()
    running.append(command(url, receiver.url, "--after", "0"))
    assert running[-1].wait(60) == 0
    assert sequences(receiver) == [1, 2, 3, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6]
    ids = {posted.id for posted in receiver.taken}
    assert len(ids) == 6
    running.append(command(url, receiver.url))
    assert running[-1].wait(60) == 0
    assert len(receiver.taken) == 14
