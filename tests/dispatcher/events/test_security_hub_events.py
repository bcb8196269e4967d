"""Events to Security Hub: every state arrives, and an interrupted run continues where it was."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from click.testing import CliRunner

from dispatcher.cli.fleet.scan import fleet
from dispatcher.events.publisher import Publisher
from dispatcher.events.targets import sink_of
from sidelight.aws.security_hub import SecurityHub
from sidelight.errors import CloudError, UsageError
from sidelight.store import Store
from tests.fakes.security_hubs import Hub
from tests.fixtures.network_findings import SSH, observe
from tests.fixtures.store_templates import lay
from tests.fixtures.stored_findings import ACCOUNT, inventory, package, says, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.aws.session import Session


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/store.db"
    lay(url)
    with Store(url) as store:
        yield store


def happen(store: Store, *names: str) -> None:
    """One machine has these packages, each with a vulnerability; others' findings close."""
    scanned(store, says("a", "b", "c"), inventory(*map(package, names)))


def publish(store: Store, hub: Hub, target: str = "securityhub", after: int | None = 0) -> int:
    sink = sink_of(target, cast("Session", hub))
    assert isinstance(sink, SecurityHub)
    sink._pause = lambda _seconds: None
    return Publisher(store, target, sink, after=after).run()


def records(hub: Hub) -> dict[str, str]:
    return {item["Title"].partition(" - ")[2]: item["RecordState"] for item in hub.kept.values()}


def test_opened_closed_and_reopened_findings_arrive_in_their_newest_state(store: Store) -> None:
    hub = Hub()
    happen(store, "a", "b")
    assert publish(store, hub) == 2
    assert records(hub) == {"a": "ACTIVE", "b": "ACTIVE"}
    happen(store, "b", "c")
    assert publish(store, hub, after=None) == 2
    assert records(hub) == {"a": "ARCHIVED", "b": "ACTIVE", "c": "ACTIVE"}
    assert publish(store, hub, after=None) == 0


def test_open_ports_are_sent_too(store: Store) -> None:
    observe(store, SSH)
    hub = Hub()
    assert publish(store, hub) == 1
    (finding,) = hub.kept.values()
    assert finding["Network"]["OpenPortRange"] == {"Begin": 22, "End": 22}


def test_events_of_open_ports_reach_a_file(store: Store, tmp_path: Path) -> None:
    observe(store, SSH)
    file = tmp_path / "events.jsonl"
    sink = sink_of(f"file:{file}", cast("Session", Hub()))
    assert Publisher(store, "file", sink, after=0).run() == 1
    detail = json.loads(file.read_text())["detail"]
    assert detail["networkReachabilityDetails"]["openPortRange"] == {"begin": 22, "end": 22}


def test_a_run_that_was_refused_continues_with_the_refused_event(store: Store) -> None:
    happen(store, "a", "b", "c")
    ids = [event.row.arn for event in store.outbox.finding_events(0)]
    hub = Hub(*[lambda name: "InvalidInput" if name == ids[1] else ""] * 4)
    with pytest.raises(CloudError, match="event 2 is not taken: InvalidInput"):
        publish(store, hub)
    assert len(hub.kept) == 2
    assert publish(store, hub, after=None) == 2
    assert len(hub.kept) == 3


def test_another_accounts_target_passes_over_the_events(store: Store) -> None:
    happen(store, "a")
    hub = Hub()
    assert publish(store, hub, f"securityhub:{'9' * 12}") == 1
    assert hub.calls == []
    assert publish(store, hub, f"securityhub:{ACCOUNT}") == 1
    assert len(hub.kept) == 1


def test_a_wrong_target_is_refused() -> None:
    with pytest.raises(UsageError, match="securityhub:ACCOUNT"):
        sink_of("securityhub:nowhere", cast("Session", Hub()))


def test_the_command_writes_a_line_for_each_call(store: Store, tmp_path: Path) -> None:
    happen(store, "a", "b")
    url = f"sqlite:///{tmp_path}/store.db"
    words = ["findings", "--format", "asff", "--status", "ALL", "--store", url]
    done = CliRunner().invoke(fleet, words, catch_exceptions=False)
    (line,) = io.StringIO(done.stdout).readlines()
    findings: list[dict[str, Any]] = json.loads(line)["Findings"]
    assert sorted(item["Title"] for item in findings) == ["CVE-2026-1 - a", "CVE-2026-1 - b"]
    hub = Hub()
    publish(store, hub)
    assert {item["Id"] for item in findings} == set(hub.kept)
