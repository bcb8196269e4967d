"""The decision table over every combination of facts, against the same decisions in prose."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from itertools import product
from typing import TYPE_CHECKING

import pytest

from dispatcher.planning.decisions import (
    NETWORK_RULES,
    PACKAGE_RULES,
    DecisionRule,
    Eligibility,
    Method,
    decide,
)
from dispatcher.planning.facts import (
    Exclusion,
    Facts,
    FilesystemSupport,
    KeyAccess,
    Lifecycle,
    OsSupport,
    Storage,
    VolumeLimits,
)
from dispatcher.planning.remedies import UNKNOWN_REASON, remedy
from sidelight.model import AccountStatus, Ec2ScanMode, SsmState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import StrEnum

BY_AGENT = (OsSupport.BOTH, OsSupport.AGENT_BASED)
BY_SNAPSHOT = (OsSupport.BOTH, OsSupport.AGENTLESS)
# Inspector's ScanStatusReason as far as eligibility uses it, and one of our own.
REASONS = {
    "PENDING_INITIAL_SCAN", "PENDING_DISABLE", "RESOURCE_TERMINATED", "EXCLUDED_BY_TAG",
    "EC2_INSTANCE_STOPPED", "UNMANAGED_EC2_INSTANCE", "NO_INVENTORY", "STALE_INVENTORY",
    "UNSUPPORTED_OS", "ACCESS_DENIED_TO_ENCRYPTION_KEY", "NO_EBS_VOLUME",
    "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED",
}  # fmt: skip


def every_combination() -> Iterator[Facts]:
    kinds: list[list[StrEnum]] = []
    for item in fields(Facts):
        kind: type[StrEnum] = type(item.default)  # type: ignore[assignment] # each is one
        kinds.append(list(kind))
    for values in product(*kinds):
        yield Facts(*values)  # type: ignore[arg-type] # in the order of the fields


def is_out_of_account(facts: Facts) -> str | None:
    """Return the reason that no scan type can get around; "" for no entry, None for no reason."""
    if facts.account is not AccountStatus.ENABLED:
        return "" if facts.account is AccountStatus.DISABLED else "PENDING_DISABLE"
    if facts.lifecycle is Lifecycle.TERMINATED:
        return "RESOURCE_TERMINATED"
    return "EXCLUDED_BY_TAG" if facts.exclusion is Exclusion.INSTANCE else None


def network(facts: Facts) -> tuple[str, str]:
    """Return (status, reason) of the NETWORK entry."""
    reason = is_out_of_account(facts)
    if reason is None:
        reason = {
            Lifecycle.RUNNING: "PENDING_INITIAL_SCAN",
            Lifecycle.STARTING: "PENDING_INITIAL_SCAN",
        }.get(facts.lifecycle, "EC2_INSTANCE_STOPPED")
        if facts.lifecycle is Lifecycle.RUNNING:
            return "ACTIVE", reason
    return "INACTIVE", reason


def why_no_agent(facts: Facts) -> str:
    """Return why the agent-based method cannot read the packages; empty if it can."""
    if facts.lifecycle is not Lifecycle.RUNNING:
        return "EC2_INSTANCE_STOPPED"
    if facts.os not in BY_AGENT:
        return "UNSUPPORTED_OS"
    return {
        SsmState.MANAGED: "",
        SsmState.UNMANAGED: "UNMANAGED_EC2_INSTANCE",
        SsmState.CONNECTION_LOST: "UNMANAGED_EC2_INSTANCE",
        SsmState.NO_INVENTORY: "NO_INVENTORY",
        SsmState.STALE: "STALE_INVENTORY",
    }[facts.ssm]


def why_no_snapshot(facts: Facts) -> str:
    """Return why the volumes cannot be read; empty if they can."""
    if facts.exclusion is not Exclusion.NONE:
        return "EXCLUDED_BY_TAG"
    if facts.key is not KeyAccess.USABLE:
        return "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    if facts.os not in BY_SNAPSHOT:
        return "UNSUPPORTED_OS"
    if facts.storage is not Storage.EBS:
        return "NO_EBS_VOLUME"
    if facts.limits is not VolumeLimits.WITHIN:
        return "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED"
    return "UNSUPPORTED_OS" if facts.filesystem is FilesystemSupport.UNREADABLE else ""


def package(facts: Facts) -> tuple[Method, str, str]:  # noqa: PLR0911 - a table
    """Return (method, status, reason) of the PACKAGE entry, derived from what each method needs."""
    reason = is_out_of_account(facts)
    if reason is not None:
        return Method.NONE, "INACTIVE", reason
    agent, snapshot = why_no_agent(facts), why_no_snapshot(facts)
    hybrid = facts.mode is Ec2ScanMode.HYBRID
    excluded = hybrid and snapshot == "EXCLUDED_BY_TAG"
    if excluded and facts.ssm is not SsmState.MANAGED:
        return Method.NONE, "INACTIVE", "EXCLUDED_BY_TAG"
    if facts.lifecycle is Lifecycle.STARTING:
        return Method.NONE, "INACTIVE", "PENDING_INITIAL_SCAN"
    if facts.lifecycle is Lifecycle.STOPPED:
        return Method.NONE, "INACTIVE", "EC2_INSTANCE_STOPPED"
    if not agent:
        return Method.AGENT_BASED, "ACTIVE", "PENDING_INITIAL_SCAN"
    if not hybrid:
        return Method.NONE, "INACTIVE", agent
    if not snapshot:
        return Method.AGENTLESS, "ACTIVE", "PENDING_INITIAL_SCAN"
    # Neither method works: where Systems Manager lists the instance, its agent is to be repaired.
    repairable = facts.ssm in (SsmState.NO_INVENTORY, SsmState.STALE, SsmState.CONNECTION_LOST)
    if repairable and facts.lifecycle is Lifecycle.RUNNING and facts.os in BY_AGENT:
        return Method.NONE, "INACTIVE", "EXCLUDED_BY_TAG" if excluded else agent
    only_the_filesystem = snapshot == "UNSUPPORTED_OS" and facts.os in BY_SNAPSHOT
    return (Method.AGENTLESS if only_the_filesystem else Method.NONE), "INACTIVE", snapshot


@pytest.mark.slow
def test_every_combination_of_facts_gets_the_decision_that_the_methods_needs_imply() -> None:
    differing: list[object] = []
    counts: Counter[tuple[str, str]] = Counter()
    for facts in every_combination():
        verdict = decide(facts)
        entry = verdict.package
        counts[entry.method, entry.reason] += 1
        decision = (entry.method, entry.status_code, entry.reason)
        if decision != package(facts):
            differing.append((facts, decision, package(facts)))
        reached = (verdict.network.status_code, verdict.network.reason)
        if reached != network(facts):
            differing.append((facts, reached, network(facts)))
    assert differing[:3] == []
    assert sum(counts.values()) == 259_200
    assert {reason for _, reason in counts} == REASONS | {""}


@pytest.mark.slow
@pytest.mark.parametrize("rules", [PACKAGE_RULES, NETWORK_RULES])
def test_no_rule_is_unreachable(rules: tuple[DecisionRule, ...]) -> None:
    left = set(range(len(rules)))
    for facts in every_combination():
        left.discard(next(n for n, rule in enumerate(rules) if rule.matches(facts)))
        if not left:
            return
    assert left == set()


@pytest.fixture(scope="module")
def verdicts() -> set[tuple[Ec2ScanMode, Eligibility]]:
    """Return every decision there is, with the account's mode."""
    return {(facts.mode, decide(facts)) for facts in every_combination()}


