"""The score of a machine that only its own network reaches, and listeners in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, func, select

from sidelight.model import (
    ConfiguredListener,
    Coverage,
    Finding,
    FindingStatus,
    FindingType,
    InstanceRef,
    Inventory,
    SuppressionRule,
)
from sidelight.store import FindingSearch, NetworkObservation
from sidelight.store.base.schema import (
    finding_details,
    finding_terms,
    findings,
    unreached_details,
)
from sidelight.suppression import parse
from tests.fixtures.network_findings import SSH
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    FakeAdvisory,
    inventory,
    package,
    reevaluated,
    scanned,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.model import NetworkFinding
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOCAL = "CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOWER = (8.8, f"{VECTOR}/MAV:A")
DAY = 86400.0
PACKAGE = FindingType.PACKAGE_VULNERABILITY
HIGH: Mapping[str, object] = {"inspectorScore": [{"lowerInclusive": 9.0, "upperInclusive": 10.0}]}


@dataclass
class Rated(Database):
    """Advisories of which each finding has a vector."""

    vectors: dict[str, tuple[str, float]] = field(default_factory=dict)

    def match(self, inventory: Inventory) -> list[Finding]:
        return [self.rated(found) for found in super().match(inventory)]

    def rated(self, found: Finding) -> Finding:
        vector, score = self.vectors.get(found.vulnerability, (VECTOR, 9.8))
        return replace(found, cvss_vector=vector, score=score, score_vector=vector)

    def vulnerability_digest(self, vulnerability: str) -> str:
        own = super().vulnerability_digest(vulnerability), self.vectors.get(vulnerability)
        return self._digest(own)

    @property
    def sha256(self) -> str:
        return self._digest([super().sha256, sorted(self.vectors.items())])


ONE = Rated({"a": [FakeAdvisory("CVE-2026-1")]})
READ = inventory(package("a"))


def evaluated(
    store: Store,
    clock: Clock,
    *found: NetworkFinding,
    instance: str = "i-1",
    reason: str = "SUCCESSFUL",
) -> int:
    """An evaluation of the instance's network; the number of package findings that changed."""
    place = InstanceRef(ACCOUNT, REGION, instance)
    store.network_findings.evaluate(ACCOUNT, [NetworkObservation(place, found, lambda _: True)])
    row = Coverage(ACCOUNT, REGION, instance, "", "ACTIVE", reason, scan_mode="")
    store.instances.cover([replace(row, scan_type="NETWORK", scanned_at=clock())])
    return store.exposures.update(ACCOUNT, [instance])


def score(store: Store, instance: str = "i-1") -> tuple[float | None, str]:
    (row,) = store.findings.rows(kind=PACKAGE, instance=instance)
    finding = row.package_finding
    return finding.score, finding.score_vector


def scores(store: Store, criteria: Mapping[str, object] | None = None) -> list[float | None]:
    wanted = None if criteria is None else parse(criteria)
    search = FindingSearch(wanted, sort="INSPECTOR_SCORE", descending=True)
    page = store.found_findings.page(search, 100)
    return [row.package_finding.score for row in page.rows if row.finding.type is PACKAGE]


def events(store: Store, after: int = 0) -> list[tuple[str, str, float | None]]:
    return [
        (item.kind, item.row.instance, item.row.package_finding.score)
        for item in store.outbox.finding_events(after)
        if item.row.finding.type is PACKAGE
    ]


def test_an_unreached_machines_score_is_that_of_its_own_network(store: Store, clock: Clock) -> None:
    scanned(store, ONE, READ)
    assert score(store) == (9.8, VECTOR)
    assert evaluated(store, clock) == 1
    assert score(store) == LOWER


def test_searches_and_sorting_use_the_score_of_each_machine(store: Store, clock: Clock) -> None:
    for instance in ("i-1", "i-2"):
        scanned(store, ONE, READ, instance)
    evaluated(store, clock)
    evaluated(store, clock, SSH, instance="i-2")
    assert scores(store) == [9.8, 8.8]
    assert scores(store, HIGH) == [9.8]


def test_a_changed_exposure_is_an_event_with_the_new_score(store: Store, clock: Clock) -> None:
    scanned(store, ONE, READ)
    evaluated(store, clock)
    evaluated(store, clock, SSH)
    assert events(store) == [
        ("OPENED", "i-1", 9.8),
        ("UPDATED", "i-1", 8.8),
        ("UPDATED", "i-1", 9.8),
    ]
    assert score(store) == (9.8, VECTOR)


def test_a_finding_opened_on_an_unreached_machine_has_its_score_at_once(
    store: Store, clock: Clock
) -> None:
    evaluated(store, clock)
    scanned(store, ONE, READ)
    assert events(store) == [("OPENED", "i-1", 8.8)]
    later = replace(ONE, says={"a": [FakeAdvisory("CVE-2026-1"), FakeAdvisory("CVE-2026-2")]})
    reevaluated(store, later)
    assert scores(store) == [8.8, 8.8]
    assert scores(store, HIGH) == []


