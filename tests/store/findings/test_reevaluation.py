"""A new advisory touches the instances that it is about, and no other; a killed part goes on."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.fleet import evaluation
from sidelight.model import (
    Coverage,
    FindingChanges,
    FindingStatus,
    Instance,
    Severity,
    SuppressionRule,
)
from sidelight.report.inspector2_documents import event_document
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    FakeAdvisory,
    inspected,
    inventory,
    kinds,
    open_names,
    package,
    reevaluated,
    says,
    scanned,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.store import Store
    from tests.fakes.clocks import Clock


class KilledError(BaseException):
    """The process is gone."""


@contextmanager
def killed_at(store: Store, number: int) -> Iterator[list[int]]:
    """The `number`th transaction is rolled back, as if its process was killed; their count."""
    seen = [0]
    database: Any = store._database
    write = database.write

    @contextmanager
    def dying() -> Iterator[Any]:
        with write() as connection:
            yield connection
            seen[0] += 1
            if seen[0] == number:
                raise KilledError

    database.write = dying
    try:
        yield seen
    finally:
        database.write = write


def two_machines(store: Store, database: Database) -> None:
    scanned(store, database, inventory(package("a"), package("b")), "i-1")
    scanned(store, database, inventory(package("b"), package("c")), "i-2")


def test_only_what_is_touched_is_matched_and_looked_at(store: Store) -> None:
    two_machines(store, says("b"))
    newer = says("a", "b")
    store.reevaluation.register(newer)
    first, second, third = (evaluation.reevaluate(store, newer) for _ in range(3))
    assert newer.queries == ["a"]
    assert (first.packages, second.instances, second.passed) == (1, 1, 1)
    assert second.findings == FindingChanges(1, 0, 0)
    assert not third.left
    assert open_names(store, "i-1") == {"a", "b"}


def test_it_opens_and_closes_as_a_scan_would(store: Store) -> None:
    two_machines(store, says("a", "b"))
    assert reevaluated(store, says("b", "c")) == FindingChanges(1, 0, 1)
    assert open_names(store, "i-1") == {"b"}
    assert open_names(store, "i-2") == {"b", "c"}
    assert sorted(kinds(store, 3)) == [
        ("CLOSED", "i-1", "CVE-2026-1"),
        ("OPENED", "i-2", "CVE-2026-1"),
    ]


def test_the_same_database_again_does_nothing(store: Store) -> None:
    two_machines(store, says("a"))
    before = store.outbox.last()
    assert reevaluated(store, says("a")) == FindingChanges()
    assert store.outbox.last() == before


def test_back_to_an_older_database_is_a_change_like_another(store: Store) -> None:
    two_machines(store, says("a"))
    reevaluated(store, says("b"))
    reevaluated(store, says("a"))
    assert (open_names(store, "i-1"), open_names(store, "i-2")) == ({"a"}, set())


def test_a_worker_with_an_older_file_does_not_take_the_fleet_back(store: Store) -> None:
    two_machines(store, says("a"))
    reevaluated(store, says("b"))
    older = says("a")
    store.reevaluation.notice(older)
    assert not evaluation.reevaluate(store, older).left
    scanned(store, older, inventory(package("b"), package("d")), "i-2")
    assert open_names(store) == {"b"}
    # What it alone had been asked about is asked again by the newest.
    assert reevaluated(store, says("b")) == FindingChanges(0, 1, 0)
    assert reevaluated(store, says("b", "d")) == FindingChanges(1, 0, 0)


def dated(name: str, newest: str) -> Database:
    database = says(name)
    database.newest = newest
    return database


EARLY, LATE = "2025-12-30T23:30:00Z", "2025-12-31 00:45:00+00:00"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        (EARLY, LATE, True),
        (LATE, EARLY, False),
        ("2025-12-31", LATE, True),  # Debian's day and OSV's moment
        ("2025-12-31T01:00:00+01:00", EARLY, False),
        (LATE, LATE, True),
        (LATE, "", True),
        ("", EARLY, True),
        ("no date", EARLY, True),
        ("2099-01-01T00:00:00Z", EARLY, True),  # what lies ahead would be the newest for ever
    ],
)
def test_the_newest_advisory_decides_which_database_is_newer(
    store: Store, first: str, second: str, *, taken: bool
) -> None:
    two_machines(store, dated("a", first))
    newer = dated("b", second)
    assert store.reevaluation.notice(newer) is taken
    while evaluation.reevaluate(store, newer).left:
        pass
    assert open_names(store) == ({"b"} if taken else {"a"})


def test_of_two_equal_databases_the_one_that_came_last_stays(store: Store) -> None:
    """Workers with either file neither take turns nor open and close for ever."""
    one, other = dated("a", LATE), dated("b", LATE)
    two_machines(store, one)
    assert store.reevaluation.notice(other)
    for _ in range(3):
        assert not store.reevaluation.notice(one)
        assert store.reevaluation.notice(other)
    while evaluation.reevaluate(store, other).left:
        pass
    assert open_names(store) == {"b"}


def test_a_worker_with_an_older_file_scans_and_leaves_the_newest(store: Store) -> None:
    two_machines(store, dated("b", LATE))
    scanned(store, dated("c", EARLY), inventory(package("c"), package("d")), "i-2")
    assert not reevaluated(store, dated("b", LATE)).opened
    assert open_names(store) == {"b"}


def test_back_on_purpose_stays_back(store: Store) -> None:
    newest, older = dated("b", LATE), dated("a", EARLY)
    two_machines(store, newest)
    assert store.reevaluation.register(older, older=False) == 0
    reevaluated(store, older)
    assert open_names(store) == {"a"}
    assert not store.reevaluation.notice(newest), "its file is on a worker still"
    assert store.reevaluation.notice(older)
    # The next day's is newer than both.
    assert store.reevaluation.notice(dated("c", "2026-01-01"))


def test_a_changed_epss_changes_details_and_reopens_no_finding(store: Store) -> None:
    two_machines(store, Database({"b": [FakeAdvisory("CVE-2026-1", epss=0.1)]}))
    before = store.outbox.last()
    assert (
        reevaluated(store, Database({"b": [FakeAdvisory("CVE-2026-1", epss=0.9)]}))
        == FindingChanges()
    )
    assert [row.package_finding.epss for row in store.findings.rows()] == [0.9, 0.9]
    assert store.outbox.last() == before


def test_a_scan_and_a_reevaluation_of_one_instance_agree(store: Store) -> None:
    scanned(store, says("a"), inventory(package("a"), package("b")))
    scan = inspected(store, inventory(package("b"), package("c")))
    reevaluated(store, says("b"))  # between the scan's inventory and its evaluation
    assert open_names(store) == {"b"}
    evaluation.evaluate(store, scan, says("b"))
    assert open_names(store) == {"b"}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 6))
def test_a_part_that_was_killed_is_done_by_the_next(store: Store, number: int) -> None:
    two_machines(store, says("a", "b"))
    store.suppression_rules.save(rule("c", {"vulnerablePackages": [{"name": equals("c")}]}))
    newer = says("b", "c")
    with killed_at(store, number) as seen:
        try:
            reevaluated(store, newer)
            store.suppression_rules.judge()
        except KilledError:
            pass
    assert seen[0] >= min(number, 3)
    reevaluated(store, newer)
    store.suppression_rules.judge()
    assert open_names(store, "i-1") == {"b"}
    assert open_names(store, "i-2") == {"b"}
    assert sorted(kinds(store)[3:]) == [
        ("CLOSED", "i-1", "CVE-2026-1"),
        ("OPENED", "i-2", "CVE-2026-1"),
    ]
    assert status_of(store, "c") is FindingStatus.SUPPRESSED


def equals(value: str) -> dict[str, str]:
    return {"comparison": "EQUALS", "value": value}


def rule(name: str, criteria: dict[str, Any]) -> SuppressionRule:
    return SuppressionRule(name, json.dumps(criteria))


def status_of(store: Store, name: str) -> FindingStatus:
    (row,) = [r for r in store.findings.rows(status=None) if r.package_finding.package.name == name]
    return row.status


def test_a_rule_suppresses_what_is_there_and_what_comes(store: Store) -> None:
    store.instances.discovered(
        ACCOUNT, REGION, [Instance("i-1", ACCOUNT, REGION, "running", (), (("env", "test"),))]
    )
    read = inventory(package("a"), package("b"))
    scanned(store, says("a"), read)
    tagged = {"resourceTags": [{"comparison": "EQUALS", "key": "env", "value": "test"}]}
    assert store.suppression_rules.save(rule("test", tagged)) == 1
    reevaluated(store, says("a", "b"))
    assert {row.status for row in store.findings.rows(status=None)} == {FindingStatus.SUPPRESSED}
    assert not store.findings.severities()
    # It closes when it is fixed, like any other.
    reevaluated(store, says("a"))
    assert status_of(store, "b") is FindingStatus.CLOSED
    assert store.suppression_rules.remove("test")
    assert open_names(store) == {"a"}
    assert not store.suppression_rules.remove("test")
    assert [kind for kind, _, _ in kinds(store)] == [
        "OPENED", "UPDATED", "OPENED", "CLOSED", "UPDATED",
    ]  # fmt: skip


def test_a_rule_that_is_changed_lets_go_what_it_no_longer_means(store: Store) -> None:
    scanned(store, says("a", "b"), inventory(package("a"), package("b")))
    store.suppression_rules.save(rule("r", {"vulnerablePackages": [{"name": equals("a")}]}))
    store.suppression_rules.save(rule("r", {"vulnerablePackages": [{"name": equals("b")}]}))
    assert open_names(store) == {"a"}
    assert [one.name for one in store.suppression_rules.all()] == ["r"]


def test_a_rule_is_asked_again_when_what_is_said_changes(store: Store) -> None:
    scanned(store, says("a"), inventory(package("a")))
    store.suppression_rules.save(rule("grave", {"severity": [equals("CRITICAL")]}))
    assert status_of(store, "a") is FindingStatus.ACTIVE
    reevaluated(store, Database({"a": [FakeAdvisory("CVE-2026-1", severity=Severity.CRITICAL)]}))
    store.suppression_rules.judge()
    assert status_of(store, "a") is FindingStatus.SUPPRESSED


def test_events_are_read_from_any_number_on(store: Store, clock: Clock) -> None:
    two_machines(store, says("b"))
    first, second = store.outbox.finding_events(0)
    assert (first.sequence, second.sequence) == (1, 2)
    assert store.outbox.finding_events(1) == [second]
    assert store.outbox.finding_events(2) == store.outbox.finding_events(10**30) == []
    clock.advance(31 * 86400)
    assert store.retention.run().events == 4  # two of first scans, which nobody has numbered
    scanned(store, says("b"), inventory(package("c")), "i-1")
    assert [event.sequence for event in store.outbox.finding_events(0)] == [3]


def test_an_event_has_the_shape_of_inspectors(store: Store) -> None:
    import botocore.session
    from botocore.validate import ParamValidator

    scanned(store, says("a"), inventory(package("a")))
    (event,) = store.outbox.finding_events(0)
    machine = Instance("i-1", ACCOUNT, REGION, "running", (), (("a", "b"),), image_id="ami-1")
    document = event_document(event, machine, "ours")
    assert document["detail"].pop("sidelight") == {
        "eventId": "ours-1", "sequence": 1, "event": "OPENED", "region": REGION,
    }  # fmt: skip
    assert document["detail-type"] == "Inspector2 Finding"
    shape: Any = botocore.session.get_session().get_service_model("inspector2").shape_for("Finding")
    report = ParamValidator().validate(document["detail"], shape)
    assert not report.has_errors(), report.generate_report()
    assert document["detail"].keys() <= shape.members.keys()


def test_last_scanned_moves_when_an_inventory_is_matched_again(store: Store, clock: Clock) -> None:
    two_machines(store, says("a"))
    rows = [
        Coverage(ACCOUNT, REGION, name, "", "ACTIVE", "SUCCESSFUL", scanned_at=clock())
        for name in ("i-1", "i-2")
    ]
    store.instances.cover(rows)
    store.instances.cover([Coverage(ACCOUNT, REGION, "i-3", "", "ACTIVE", "PENDING_INITIAL_SCAN")])
    before = clock()
    clock.advance(3600)
    # One is looked at, and of the other it is seen that nothing touches it.
    reevaluated(store, says("a", "b"))
    scanned_at = {row.instance: row.scanned_at for row in store.instances.coverage()}
    assert scanned_at == {"i-1": clock(), "i-2": clock(), "i-3": None}
    assert clock() > before
