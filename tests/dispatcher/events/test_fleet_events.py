"""Events of coverage and of first scans, in Inspector's shapes, among those of findings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dispatcher.cli.fleet.scan import fleet
from dispatcher.events.event_messages import EventChoice
from dispatcher.events.publisher import Publisher
from sidelight.aws.events import Sent
from sidelight.errors import CloudError, UsageError
from sidelight.fleet.settings import Settings
from sidelight.model import Coverage, Instance
from sidelight.report.fleet_event_documents import date_as_inspector
from sidelight.store import Store
from sidelight.store.instances.coverage_rows import write_coverage
from tests.fixtures.document_schemas import conform
from tests.fixtures.stored_findings import ACCOUNT, REGION, inventory, package, says, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sidelight.aws.events import Message

ALL = EventChoice.of("findings,coverage,scans", "iso")


class Listener:
    """A sink that takes whole events, `most` in all."""

    whole = True

    def __init__(self, most: int = 1 << 30) -> None:
        self.most = most
        self.taken: list[Message] = []

    def send(self, messages: Sequence[Message]) -> Sent:
        room = self.most - len(self.taken)
        self.taken += messages[:room]
        return Sent(len(messages)) if room >= len(messages) else Sent(room, "full")

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(message.text) for message in self.taken]

    @property
    def types(self) -> list[str]:
        return [event["detail-type"].removeprefix("Inspector2 ") for event in self.events]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url) as store:
        store.migrate()
        yield store


def cover(store: Store, status: str, reason: str, instance: str = "i-1") -> None:
    store.instances.cover([Coverage(ACCOUNT, REGION, instance, "web", status, reason)])


def published(store: Store, choice: EventChoice = ALL) -> Listener:
    listener = Listener()
    Publisher(store, "t", listener, after=0, choice=choice).run()
    return listener


def test_a_change_of_coverage_has_inspectors_shape(store: Store) -> None:
    cover(store, "INACTIVE", "UNMANAGED_EC2_INSTANCE")
    (event,) = published(store).events
    conform("coverage-event", event)
    own = event["detail"].pop("sidelight")
    assert own == {"eventId": f"{store.deployment()}-1", "sequence": 1, "region": REGION}
    assert event["detail"].pop("scanMode") == "EC2_AGENTLESS"
    at = event["detail"].pop("eventTimestamp")
    assert event == {
        "version": "0", "id": "1", "detail-type": "Inspector2 Coverage", "source": "sidelight",
        "account": ACCOUNT, "time": at, "region": REGION, "resources": ["i-1"],
        "detail": {
            "scanStatus": {"reason": "UNMANAGED_EC2_INSTANCE", "statusCodeValue": "INACTIVE"},
            "scanType": "PACKAGE", "provider": "AWS", "providerAccountId": ACCOUNT,
            "providerRegion": REGION, "version": "1.0",
        },
    }  # fmt: skip


def test_a_first_scan_has_inspectors_shape_and_a_second_is_no_event(store: Store) -> None:
    scanned(store, says("a", "b"), inventory(package("a"), package("b")))
    scanned(store, says("a", "b"), inventory(package("a"), package("b")))
    listener = published(store)
    assert listener.types == ["Finding", "Finding", "Scan"]
    event = listener.events[-1]
    conform("scan-event", event)
    del event["detail"]["sidelight"]
    assert event["detail"] == {
        "scan-status": "INITIAL_SCAN_COMPLETE",
        "finding-severity-counts": {"CRITICAL": 0, "HIGH": 2, "MEDIUM": 0, "TOTAL": 2},
        "instance-id": "i-1",
        "version": "1.0",
    }


def test_events_of_all_types_share_numbers_without_gaps(store: Store) -> None:
    cover(store, "INACTIVE", "PENDING_INITIAL_SCAN")
    scanned(store, says("a"), inventory(package("a")))
    cover(store, "ACTIVE", "SUCCESSFUL")
    first = published(store)
    cover(store, "ACTIVE", "SUCCESSFUL")  # not a change
    cover(store, "INACTIVE", "EC2_INSTANCE_STOPPED")
    scanned(store, says("b"), inventory(package("b")), "i-2")
    listener = published(store)
    assert [event["id"] for event in listener.events] == [
        str(number) for number in range(1, len(listener.taken) + 1)
    ]
    assert [event["id"] for event in first.events] == [str(n) for n in range(1, 5)]
    reasons = [
        event["detail"]["scanStatus"]["reason"]
        for event in listener.events
        if event["detail-type"] == "Inspector2 Coverage"
    ]
    assert reasons == ["PENDING_INITIAL_SCAN", "SUCCESSFUL", "EC2_INSTANCE_STOPPED"]


def test_what_is_rolled_back_is_no_event(store: Store) -> None:
    class Interrupted(BaseException):
        pass

    cover(store, "ACTIVE", "SUCCESSFUL")
    row = Coverage(ACCOUNT, REGION, "i-2", "web", "ACTIVE", "SUCCESSFUL")

    def interrupted() -> None:
        with store.instances._database.write() as connection:
            write_coverage(connection, [row], store.clock())
            raise Interrupted

    with pytest.raises(Interrupted):
        interrupted()
    assert [event["resources"] for event in published(store).events] == [["i-1"]]


def test_a_refused_event_is_next_and_unwanted_ones_are_passed(store: Store) -> None:
    cover(store, "INACTIVE", "PENDING_INITIAL_SCAN")
    scanned(store, says("a"), inventory(package("a")))
    cover(store, "ACTIVE", "SUCCESSFUL")
    findings = published(store, EventChoice.of("findings", "iso"))
    assert findings.types == ["Finding"]
    listener = Listener(most=1)
    coverage = EventChoice.of("coverage", "iso")
    with pytest.raises(CloudError, match="event 4 is not taken: full"):
        Publisher(store, "u", listener, after=0, choice=coverage).run()
    assert store.outbox.position("u") == 3
    listener.most = 9
    assert Publisher(store, "u", listener, choice=coverage).run() == 1
    assert listener.types == ["Coverage", "Coverage"]


def test_a_new_target_gets_no_event_that_waited_for_its_number(store: Store) -> None:
    cover(store, "INACTIVE", "PENDING_INITIAL_SCAN")
    listener = Listener()
    publisher = Publisher(store, "new", listener, choice=ALL)
    cover(store, "ACTIVE", "SUCCESSFUL")
    assert publisher.run() == 1
    assert listener.events[0]["detail"]["scanStatus"]["reason"] == "SUCCESSFUL"


def test_dates_as_inspector_writes_them(store: Store) -> None:
    assert (
        date_as_inspector("2024-09-04T16:55:38.411999+00:00") == "Wed Sep 04 16:55:38.411 UTC 2024"
    )
    assert date_as_inspector("2026-01-31T23:30:00-01:00") == "Sun Feb 01 00:30:00.000 UTC 2026"
    machine = Instance("i-1", ACCOUNT, REGION, "running", (), launched_at=store.clock())
    store.instances.discovered(ACCOUNT, REGION, [machine])
    scanned(store, says("a"), inventory(package("a")))
    (plain,) = published(store, EventChoice.of("findings", "iso")).events
    (event,) = published(store, EventChoice.of("findings", "inspector")).events
    detail = event["detail"]
    launched = detail["resources"][0]["details"]["awsEc2Instance"]["launchedAt"]
    for text in (
        detail["firstObservedAt"],
        detail["lastObservedAt"],
        detail["updatedAt"],
        launched,
    ):
        assert text.split()[4] == "UTC"
    assert plain["time"] == event["time"]


@pytest.mark.parametrize(
    ("types", "dates"), [("finding", "iso"), ("", "iso"), (" , ", "iso"), ("scans", "us")]
)
def test_an_unknown_choice_is_refused(types: str, dates: str) -> None:
    with pytest.raises(UsageError, match="SIDELIGHT_EVENT_"):
        EventChoice.of(types, dates)


def test_the_default_is_every_type(store: Store, url: str) -> None:
    settings = Settings.of()
    assert EventChoice.of(settings.findings.event_types, settings.findings.event_dates) == ALL
    cover(store, "INACTIVE", "PENDING_INITIAL_SCAN")
    scanned(store, says("a"), inventory(package("a")))

    def lines(*options: str) -> list[str]:
        words = ["events", "--store", url, *options]
        return CliRunner().invoke(fleet, words, catch_exceptions=False).output.splitlines()

    shown = lines()
    assert [line.split()[2] for line in shown] == ["OPENED", "COVERED", "SCANNED"]
    assert shown[1].endswith("COVERED i-1 PACKAGE INACTIVE PENDING_INITIAL_SCAN")
    assert shown[2].endswith("SCANNED i-1 first scan, 1 finding")
    assert [line.split()[2] for line in lines("--types", "coverage")] == ["COVERED"]
