"""Network findings have the life of package findings: opened, kept, closed, opened again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import event

from sidelight.model import (
    Coverage,
    FindingChanges,
    FindingStatus,
    FindingType,
    Severity,
    SuppressionRule,
)
from tests.fixtures.network_findings import SSH, observe, port
from tests.fixtures.stored_findings import ACCOUNT, REGION, inventory, package, says, scanned

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

DAY = 86400.0
NETWORK, PACKAGE = FindingType.NETWORK_REACHABILITY, FindingType.PACKAGE_VULNERABILITY


def kinds_of_events(store: Store) -> list[str]:
    return [item.kind for item in store.outbox.finding_events(0)]


def test_network_findings_are_opened_kept_and_closed(store: Store) -> None:
    assert observe(store, SSH, port(80)) == FindingChanges(2, 0, 0)
    assert observe(store, SSH) == FindingChanges(0, 1, 1)
    (row,) = store.findings.rows(kind=NETWORK)
    assert row.finding == SSH
    assert kinds_of_events(store) == ["OPENED", "OPENED", "CLOSED"]


def test_a_port_that_is_open_again_within_seven_days_is_the_same_finding(
    store: Store, clock: Clock
) -> None:
    observe(store, SSH)
    (before,) = store.findings.rows()
    observe(store)
    clock.advance(6 * DAY)
    observe(store, SSH)
    (after,) = store.findings.rows()
    assert (after.arn, after.first_observed) == (before.arn, before.first_observed)
    assert kinds_of_events(store) == ["OPENED", "CLOSED", "REOPENED"]


def test_a_port_that_is_open_again_later_is_another_finding(store: Store, clock: Clock) -> None:
    observe(store, SSH)
    (before,) = store.findings.rows()
    observe(store)
    clock.advance(8 * DAY)
    observe(store, SSH)
    (after,) = store.findings.rows()
    assert after.arn != before.arn


def test_an_unchanged_network_writes_no_row(store: Store) -> None:
    observe(store, SSH, port(80))
    written: list[str] = []

    def note(*args: object) -> None:
        statement = str(args[2])
        if statement.split(maxsplit=1)[0] in ("INSERT", "UPDATE", "DELETE"):
            written.append(statement)

    engine = store._database.engine
    event.listen(engine, "before_cursor_execute", note)
    assert observe(store, SSH, port(80)) == FindingChanges(0, 2, 0)
    assert written == []


def test_a_finding_that_the_evaluation_could_not_look_at_stays_open(store: Store) -> None:
    observe(store, SSH, port(80))
    changes = observe(store, closes=lambda finding: finding.port_begin == 80)
    assert changes == FindingChanges(0, 0, 1)
    assert [row.finding.title for row in store.findings.rows()] == [SSH.title]


def test_other_sources_update_the_finding(store: Store) -> None:
    observe(store, SSH)
    (before,) = store.findings.rows()
    narrow = replace(SSH, sources=("192.0.2.1/32",), anywhere=False)
    assert observe(store, narrow) == FindingChanges(0, 1, 0)
    (after,) = store.findings.rows()
    assert (after.arn, after.finding) == (before.arn, narrow)
    assert kinds_of_events(store) == ["OPENED", "UPDATED"]


def test_package_and_network_findings_of_an_instance_do_not_close_each_other(
    store: Store,
) -> None:
    observe(store, SSH)
    scanned(store, says("a"), inventory(package("a")))
    observe(store, SSH)
    assert {row.finding.type for row in store.findings.rows()} == {NETWORK, PACKAGE}
    scanned(store, says("a"), inventory(package("a", "9")))
    assert [row.finding.type for row in store.findings.rows()] == [NETWORK]


def test_a_rule_suppresses_ports_of_a_range(store: Store) -> None:
    observe(store, SSH, port(80))
    criteria = {
        "portRange": [{"beginInclusive": 20, "endInclusive": 25}],
        "networkProtocol": [{"comparison": "EQUALS", "value": "TCP"}],
        "componentId": [{"comparison": "PREFIX", "value": "igw-"}],
    }
    assert store.suppression_rules.save(SuppressionRule("ssh", json.dumps(criteria))) == 1
    states = {row.finding.title: row.status for row in store.findings.rows(status=None)}
    assert states == {SSH.title: FindingStatus.SUPPRESSED, port(80).title: FindingStatus.ACTIVE}
    observe(store)
    observe(store, SSH)
    (again,) = [row for row in store.findings.rows(status=None) if row.finding == SSH]
    assert again.status is FindingStatus.SUPPRESSED


def test_a_changed_detail_is_judged_again(store: Store) -> None:
    observe(store, SSH)
    criteria = {"severity": [{"comparison": "EQUALS", "value": "LOW"}]}
    store.suppression_rules.save(SuppressionRule("low", json.dumps(criteria)))
    observe(store, replace(SSH, severity=Severity.LOW))
    (row,) = store.findings.rows(status=None)
    assert row.status is FindingStatus.SUPPRESSED


def test_findings_of_an_instance_without_inventory_are_closed_when_it_is_gone(
    store: Store,
) -> None:
    observe(store, SSH)
    assert store.findings.close_instances(ACCOUNT, ["i-1"]) == 1
    assert not list(store.findings.rows())


def test_package_findings_can_be_closed_alone(store: Store) -> None:
    observe(store, SSH)
    scanned(store, says("a"), inventory(package("a")))
    assert store.findings.close_instances(ACCOUNT, ["i-1"], PACKAGE) == 1
    assert [row.finding for row in store.findings.rows()] == [SSH]


def test_closed_findings_and_their_details_are_deleted_after_their_time(
    store: Store, clock: Clock
) -> None:
    observe(store, SSH)
    observe(store)
    clock.advance(31 * DAY)
    deleted = store.retention.run()
    assert (deleted.findings, deleted.details) == (1, 1)


def test_a_kept_finding_was_last_observed_at_the_last_evaluation(
    store: Store, clock: Clock
) -> None:
    observe(store, SSH)
    clock.advance(DAY)
    covered = Coverage(ACCOUNT, REGION, "i-1", "", "ACTIVE", "SUCCESSFUL", scan_mode="")
    store.instances.cover([replace(covered, scan_type="NETWORK", scanned_at=clock())])
    (row,) = store.findings.rows()
    assert row.last_observed == clock()