@pytest.mark.slow
def test_every_reason_has_a_remedy(verdicts: set[tuple[Ec2ScanMode, Eligibility]]) -> None:
    for _, verdict in verdicts:
        if verdict.package.reason:
            assert verdict.package.scan_mode is not None
            assert remedy(verdict.package.reason, verdict.package.scan_mode) != UNKNOWN_REASON
            assert remedy(verdict.network.reason) != UNKNOWN_REASON


@pytest.mark.slow
def test_an_entry_s_scan_mode_is_that_of_its_method(
    verdicts: set[tuple[Ec2ScanMode, Eligibility]],
) -> None:
    for _, verdict in verdicts:
        if verdict.method is not Method.NONE:
            assert verdict.package.scan_mode is not None
            assert verdict.package.scan_mode.name == verdict.method.name


@pytest.mark.slow
def test_an_account_in_agent_based_mode_never_gets_a_snapshot(
    verdicts: set[tuple[Ec2ScanMode, Eligibility]],
) -> None:
    methods = {verdict.method for mode, verdict in verdicts if mode is Ec2ScanMode.AGENT_BASED}
    assert methods == {Method.AGENT_BASED, Method.NONE}


def test_an_instance_that_leaves_systems_manager_turns_agentless_and_back() -> None:
    assert decide(Facts(ssm=SsmState.MANAGED)).method is Method.AGENT_BASED
    for state in set(SsmState) - {SsmState.MANAGED}:
        assert decide(Facts(ssm=state)).method is Method.AGENTLESS
