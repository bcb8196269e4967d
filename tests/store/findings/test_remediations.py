"""The plan counts what is stored, by scope, and names the machines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from sidelight.model import Finding, FindingStatus, InstanceRef, Severity
from sidelight.store.base.engine import Database
from sidelight.store.findings.kept_plans import KeptPlans, scope_name
from sidelight.store.findings.remediations import Remediations
from tests.fixtures.searched_findings import ACCOUNTS, all_rows, fill
from tests.fixtures.stored_findings import Database as Advisories
from tests.fixtures.stored_findings import FakeAdvisory, inventory, package, scanned

if TYPE_CHECKING:
    from sidelight.model import FindingRow
    from sidelight.store import Store
    from tests.fakes.clocks import Clock


def fixable(store: Store, accounts: tuple[str, ...] = ACCOUNTS) -> list[FindingRow]:
    return [
        row
        for row in all_rows(store)
        if isinstance(row.finding, Finding)
        and row.status is FindingStatus.ACTIVE
        and row.finding.fixed_version
        and row.account in accounts
    ]


def test_the_plan_closes_every_active_finding_with_a_fix(store: Store) -> None:
    fill(store, 7, 200)
    found = store.remediations.compute()
    assert sum(action.findings for action in found.actions) == len(fixable(store)) > 0
    scoped = store.remediations.compute(ACCOUNTS[:1])
    rows = fixable(store, ACCOUNTS[:1])
    assert sum(action.findings for action in scoped.actions) == len(rows) > 0


def test_an_actions_machines_are_those_with_its_findings(store: Store) -> None:
    fill(store, 8, 200)
    for action in store.remediations.compute().actions:
        machines = store.remediations.machines(action.key, None, limit=1000)
        assert len(machines) == action.machines
        assert sum(machine.findings for machine in machines) == action.findings
        first = machines[0].place
        rest = store.remediations.machines(
            action.key, None, {"key": [first.account, first.instance]}, limit=1000
        )
        assert rest == machines[1:]
        assert all(
            machine.place.account == ACCOUNTS[1]
            for machine in store.remediations.machines(action.key, ACCOUNTS[1:2])
        )


def test_the_kept_plans_are_the_computed_ones(store: Store) -> None:
    fill(store, 9)
    assert store.remediations.kept().counted_at is None
    assert store.remediations.refresh() > 0
    assert store.remediations.refresh() > 0
    computed = store.remediations.compute()
    assert store.remediations.kept() == computed
    assert store.remediations.kept({ACCOUNTS[0]}) == store.remediations.compute(ACCOUNTS[:1])
    assert store.remediations.kept(set()).actions == []


def test_the_kept_plan_of_several_accounts_is_the_computed_one(store: Store) -> None:
    fill(store, 10, 200)
    store.remediations.refresh()
    some = frozenset(ACCOUNTS[:2])
    computed = store.remediations.compute(some).actions
    kept = store.remediations.kept(some).actions
    assert len(computed) > 1
    assert [action.weight for action in kept] == pytest.approx(
        [action.weight for action in computed]
    )
    assert [replace(one, weight=0.0) for one in kept] == [
        replace(one, weight=0.0, vulnerabilities=0) for one in computed
    ]
    for one in computed:
        whole = store.remediations.action(one.key, some)
        assert whole is not None
        assert whole.vulnerabilities == one.vulnerabilities


def test_a_kept_plan_reads_no_findings(store: Store) -> None:
    fill(store, 11, 200)
    store.remediations.refresh()
    database = Database(store.where)
    statements: list[str] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *args: statements.append(str(args[2]))
    )
    plans = Remediations(database, store.clock)
    for accounts in (None, {ACCOUNTS[0]}, set(ACCOUNTS)):
        assert plans.kept(accounts).actions
        assert not any("finding" in text for text in statements)
        statements.clear()
        assert plans.kept(accounts).actions
        assert sum("FROM" in text for text in statements) <= 3
        assert not any("finding" in text for text in statements)
    database.close()


def test_a_stopped_refresh_leaves_the_time_of_the_last_one(store: Store) -> None:
    fill(store, 12)
    store.remediations.refresh(lambda: True)
    assert store.remediations.kept().counted_at is None
    store.remediations.refresh()
    counted = store.remediations.kept().counted_at
    store.clock.advance(60)  # type: ignore[attr-defined] # the tests' clock
    store.remediations.refresh(lambda: True)
    assert store.remediations.kept().counted_at == counted


def test_the_plan_of_an_account_without_findings_is_forgotten(store: Store) -> None:
    advisories = Advisories({"openssl": [FakeAdvisory("CVE-2026-1", "3")]})
    scanned(store, advisories, inventory(package("openssl")))
    store.remediations.refresh()
    assert store.remediations.kept({"123456789012"}).actions
    scanned(store, advisories, inventory(package("openssl", "3")))
    store.remediations.refresh()
    found = store.remediations.kept({"123456789012"})
    assert not found.actions
    assert found.counted_at is not None


def test_a_fixed_finding_leaves_the_plan(store: Store) -> None:
    advisories = Advisories(
        {"openssl": [FakeAdvisory("CVE-2026-1", "3")], "zlib": [FakeAdvisory("CVE-2026-2")]}
    )
    scanned(store, advisories, inventory(package("openssl"), package("zlib")))
    actions = store.remediations.compute(severities=[Severity.HIGH]).actions
    assert {action.package: action.version for action in actions} == {"openssl": "3", "zlib": "9"}
    scanned(store, advisories, inventory(package("openssl", "3"), package("zlib")))
    actions = store.remediations.compute().actions
    assert [action.package for action in actions] == ["zlib"]
    assert actions[0].command == "apt-get install --only-upgrade zlib"
    machines = store.remediations.machines(actions[0].key, None)
    assert [machine.place for machine in machines] == [
        InstanceRef("123456789012", "eu-west-1", "i-1")
    ]


def test_the_plan_of_several_accounts_is_kept_from_when_it_is_asked_for(store: Store) -> None:
    fill(store, 13, 200)
    some = frozenset(ACCOUNTS[:2])
    store.remediations.refresh()
    assert all(action.vulnerabilities == 0 for action in store.remediations.kept(some).actions)
    store.remediations.refresh()
    assert store.remediations.kept(some) == store.remediations.compute(some)
    assert store.remediations.kept(some, 1).actions == store.remediations.compute(some).actions[:1]


def test_a_plan_that_nobody_asks_for_is_forgotten(clock: Clock, store: Store) -> None:
    fill(store, 14, 200)
    some, others = frozenset(ACCOUNTS[:2]), frozenset(ACCOUNTS[1:])
    store.remediations.refresh()
    for accounts in (some, others):
        store.remediations.kept(accounts)
    clock.advance(5 * 86_400)
    store.remediations.kept(others)
    clock.advance(3 * 86_400)
    store.remediations.refresh()
    database = Database(store.where)
    assert set(KeptPlans(database).scopes(store.clock())) == {scope_name(others)}
    database.close()


def test_machines_are_paged_over_accounts(store: Store) -> None:
    fill(store, 15, 300)
    for action in store.remediations.compute().actions[:10]:
        every = store.remediations.machines(action.key, None, limit=1000)
        paged = store.remediations.machines(action.key, None, limit=2)
        while len(paged) < len(every):
            last = paged[-1].place
            after = {"key": [last.account, last.instance]}
            paged += store.remediations.machines(action.key, None, after, limit=2)
        assert paged == every