def test_an_unchanged_evaluation_writes_no_row(store: Store, clock: Clock) -> None:
    scanned(store, ONE, READ)
    evaluated(store, clock)
    store.instances.discovered(ACCOUNT, REGION, [])
    written: list[str] = []

    def note(*args: object) -> None:
        if str(args[2]).split(maxsplit=1)[0] in ("INSERT", "UPDATE", "DELETE", "COPY"):
            written.append(str(args[2]))

    event.listen(store._database.engine, "before_cursor_execute", note)
    assert store.exposures.update(ACCOUNT, ["i-1", "i-2"]) == 0
    assert store.exposures.lapse() == 0
    assert written == []


@pytest.mark.parametrize("reason", ["PARTIAL", "PENDING_INITIAL_SCAN"])
def test_a_network_that_was_evaluated_in_part_restores_the_score(
    store: Store, clock: Clock, reason: str
) -> None:
    scanned(store, ONE, READ)
    evaluated(store, clock)
    evaluated(store, clock, reason=reason)
    assert score(store) == (9.8, VECTOR)


def test_an_old_evaluation_restores_the_score(store: Store, clock: Clock) -> None:
    scanned(store, ONE, READ)
    evaluated(store, clock)
    clock.advance(2 * DAY + 1)
    assert store.exposures.lapse() == 1
    assert score(store) == (9.8, VECTOR)
    assert events(store)[-1] == ("UPDATED", "i-1", 9.8)


def test_a_score_that_does_not_depend_on_the_exposure_stays_without_an_event(
    store: Store, clock: Clock
) -> None:
    scanned(store, replace(ONE, vectors={"CVE-2026-1": (LOCAL, 8.4)}), READ)
    assert evaluated(store, clock) == 0
    assert score(store) == (8.4, LOCAL)
    assert [kind for kind, *_ in events(store)] == ["OPENED"]


def test_a_vector_that_becomes_one_of_the_network_lowers_the_score(
    store: Store, clock: Clock
) -> None:
    local = replace(ONE, vectors={"CVE-2026-1": (LOCAL, 8.4)})
    scanned(store, local, READ)
    evaluated(store, clock)
    reevaluated(store, ONE)
    assert score(store) == LOWER
    reevaluated(store, local)
    assert score(store) == (8.4, LOCAL)


def test_changed_details_change_both_scores(store: Store, clock: Clock) -> None:
    for instance in ("i-1", "i-2"):
        scanned(store, ONE, READ, instance)
    evaluated(store, clock)
    milder = VECTOR.replace("C:H", "C:L")
    reevaluated(store, replace(ONE, vectors={"CVE-2026-1": (milder, 9.4)}))
    assert score(store) == (8.3, f"{milder}/MAV:A")
    assert score(store, "i-2") == (9.4, milder)


def test_a_fixed_vulnerability_is_closed_on_an_unreached_machine(
    store: Store, clock: Clock
) -> None:
    scanned(store, ONE, READ)
    evaluated(store, clock)
    assert reevaluated(store, Rated({})).closed == 1
    assert list(store.findings.rows(kind=PACKAGE)) == []


def test_a_rule_by_score_suppresses_what_no_longer_reaches_it(store: Store, clock: Clock) -> None:
    low = {"inspectorScore": [{"lowerInclusive": 0.0, "upperInclusive": 9.0}]}
    store.suppression_rules.save(SuppressionRule("low", json.dumps(low)))
    scanned(store, ONE, READ)
    evaluated(store, clock)
    (row,) = store.findings.rows(status=None, kind=PACKAGE)
    assert row.status is FindingStatus.SUPPRESSED
    assert [kind for kind, *_ in events(store)] == ["OPENED", "UPDATED"]
    evaluated(store, clock, SSH)
    (row,) = store.findings.rows(status=None, kind=PACKAGE)
    assert row.status is FindingStatus.ACTIVE


def test_details_of_both_exposures_are_kept_while_one_is_used(store: Store, clock: Clock) -> None:
    scanned(store, ONE, READ)
    evaluated(store, clock)
    store.retention.run()
    evaluated(store, clock, SSH)
    assert score(store) == (9.8, VECTOR)
    evaluated(store, clock)
    store.findings.close_instances(ACCOUNT, ["i-1"])
    clock.advance(400 * DAY)
    for _ in range(3):
        store.retention.run()
    with store._database.read() as connection:
        tables = (findings, finding_details, finding_terms, unreached_details)
        left = {
            t.name: connection.execute(select(func.count()).select_from(t)).scalar() for t in tables
        }
    assert left == dict.fromkeys(left, 0)


def test_listeners_are_stored_with_the_inventory(store: Store) -> None:
    sshd = ConfiguredListener("ssh", "TCP", 22, "", "/etc/ssh/sshd_config", 5)
    read = replace(READ, listeners=(sshd,))
    scanned(store, Rated({}), read)
    key = (ACCOUNT, "i-1")
    assert store.findings.listeners([key, (ACCOUNT, "i-2")]) == {key: (sshd,)}
