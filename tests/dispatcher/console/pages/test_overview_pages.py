"""Overview, packages, network, plan, scans and advisories: what they show, to whom, and how."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from dispatcher.fleet_counter import FleetCounter
from sidelight.model import Coverage, Finding, FindingStatus, NetworkFinding, Role, State
from tests.fakes.clocks import START
from tests.fixtures.console_rig import ConsoleRig, person, text_of
from tests.fixtures.scan_states import advance
from tests.fixtures.searched_findings import ACCOUNTS, REGIONS, all_rows, fill
from tests.fixtures.stored_findings import (
    ACCOUNT,
    Database,
    FakeAdvisory,
    in_state,
    inspected,
    inventory,
    package,
    scanned,
)

if TYPE_CHECKING:
    from sidelight.model import Principal
    from sidelight.store import Store

HOSTILE = "<b>x\u202e\x1b[31m'\"&"
PATHS = ("/", "/packages?q=open", "/network", "/plan", "/scans", "/scans?show=failed",
         "/advisories")  # fmt: skip


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    return ConsoleRig(store)


def shown(rig: ConsoleRig, url: str) -> str:
    answer = rig.get(url, person(Role.READER))
    assert answer.status == 200, text_of(answer)
    return text_of(answer)


def reader(account: str) -> Principal:
    """Someone who sees one account alone."""
    return person(Role.READER, frozenset(), account, f"reader-{account}")


def words(html: str) -> str:
    """The visible text of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


@pytest.mark.parametrize("path", PATHS)
def test_every_page_shows_an_empty_store(rig: ConsoleRig, path: str) -> None:
    assert "<h1>" in shown(rig, path)


def test_what_is_not_counted_does_not_look_clean(rig: ConsoleRig) -> None:
    assert "Nothing is counted yet" in shown(rig, "/")
    assert "No network was evaluated yet" in shown(rig, "/network")


def test_the_overview_shows_kept_counts_as_links(rig: ConsoleRig, store: Store) -> None:
    fill(store, 4)
    stale = Coverage(ACCOUNTS[0], REGIONS[0], "i-1", "", "ACTIVE", "SUCCESSFUL",
                     scanned_at=START - timedelta(hours=30))  # fmt: skip
    store.instances.cover([stale])
    FleetCounter(store).run()
    html = shown(rig, "/")
    assert "Nothing is counted yet" not in html
    assert "0 instances scanned in the last 24 h, 1 not." in words(html)
    assert 'href="/findings?severity=CRITICAL&amp;severity=HIGH"' in html
    assert "Do these first" in html
    assert html.count('class="strong" href="/plan/machines?') == 5


def test_leaked_snapshots_come_first_and_red(rig: ConsoleRig, store: Store) -> None:
    store.sweeps.record(ACCOUNTS[0], REGIONS[0], orphans=2, remaining=2)
    text = shown(rig, "/")
    assert text.index("Snapshots left behind") < text.index("Critical and high, open")
    assert 'class="tile bad"' in text


def test_a_reader_of_one_account_sees_its_counts_alone(rig: ConsoleRig, store: Store) -> None:
    fill(store, 4, 200)
    FleetCounter(store).run()
    for account in ACCOUNTS:
        own = sum(
            isinstance(row.finding, Finding) and bool(row.finding.fixed_version)
            for row in all_rows(store)
            if row.account == account and row.status is FindingStatus.ACTIVE
        )
        answer = rig.get("/plan", reader(account))
        assert f"close {own:,} findings" in words(text_of(answer))


def test_scope_in_the_url_cannot_widen_what_a_reader_sees(rig: ConsoleRig, store: Store) -> None:
    fill(store, 4, 200)
    FleetCounter(store).run()
    row = next(
        row for row in all_rows(store)
        if row.account == ACCOUNTS[1] and isinstance(row.finding, NetworkFinding)
    )  # fmt: skip
    who = reader(ACCOUNTS[0])
    for path in ("/", "/plan", "/network", "/packages?q=o", "/scans"):
        join = "&" if "?" in path else "?"
        answer = rig.get(f"{path}{join}account={ACCOUNTS[1]}", who)
        assert row.instance not in text_of(answer)
    assert rig.get(f"/network/{row.id}", who).status == 404
    assert rig.get(f"/network/{row.id}", person(Role.READER)).status == 200


def test_packages_are_found_with_their_versions_and_instances(
    rig: ConsoleRig, store: Store
) -> None:
    inspected(store, inventory(package("log4j", "1.2"), package(HOSTILE)), "i-1")
    inspected(store, inventory(package("log4j", "2.0")), "i-2")
    html = shown(rig, "/packages?q=LOG4")
    found = re.search(r'href="(/packages/\d+)"', html)
    assert found
    page = words(shown(rig, found[1]))
    assert "On 2 instances, in 2 versions." in page
    assert "1.2" in page
    assert "i-1" in page
    assert rig.get(found[1], reader(ACCOUNTS[1])).status == 404
    assert "No instance has a package of this name" in shown(rig, "/packages?q=absent")
    exported = text_of(rig.get(f"{found[1]}?format=json", person(Role.READER)))
    assert {row["version"] for row in json.loads(exported)} == {"1.2", "2.0"}


