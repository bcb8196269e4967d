"""The laws of a finding's life, on a store that is a dictionary."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from sidelight.findings import (
    KEPT_CLOSED,
    REOPENS_WITHIN,
    FindingPlan,
    Observation,
    ReadAgain,
    StoredFinding,
    closable,
    closing,
    key,
    observing,
    opening,
    reopening,
)
from sidelight.model import FindingStatus, FindingType, InstanceRef, Judged, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = InstanceRef("123456789012", "eu-west-1", "i-1")
PACKAGE, NETWORK = FindingType.PACKAGE_VULNERABILITY, FindingType.NETWORK_REACHABILITY
ACTIVE, SUPPRESSED, CLOSED = FindingStatus.ACTIVE, FindingStatus.SUPPRESSED, FindingStatus.CLOSED


@dataclass
class Memory:
    """One instance's findings, with the plans applied as the store applies them."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    suppressed: frozenset[int] = frozenset()  # details
    numbers: Iterable[int] = field(default_factory=lambda: count(1))

    def known(self, *, backwards: bool = False) -> list[StoredFinding]:
        findings = [
            StoredFinding(**{name: row[name] for name in StoredFinding._fields})
            for row in self.rows.values()
        ]
        return findings[::-1] if backwards else findings

    def observe(
        self,
        details: Mapping[str, int],
        now: datetime,
        *,
        kind: FindingType = PACKAGE,
        keys: frozenset[str] | None = None,
        status: Status = Status.COMPLETE,
        evidence: ReadAgain | None = None,
    ) -> FindingPlan:
        plan = FindingPlan()
        missing = plan.add(Observation(PLACE, details, keys, kind), self.known(), now)
        plan.closed += closable(missing, status, lambda: evidence or ReadAgain({}, ()))
        plan.judge(self._judge, now)
        self._apply(plan, now)
        return plan

    def _judge(self, subjects: Iterable[Judged]) -> dict[Judged, FindingStatus]:
        return {one: SUPPRESSED if one.detail in self.suppressed else ACTIVE for one in subjects}

    def _apply(self, plan: FindingPlan, now: datetime) -> None:
        for new in plan.opened:
            number = next(iter(self.numbers))
            self.rows[number] = {"id": number} | opening(new, now)
        for item in plan.reopened:
            self.rows[item.finding.id] |= reopening(now, item.status)
        for number, detail in plan.moved:
            self.rows[number]["detail"] = detail
        for finding in plan.kept:
            self.rows[finding.id] |= observing(now)
        for finding in plan.closed:
            self.rows[finding.id] |= closing(now, KEPT_CLOSED)

    def open_keys(self, kind: FindingType = PACKAGE) -> list[str]:
        return sorted(
            row["key"]
            for row in self.rows.values()
            if row["status"] != CLOSED and row["type"] == kind
        )


DETAILS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), max_size=6)
STEPS = st.lists(st.tuples(DETAILS, st.integers(0, 10)), max_size=8)  # and the days until then


def lived(steps: list[tuple[dict[str, int], int]], memory: Memory | None = None) -> Memory:
    memory = memory or Memory()
    now = BEGIN
    for details, days in steps:
        now += timedelta(days=days)
        memory.observe(details, now)
    return memory


def after(steps: list[tuple[dict[str, int], int]]) -> datetime:
    return BEGIN + timedelta(days=sum(days for _, days in steps))


@given(STEPS, DETAILS)
def test_what_is_observed_is_open_once_and_nothing_else_is(
    steps: list[tuple[dict[str, int], int]], details: dict[str, int]
) -> None:
    memory = lived(steps)
    memory.observe(details, after(steps))
    assert memory.open_keys() == sorted(details)
    assert {
        row["key"]: row["detail"] for row in memory.rows.values() if row["status"] != CLOSED
    } == details


@given(STEPS, DETAILS, st.sampled_from([PACKAGE, NETWORK]))
def test_observing_the_same_again_opens_and_closes_nothing(
    steps: list[tuple[dict[str, int], int]], details: dict[str, int], kind: FindingType
) -> None:
    memory, now = lived(steps), after(steps)
    memory.observe(details, now, kind=kind)
    plan = memory.observe(details, now + timedelta(hours=1), kind=kind)
    assert (plan.opened, plan.reopened, plan.moved, plan.closed) == ([], [], [], [])
    assert sorted(finding.key for finding in plan.kept) == sorted(details)


@given(STEPS)
def test_closing_twice_changes_nothing_the_second_time(
    steps: list[tuple[dict[str, int], int]],
) -> None:
    memory, now = lived(steps), after(steps)
    memory.observe({}, now)
    before = {number: dict(row) for number, row in memory.rows.items()}
    assert memory.observe({}, now + timedelta(days=1)) == FindingPlan()
    assert memory.rows == before


@given(STEPS, DETAILS)
def test_first_observed_never_changes(
    steps: list[tuple[dict[str, int], int]], details: dict[str, int]
) -> None:
    memory = lived(steps)
    first = {number: row["first_observed"] for number, row in memory.rows.items()}
    memory.observe(details, after(steps))
    assert {number: memory.rows[number]["first_observed"] for number in first} == first
    assert all(row["first_observed"] <= row["last_observed"] for row in memory.rows.values())


