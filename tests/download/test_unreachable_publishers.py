"""Publishers that fail or cannot be reached: what is kept, and what is not tried."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dispatcher.cli.groups import advisories
from sidelight.download import chosen, fetch
from sidelight.download.fetch import PublisherAccess
from sidelight.download.http import Client
from tests.fakes.publisher import cut, status
from tests.fixtures.publishers import osv_zip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.download.fetched_feeds import Fleet


pytestmark = pytest.mark.services


def test_one_sources_failure_keeps_what_was_there_and_stops_no_other(fleet: Fleet) -> None:
    fleet.publisher.publish("/npm/all.zip", osv_zip(1))
    fleet.publisher.publish("/PyPI/all.zip", osv_zip(2))
    fleet.fetch("osv-npm", "osv-pypi")
    faults = [status(500)] * 9
    fleet.publisher.publish("/npm/all.zip", osv_zip(3), faults=faults)
    fleet.publisher.publish("/PyPI/all.zip", osv_zip(4), faults=[cut(20)])
    npm, pypi = fleet.fetch("osv-npm", "osv-pypi")
    assert "answered 500" in npm.error
    assert (pypi.error, pypi.changed, len(pypi.notes)) == ("", 1, 1)
    assert fleet.advisories() == ["GHSA-1", "GHSA-4"]


def nowhere(*names: str) -> dict[str, str]:
    """Mirrors whose names have no address, by RFC 6761."""
    return {name: f"https://{name}.invalid" for name in names}


def test_where_no_name_can_be_resolved_the_rest_is_not_tried(tmp_path: Path) -> None:
    waited: list[float] = []
    sources = chosen([])
    outcomes = fetch(
        sources, tmp_path, network=PublisherAccess(Client(), waited.append),
        mirrors=nowhere(*(source.name for source in sources)),
    )  # fmt: skip
    assert all(outcome.error for outcome in outcomes)
    tried = [outcome for outcome in outcomes if not outcome.untried]
    # Those that were under way together, and not one more.
    assert 3 <= len(tried) <= 3 + 4
    assert all("cannot be resolved" in outcome.error for outcome in outcomes)
    assert max(len(outcome.error) for outcome in outcomes) < 120
    assert all(outcome.requests == 2 for outcome in tried), "one more try for a slow name server"


@pytest.mark.parametrize("proxy", [False, True])
def test_where_every_connection_is_refused_the_rest_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: bool
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    sources = chosen([])
    mirrors = {source.name: f"https://{address}" for source in sources}
    if proxy:
        mirrors = {}
        monkeypatch.setenv("https_proxy", f"http://{address}")
        monkeypatch.delenv("no_proxy")
        monkeypatch.delenv("NO_PROXY")
    outcomes = fetch(
        sources, tmp_path, network=PublisherAccess(Client(), lambda _: None), mirrors=mirrors
    )  # fmt: skip
    assert all(outcome.error.endswith("cannot be reached: Connection refused")
               for outcome in outcomes)  # fmt: skip
    assert sum(not outcome.untried for outcome in outcomes) <= 3 + 4
    assert not any("HTTPSConnection" in outcome.error for outcome in outcomes)


def test_one_name_without_an_address_stops_no_other_source(fleet: Fleet) -> None:
    fleet.publisher.publish("/npm/all.zip", osv_zip(1))
    names = ["osv-npm", "kev", "epss", "oracle", "bottlerocket", "end-of-life"]
    mirrors = nowhere(*names[1:]) | {"osv-npm": fleet.publisher.base}
    outcomes = fetch(
        chosen(names),
        fleet.folder,
        network=PublisherAccess(Client(), lambda _: None),
        mirrors=mirrors,
    )
    assert [outcome.source for outcome in outcomes] == names
    assert outcomes[0].error == ""
    assert not any(outcome.untried for outcome in outcomes)


def test_offline_is_reported_once_and_in_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sidelight.download.cached_download._WAIT", 0.0)
    options = [f"--mirror={name}={url}" for name, url in
               nowhere(*(source.name for source in chosen([]))).items()]  # fmt: skip
    done = CliRunner().invoke(advisories, ["fetch", "--into", str(tmp_path), *options])
    assert done.exit_code == 4
    assert done.output.count("not tried") == 1
    assert "HTTPS_PROXY" in done.output
    assert max(map(len, done.output.splitlines())) < 250
