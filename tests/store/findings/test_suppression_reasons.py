"""Which rule suppresses a finding: the one that decided, for the states and owners it is about."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sidelight.model import Instance, SuppressionRule
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    FakeAdvisory,
    inventory,
    package,
    scanned,
)

if TYPE_CHECKING:
    from sidelight.store import Store


def rule(name: str, **fields: str) -> SuppressionRule:
    criteria = {key: [{"comparison": "EQUALS", "value": value}] for key, value in fields.items()}
    return SuppressionRule(name, json.dumps(criteria), reason=f"why {name}")


def reasons(store: Store) -> dict[tuple[str, str], str]:
    """The rules' reasons by instance and vulnerability."""
    rows = list(store.findings.rows(status=None))
    found = store.suppression_reasons.of(rows)
    named: Any = {row.id: (row.instance, row.package_finding.vulnerability) for row in rows}
    return {named[number]: rule.reason for number, rule in found.items()}


def fill(store: Store) -> None:
    database = Database({"a": [FakeAdvisory("CVE-2026-1")], "b": [FakeAdvisory("CVE-2026-2")]})
    instances = [
        Instance(name, ACCOUNT, REGION, "running", (), tags=(("team", name),))
        for name in ("i-1", "i-2")
    ]
    store.instances.discovered(ACCOUNT, REGION, instances)
    for name in ("i-1", "i-2"):
        scanned(store, database, inventory(package("a"), package("b")), name)


def test_each_suppressed_finding_has_the_first_rule_that_matches(store: Store) -> None:
    fill(store)
    assert reasons(store) == {}
    store.suppression_rules.save(rule("b", vulnerabilityId="CVE-2026-1"))
    store.suppression_rules.save(rule("a", vulnerabilityId="CVE-2026-1", resourceId="i-2"))
    store.suppression_rules.save(rule("other", vulnerabilityId="CVE-2026-9"))
    assert reasons(store) == {("i-1", "CVE-2026-1"): "why b", ("i-2", "CVE-2026-1"): "why a"}
    store.suppression_rules.remove("a")
    assert reasons(store) == {("i-1", "CVE-2026-1"): "why b", ("i-2", "CVE-2026-1"): "why b"}
    store.suppression_rules.remove("b")
    assert reasons(store) == {}


def test_a_rule_by_the_tag_or_the_arn_is_found_too(store: Store) -> None:
    fill(store)
    tags = {"resourceTags": [{"comparison": "EQUALS", "key": "team", "value": "i-1"}]}
    store.suppression_rules.save(SuppressionRule("tag", json.dumps(tags), reason="why tag"))
    assert set(reasons(store).values()) == {"why tag"}
    assert {instance for instance, _ in reasons(store)} == {"i-1"}
    (row,) = [
        row
        for row in store.findings.rows(instance="i-2", status=None)
        if row.package_finding.vulnerability == "CVE-2026-2"
    ]
    store.suppression_rules.save(rule("arn", findingArn=row.arn))
    assert reasons(store)["i-2", "CVE-2026-2"] == "why arn"


def test_another_account_s_rule_and_a_filter_that_does_not_suppress_are_no_reason(
    store: Store,
) -> None:
    fill(store)
    own = rule("own", vulnerabilityId="CVE-2026-1")
    store.suppression_rules.save(replace(own, name="alien", owner="9" * 12))
    store.suppression_rules.save(replace(own, name="filter", action="NONE"))
    assert reasons(store) == {}
    store.suppression_rules.save(replace(own, owner=ACCOUNT))
    assert set(reasons(store).values()) == {"why own"}