@given(st.integers(0, 20))
def test_a_finding_reopens_within_seven_days_and_is_a_new_one_later(days: int) -> None:
    memory = lived([({"a": 1}, 0), ({}, 1)])
    plan = memory.observe({"a": 2}, BEGIN + timedelta(days=1 + days))
    if timedelta(days=days) <= REOPENS_WITHIN:
        assert [item.finding.id for item in plan.reopened] == [1]
        assert memory.rows[1]["first_observed"] == BEGIN
        assert memory.rows[1]["closed_at"] is None
        assert memory.rows[1]["expires_at"] is None
        assert memory.rows[1]["detail"] == 2
    else:
        assert [item.key for item in plan.opened] == ["a"]
        assert memory.rows[1]["status"] == CLOSED


@given(STEPS, DETAILS)
def test_the_order_of_stored_and_of_observed_findings_does_not_matter(
    steps: list[tuple[dict[str, int], int]], details: dict[str, int]
) -> None:
    memory, now = lived(steps), after(steps)
    plans = []
    for backwards in (False, True):
        plan = FindingPlan()
        some = dict(reversed(details.items())) if backwards else details
        plan.closed += plan.add(
            Observation(PLACE, some), memory.known(backwards=backwards), now
        )  # fmt: skip
        plans.append(
            [
                sorted((new.key, new.detail) for new in plan.opened),
                sorted((item.finding.id, item.detail) for item in plan.reopened),
                sorted(plan.moved),
                sorted(finding.id for finding in plan.kept),
                sorted(finding.id for finding in plan.closed),
            ]
        )
    assert plans[0] == plans[1]


@given(STEPS, DETAILS, DETAILS)
def test_findings_of_another_type_are_not_touched(
    steps: list[tuple[dict[str, int], int]], network: dict[str, int], details: dict[str, int]
) -> None:
    memory, now = lived(steps), after(steps)
    memory.observe(network, now, kind=NETWORK)
    before = {n: dict(row) for n, row in memory.rows.items() if row["type"] == NETWORK}
    memory.observe(details, now + timedelta(days=1))
    assert {n: row for n, row in memory.rows.items() if row["type"] == NETWORK} == before
    assert memory.open_keys(NETWORK) == sorted(network)
    assert memory.open_keys() == sorted(details)


@given(STEPS, DETAILS, st.frozensets(st.sampled_from("abcdef")))
def test_a_key_that_was_not_compared_is_not_closed(
    steps: list[tuple[dict[str, int], int]], details: dict[str, int], keys: frozenset[str]
) -> None:
    memory = lived(steps)
    before = set(memory.open_keys())
    compared = {name: detail for name, detail in details.items() if name in keys}
    memory.observe(compared, after(steps), keys=keys)
    assert set(memory.open_keys()) == (before - keys) | compared.keys()


@given(DETAILS, st.frozensets(st.integers(1, 9)))
def test_a_machine_read_in_part_closes_only_findings_of_packages_read_again(
    details: dict[str, int], read: frozenset[int]
) -> None:
    memory = lived([(details, 0)])
    packages = {detail: ("deb", str(detail), "") for detail in details.values()}
    evidence = ReadAgain(packages, {("deb", str(detail), "") for detail in read})
    memory.observe({}, BEGIN, status=Status.PARTIAL, evidence=evidence)
    assert memory.open_keys() == sorted(k for k, detail in details.items() if detail not in read)


@given(DETAILS)
def test_a_machine_that_could_not_be_read_closes_nothing(details: dict[str, int]) -> None:
    memory = lived([(details, 0)])
    plan = memory.observe({}, BEGIN, status=Status.FAILED)
    assert plan.closed == []
    assert memory.open_keys() == sorted(details)


@given(DETAILS, st.frozensets(st.integers(1, 9)))
def test_rules_suppress_new_and_reopened_findings_and_not_kept_ones(
    details: dict[str, int], suppressed: frozenset[int]
) -> None:
    memory = lived([({"a": 1}, 0)])
    memory.suppressed = suppressed
    memory.observe(details | {"a": 1}, BEGIN)
    for row in memory.rows.values():
        is_new = row["key"] != "a"
        assert row["status"] == (SUPPRESSED if is_new and row["detail"] in suppressed else ACTIVE)
    memory.observe({}, BEGIN)
    memory.observe({"a": 1}, BEGIN)
    assert memory.rows[1]["status"] == (SUPPRESSED if 1 in suppressed else ACTIVE)


def test_a_closed_finding_can_be_reopened_for_as_long_as_it_may() -> None:
    assert REOPENS_WITHIN < KEPT_CLOSED


@given(st.lists(st.text(max_size=3), min_size=3, max_size=3))
def test_equal_words_of_two_types_are_two_keys(words: list[str]) -> None:
    assert key(PACKAGE, *words) != key(NETWORK, *words)
    assert key(PACKAGE, *words) == key(PACKAGE, *words)
