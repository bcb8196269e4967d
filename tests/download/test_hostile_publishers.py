"""A publisher or mirror that means harm holds no update, and leads nowhere near this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.download.cached_download import DownloadBudget, DownloadRequest, keep
from sidelight.download.fetch import PublisherAccess, fetch
from sidelight.download.http import SLOWEST, Client
from sidelight.download.public_addresses import Reach, public_addresses, reach_of
from sidelight.download.sources import Source
from sidelight.errors import DownloadError
from tests.fakes.publisher import Publisher, drip, status

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.services

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FEED = b"{" + b" " * 40_000 + b"}"


def kept(publisher: Publisher, folder: Path, **more: object) -> bool:
    """Keep the publisher's feed, with the patience of a test."""
    client = Client(silence=5.0, window=0.3)
    wanted = DownloadRequest(f"{publisher.base}/feed.json", folder / "feed.json")
    budget = DownloadBudget(lambda _seconds: None, tries=1)
    for name, value in more.items():
        setattr(budget, name, value)
    return keep(client, wanted, budget)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"", b"H"),
        (HEAD, b"X-More: 1\r\n"),
        (HEAD + b"X-More: ", b"a"),
        (HEAD + b"Content-Length: 5000000\r\n\r\n{", b" "),
        (HEAD + b"Connection: close\r\n\r\n{", b" "),
        (CHUNKED + b"1\r\n{\r\n", b"1\r\n \r\n"),
        (CHUNKED + b"1\r\n{\r\n", b"0"),
    ],
    ids=["status", "headers", "header", "body", "no length", "chunks", "size of a chunk"],
)
def test_a_publisher_that_drips_is_left_and_the_file_stays(
    publisher: Publisher, tmp_path: Path, begin: bytes, piece: bytes
) -> None:
    page = publisher.publish("/feed.json", FEED)
    assert kept(publisher, tmp_path)
    page.faults = [drip(begin, piece)] * 5
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 sends too slowly|answer is not HTTP"):
        kept(publisher, tmp_path)
    assert (tmp_path / "feed.json").read_bytes() == FEED
    assert len(page.faults) <= 3, "one try more"


def test_a_body_at_the_least_pace_is_taken_however_long_it_is(
    publisher: Publisher, tmp_path: Path
) -> None:
    """Some windows' worth of a body: each has the bytes that it needs."""
    size = 40 * SLOWEST
    begin = HEAD + f"Content-Length: {size}\r\n\r\n{{".encode()
    publisher.publish("/feed.json", FEED, faults=[drip(begin, b" " * SLOWEST)])
    assert kept(publisher, tmp_path)
    assert (tmp_path / "feed.json").stat().st_size == size


def test_a_source_that_takes_too_long_ends_without_another_try(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.publish("/feed.json", FEED)
    with pytest.raises(DownloadError, match="takes too long; the next one goes on"):
        kept(publisher, tmp_path, ends=1.0, clock=lambda: 2.0)
    assert not (tmp_path / "feed.json").exists()


LINK_LOCAL = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"


@pytest.mark.parametrize(
    "target", [LINK_LOCAL, "http://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/x"]
)
@pytest.mark.parametrize("by_proxy", [False, True])
def test_no_redirect_leads_to_the_machines_credentials(
    publisher: Publisher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    *,
    by_proxy: bool,
) -> None:
    path = f"{publisher.base}/feed.json" if by_proxy else "/feed.json"
    if by_proxy:
        monkeypatch.setenv("http_proxy", publisher.base)
        monkeypatch.setenv("no_proxy", "")
    publisher.publish(path, b"", faults=[status(302, Location=target)])
    with pytest.raises(DownloadError, match=r"leads to http://.*, which is refused: its address"):
        kept(publisher, tmp_path)
    assert len(publisher.requests) == 1


def test_a_mirror_list_leads_to_no_nearer_address_than_its_own(
    publisher: Publisher, tmp_path: Path
) -> None:
    source = Source("amazon", "mirrors", "https://cdn.test", "mirror.list", "updateinfo", "none")
    publisher.publish("/mirror.list", LINK_LOCAL.encode())
    network = PublisherAccess(Client(silence=5.0), lambda _seconds: None)
    mirrors = {"amazon": publisher.base}
    (outcome,) = fetch([source], tmp_path, mirrors=mirrors, network=network)
    assert "its address 169.254.169.254 is not one of a network or this machine" in outcome.error
    assert [path for path, _ in publisher.requests] == ["/mirror.list"]


@pytest.mark.parametrize(
    ("address", "reach"),
    [("169.254.169.254", Reach.METADATA), ("fe80::1%eth0", Reach.METADATA),
     ("fd00:ec2::23", Reach.METADATA), ("64:ff9b::a9fe:a9fe", Reach.METADATA),
     ("127.0.0.53", Reach.LOOPBACK), ("0.0.0.1", Reach.PRIVATE), ("::1", Reach.LOOPBACK),
     ("::ffff:127.0.0.1", Reach.LOOPBACK), ("10.1.2.3", Reach.PRIVATE),
     ("100.64.0.1", Reach.PRIVATE), ("fd12::1", Reach.PRIVATE), ("224.0.0.1", Reach.PRIVATE),
     ("1.1.1.1", Reach.PUBLIC), ("2606:4700::1111", Reach.PUBLIC),
     ("::ffff:1.1.1.1", Reach.PUBLIC)],
)  # fmt: skip
def test_where_an_address_leads(address: str, reach: Reach) -> None:
    assert reach_of(address) is reach


@pytest.mark.parametrize("least", [Reach.LOOPBACK, Reach.PRIVATE, Reach.PUBLIC])
def test_an_address_counts_from_its_reach_on(least: Reach) -> None:
    addresses = {Reach.METADATA: "169.254.1.1", Reach.LOOPBACK: "127.0.0.1",
                 Reach.PRIVATE: "10.0.0.1", Reach.PUBLIC: "1.1.1.1"}  # fmt: skip
    for reach, address in addresses.items():
        if reach >= least:
            assert public_addresses(address, 443, least) == [address]
        else:
            with pytest.raises(DownloadError, match=f"its address {address} is not"):
                public_addresses(address, 443, least)