def test_a_filter_of_open_ports_is_shown_or_refused(rig: ConsoleRig, store: Store) -> None:
    fill(store, 4, 200)
    limited = words(shown(rig, "/network?port=22&severity=HIGH"))
    assert "Port is 22" in limited
    assert "Severity is High" in limited
    for refused in ("port=http", "severity=worst"):
        assert rig.get(f"/network?{refused}", person(Role.READER)).status == 400


@pytest.mark.parametrize("path", ["/packages/x", "/packages/99", "/network/x", "/network/99",
                                  "/plan/machines", "/plan/machines?package=absent",
                                  "/packages/9999999999999999999"])  # fmt: skip
def test_what_is_not_there_is_an_error_page(rig: ConsoleRig, path: str) -> None:
    assert rig.get(path, person(Role.READER)).status == 404


@pytest.mark.parametrize("path", ["/network", "/plan/machines?package=openssl", "/packages/1"])
def test_a_position_of_another_list_is_refused(rig: ConsoleRig, store: Store, path: str) -> None:
    inspected(store, inventory(package("openssl")), "i-1")
    join = "&" if "?" in path else "?"
    answer = rig.get(f"{path}{join}after=eyJrZXkiOlsxXX0", person(Role.READER))
    assert answer.status in {400, 404}


def test_hostile_names_are_inert_on_every_page(rig: ConsoleRig, store: Store) -> None:
    database = Database({HOSTILE: [FakeAdvisory("CVE-2026-1")]})
    scanned(store, database, inventory(package(HOSTILE)), "i-1")
    name = Coverage(ACCOUNT, "eu-west-1", "i-1", HOSTILE, "ACTIVE", "SUCCESSFUL")
    store.instances.cover([name])
    held = in_state(store, State.READING, "i-2")
    store.scans.fail(held, HOSTILE, "INTERNAL_ERROR")
    FleetCounter(store).run()
    action = store.remediations.kept().actions[0]
    machines = f"/plan/machines?type=deb&ecosystem=Debian%3A12&package={quote(action.package)}"
    for path in (*PATHS, "/packages?q=b", "/packages/1", machines):
        html = text_of(rig.get(path, person(Role.READER)))
        assert "<b>x" not in html
        html = re.sub(r'value="[^"]{0,1000}"', "", html)  # what forms send back is as it was
        assert "\u202e" not in html
        assert "\x1b" not in html


def test_an_upgrade_shows_its_command_and_machines(rig: ConsoleRig, store: Store) -> None:
    scanned(
        store,
        Database({"openssl": [FakeAdvisory("CVE-2026-1", "3")]}),
        inventory(package("openssl")),
    )
    FleetCounter(store).run()
    url = "/plan/machines?type=deb&ecosystem=Debian%3A12&package=openssl"
    page = words(shown(rig, url))
    assert "apt-get install --only-upgrade openssl" in page
    assert "Reboot needed" in page
    assert "i-1" in page


def test_live_scans_are_sent_when_they_change(rig: ConsoleRig, store: Store) -> None:
    poll = rig.get("/scans/events", person(Role.READER)).poll
    assert poll is not None
    before = json.loads(poll.read() or "")["scan-states"]
    assert "No scan is under way" in before
    held = in_state(store, State.READING, "i-1")
    assert "1 working" in words(json.loads(poll.read() or "")["scan-states"])
    other = rig.get("/scans/events", reader(ACCOUNTS[1])).poll
    assert other is not None
    assert "No scan is under way" in json.loads(other.read() or "")["scan-states"]
    advance(store, held, State.DONE)
    assert json.loads(poll.read() or "")["scan-states"] == before


def test_scans_of_a_day_are_counted(rig: ConsoleRig, store: Store) -> None:
    advance(store, in_state(store, State.READING, "i-1"), State.DONE)
    assert "1 scans succeeded in the last 24 h, 0 failed." in words(shown(rig, "/scans"))


def test_rate_limits_are_shown_to_those_who_see_all(
    rig: ConsoleRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.console.pages.scans.met", lambda _settings: [])
    assert "No rate limit is in use" in shown(rig, "/scans?show=limits")
    assert rig.get("/scans?show=limits", reader(ACCOUNTS[1])).status == 404


def test_a_path_is_drawn_from_the_edge_to_the_instance(rig: ConsoleRig, store: Store) -> None:
    fill(store, 4, 200)
    row = next(row for row in all_rows(store) if isinstance(row.finding, NetworkFinding))
    html = shown(rig, f"/network/{row.id}")
    assert 'class="way-picture"' in html
    picture = html[html.index('class="way-picture"') :]
    assert picture.index("igw-1") < picture.index(row.instance)
    assert "style=" not in html


@pytest.mark.parametrize("path", PATHS)
def test_no_page_counts_rows_of_a_larger_fleet(
    rig: ConsoleRig, store: Store, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a page reads by statement is bounded, so that it does not grow with the fleet."""
    monkeypatch.setattr(store.totals, "findings", lambda: pytest.fail("counts all findings"))
    monkeypatch.setattr(store.findings, "rows", lambda **_: pytest.fail("reads all findings"))
    monkeypatch.setattr(store.instances, "coverage", lambda *_: pytest.fail("reads all coverage"))
    fill(store, 4)
    FleetCounter(store).run()
    assert len(shown(rig, path)) < 150_000
