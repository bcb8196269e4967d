"""One file kept: sent only if changed, gone on with where cut off, replaced whole or not at all."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import os
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sidelight.download.cached_download import Digest, DownloadBudget, DownloadRequest, keep
from sidelight.download.http import Client
from sidelight.errors import DownloadError
from tests.fakes.publisher import Publisher, cut, renewed, stall, status

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.services

FEED = b'{"feed": "' + os.urandom(40_000).hex().encode() + b'"}'
OTHER = b'{"other": 1}'
PLAIN = {"X-Plain": "yes"}  # the server does not compress this page


class Run:
    """A client, where it keeps a file, and how long it would have waited."""

    def __init__(self, publisher: Publisher, folder: Path) -> None:
        self.publisher = publisher
        self.path = folder / "feed.json"
        self.waited: list[float] = []
        self.client = Client(silence=0.2)

    def keep(self, **more: object) -> bool:
        wanted = DownloadRequest(f"{self.publisher.base}/feed.json", self.path)
        budget = DownloadBudget(self.waited.append)
        return keep(self.client, wanted._replace(**more), budget)  # type: ignore[arg-type]

    def files(self) -> list[str]:
        return sorted(item.name for item in self.path.parent.iterdir())


@pytest.fixture
def run(publisher: Publisher, tmp_path: Path) -> Run:
    return Run(publisher, tmp_path / "kept")


def test_a_file_is_sent_once_and_then_only_if_it_changed(run: Run) -> None:
    page = run.publisher.publish("/feed.json", FEED)
    assert run.keep()
    assert run.path.read_bytes() == FEED
    assert not run.keep()
    _path, headers = run.publisher.requests[-1]
    assert headers["If-None-Match"] == page.etag
    assert "If-Modified-Since" in headers
    run.publisher.publish("/feed.json", OTHER)
    assert run.keep()
    assert run.path.read_bytes() == OTHER
    assert run.files() == [".feed.json.json", "feed.json"]


def test_a_file_that_someone_changed_is_sent_again(run: Run) -> None:
    run.publisher.publish("/feed.json", FEED)
    run.keep()
    run.path.write_bytes(b"{}")
    assert run.keep()
    assert run.path.read_bytes() == FEED


def test_transfers_are_compressed_where_the_file_is_not(run: Run, tmp_path: Path) -> None:
    run.publisher.publish("/feed.json", b'{"a": "' + b"x" * 100_000 + b'"}')
    run.publisher.publish("/feed.zip", b"PK\x03\x04")
    run.keep()
    run.keep(url=f"{run.publisher.base}/feed.zip", path=tmp_path / "feed.zip")
    assert [headers["Accept-Encoding"] for _path, headers in run.publisher.requests] == [
        "gzip",
        "identity",
    ]
    assert run.path.stat().st_size == 100_009


@pytest.mark.parametrize("fault", [cut(30_000), stall(30_000)])
def test_a_body_that_ends_early_or_stalls_is_gone_on_with(run: Run, fault: object) -> None:
    run.publisher.publish("/feed.json", FEED, headers=PLAIN, faults=[fault])
    assert run.keep()
    assert run.path.read_bytes() == FEED
    _path, headers = run.publisher.requests[-1]
    assert (headers["Range"], len(run.waited)) == ("bytes=30000-", 1)
    assert run.files() == [".feed.json.json", "feed.json"]


def test_a_compressed_transfer_is_gone_on_with_too(run: Run) -> None:
    run.publisher.publish("/feed.json", FEED, faults=[cut(20_000)])
    run.keep()
    assert run.path.read_bytes() == FEED


def test_what_one_run_left_the_next_goes_on_with(run: Run) -> None:
    page = run.publisher.publish("/feed.json", FEED, headers=PLAIN, faults=[cut(100)] * 5)
    with pytest.raises(DownloadError, match="ended after 100 of 79612 bytes"):
        run.keep()
    assert run.files() == [".feed.json.part", ".feed.json.part.json"]
    page.faults.clear()
    assert run.keep()
    assert "Range" in run.publisher.requests[-1][1]
    assert run.path.read_bytes() == FEED


def test_another_edition_within_the_body_is_taken_from_its_beginning(run: Run) -> None:
    run.publisher.publish("/feed.json", FEED, headers=PLAIN, faults=[renewed(OTHER, 500)])
    assert run.keep()
    assert run.path.read_bytes() == OTHER


def test_a_server_without_ranges_starts_over(run: Run) -> None:
    run.publisher.publish("/feed.json", FEED, headers=PLAIN, faults=[cut(500)], ranges=False)
    assert run.keep()
    assert run.path.read_bytes() == FEED


def test_passing_errors_are_tried_again_within_bounds_and_as_late_as_asked(run: Run) -> None:
    faults = [status(503, Retry_After="30"), status(500), status(429)]
    run.publisher.publish("/feed.json", FEED, faults=faults)
    assert run.keep()
    assert run.waited == [30.0, 4.0, 8.0]
    run.publisher.publish("/feed.json", OTHER, faults=[status(502)] * 9)
    with pytest.raises(DownloadError, match="answered 502"):
        run.keep()
    assert run.path.read_bytes() == FEED
    assert len(run.publisher.requests) == 4 + 5


def test_a_missing_page_is_not_asked_for_again(run: Run) -> None:
    with pytest.raises(DownloadError, match="answered 404"):
        run.keep()
    assert len(run.publisher.requests) == 1
    assert run.waited == []


def test_a_digest_decides_and_a_wrong_file_never_takes_its_place(run: Run) -> None:
    right = Digest("sha256", hashlib.sha256(FEED).hexdigest())
    run.publisher.publish("/feed.json", FEED)
    run.keep(digest=right)
    request_count = len(run.publisher.requests)
    assert not run.keep(digest=right)
    assert len(run.publisher.requests) == request_count  # not even a question
    with pytest.raises(DownloadError, match="sha256 is not the one"):
        run.keep(digest=Digest("sha256", "0" * 64), url=f"{run.publisher.base}/feed.json")
    assert run.path.read_bytes() == FEED
    assert run.files() == [".feed.json.json", "feed.json"]


def test_a_known_revision_is_not_asked_for(run: Run) -> None:
    run.publisher.publish("/feed.json", FEED)
    assert run.keep(revision="1")
    assert not run.keep(revision="1")
    assert len(run.publisher.requests) == 1
    assert not run.keep(revision="2")  # asked, and the answer is: not modified
    assert len(run.publisher.requests) == 2


def test_googles_digest_header_is_believed(run: Run) -> None:
    def digest_headers(data: bytes) -> dict[str, str]:
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()  # noqa: S324  # Google's
        return {**PLAIN, "x-goog-hash": f"crc32c=AAAAAA==, md5={md5}"}

    run.publisher.publish("/feed.json", FEED, headers=digest_headers(FEED))
    assert run.keep()
    run.publisher.publish("/feed.json", OTHER, headers=digest_headers(FEED))
    with pytest.raises(DownloadError, match="md5 is not the one"):
        run.keep()
    assert run.path.read_bytes() == FEED


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><title>Log in</title>", b"<html>", b"no JSON"])
def test_a_login_page_instead_of_a_feed_is_reported(run: Run, body: bytes) -> None:
    run.publisher.publish("/feed.json", FEED)
    run.keep()
    run.publisher.publish("/feed.json", body)
    with pytest.raises(DownloadError, match="what came is"):
        run.keep()
    assert run.path.read_bytes() == FEED


@pytest.mark.parametrize("headers", [PLAIN, {}])
def test_a_file_beyond_the_limit_is_refused(run: Run, headers: dict[str, str]) -> None:
    """By its length, by what comes, and by what it unpacks to."""
    run.publisher.publish("/feed.json", b"{" + b" " * 100_000 + b"}", headers=headers)
    with pytest.raises(DownloadError, match="bytes"):
        run.keep(limit=50_000)
    assert not run.path.exists()


def test_redirects_are_followed_but_not_without_end_nor_away_from_http(run: Run) -> None:
    run.publisher.publish("/feed.json", FEED)
    run.publisher.publish("/old", b"", faults=[status(302, Location="/feed.json")])
    assert run.keep(url=f"{run.publisher.base}/old")
    again = [status(302, Location="/round")] * 20
    run.publisher.publish("/round", b"", faults=again)
    with pytest.raises(DownloadError, match="more than 5 times"):
        run.keep(url=f"{run.publisher.base}/round")
    run.publisher.publish("/out", b"", faults=[status(302, Location="ftp://127.0.0.1/x")])
    with pytest.raises(DownloadError, match="less safe"):
        run.keep(url=f"{run.publisher.base}/out")


def test_a_proxy_of_the_environment_is_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", run.publisher.base)
    monkeypatch.setenv("no_proxy", "")
    run.publisher.publish("http://feeds.test/feed.json", FEED)  # a proxy is asked by whole address
    assert run.keep(url="http://feeds.test/feed.json")
    assert run.path.read_bytes() == FEED


def test_nobody_there_and_nowhere_to_write_are_download_errors(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="cannot be reached"):
        run.keep(url="http://127.0.0.1:9/feed.json")
    run.publisher.publish("/feed.json", FEED)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot be written"):
        run.keep(path=tmp_path / "file" / "feed.json")


@pytest.mark.parametrize("is_trusted", [True, False])
def test_only_certificates_of_trusted_issuers_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool
) -> None:
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(_self_signed())
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for publisher in Publisher(certificate).running():
        publisher.publish("/feed.json", FEED)
        run = Run(publisher, tmp_path / "kept")
        if is_trusted:
            assert run.keep()
            publisher.publish("/out", b"", faults=[status(301, Location="http://127.0.0.1/")])
            with pytest.raises(DownloadError, match="less safe"):
                run.keep(url=f"{publisher.base}/out")
        else:
            with pytest.raises(DownloadError, match=r"(?i)certificate"):
                run.keep()


def _self_signed() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_what_is_noted_of_a_file_is_its_digest_and_validators(run: Run) -> None:
    page = run.publisher.publish("/feed.json", FEED)
    run.keep()
    note = json.loads((run.path.parent / ".feed.json.json").read_bytes())
    assert note["sha256"] == hashlib.sha256(FEED).hexdigest()
    assert note["etag"] == page.etag
