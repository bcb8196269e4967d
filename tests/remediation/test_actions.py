"""Upgrades: what each closes, in which order, by which command."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.model import Severity
from sidelight.remediation import (
    FixableDetail,
    UpgradeAction,
    needs_reboot,
    plan,
    upgrade_command,
    weigh,
)
from tests.fixtures.hostile_text import TEXT

HOSTILE = ("$(reboot)", "a b", "-o=x", "a;b", "'", "`id`", "a\nb", "../x", "*", "")


def detail(
    package: str = "openssl",
    fixed: str = "3.0.2",
    severity: Severity = Severity.HIGH,
    *,
    cve: str = "CVE-2026-1",
    exploited: bool = False,
    findings: int = 1,
    kind: str = "deb",
    ecosystem: str = "Debian:12",
) -> FixableDetail:
    return FixableDetail(kind, ecosystem, package, fixed, severity, cve, exploited, findings)


DETAILS = st.builds(
    FixableDetail,
    st.sampled_from(("deb", "rpm", "npm", "pypi", "weird")),
    st.sampled_from(("Debian:12", "npm", "Nowhere:1")),
    TEXT | st.sampled_from(("openssl", "zlib")),
    TEXT | st.sampled_from(("1.0", "2.0-1", "10.0")),
    st.sampled_from(list(Severity)),
    st.sampled_from(("CVE-2026-1", "CVE-2026-2")),
    st.booleans(),
    st.integers(0, 1000),
)


def test_one_action_upgrades_to_the_version_that_closes_all() -> None:
    actions = plan(
        [
            detail(fixed="3.0.9", findings=4, cve="CVE-2026-1"),
            detail(fixed="3.0.10", findings=3, cve="CVE-2026-2", severity=Severity.CRITICAL),
        ]
    )
    assert len(actions) == 1
    assert actions[0].version == "3.0.10"
    assert actions[0].closes == {"HIGH": 4, "CRITICAL": 3}
    assert (actions[0].findings, actions[0].vulnerabilities) == (7, 2)


def test_systems_and_kinds_have_actions_of_their_own() -> None:
    some = [detail(), detail(ecosystem="Debian:11"), detail(kind="npm", ecosystem="npm")]
    assert len(plan(some)) == 3


@pytest.mark.parametrize(
    ("more", "less"),
    [
        (detail("a", severity=Severity.CRITICAL), detail("b", severity=Severity.HIGH)),
        (detail("a", findings=3), detail("b", findings=2)),
        (detail("a", exploited=True), detail("b", findings=4)),
        (detail("a"), detail("b", severity=Severity.LOW, findings=10)),
    ],
)
def test_actions_are_ordered_by_what_they_close(more: FixableDetail, less: FixableDetail) -> None:
    assert [action.package for action in plan([less, more])] == ["a", "b"]


def test_exposed_machines_double_the_weight() -> None:
    one = UpgradeAction("deb", "Debian:12", "a", "1", {"HIGH": 1}, machines=4, weight=8.0)
    two = UpgradeAction(
        "deb", "Debian:12", "b", "1", {"HIGH": 1}, machines=4, exposed=4, weight=7.0
    )
    assert [action.package for action in weigh([one, two])] == ["b", "a"]


def test_severities_limit_what_counts_and_not_the_version() -> None:
    some = [detail(fixed="9", severity=Severity.LOW), detail(fixed="2", severity=Severity.HIGH)]
    action = plan(some, [Severity.HIGH])[0]
    assert (action.version, action.closes) == ("9", {"HIGH": 1})
    assert plan(some, [Severity.CRITICAL]) == []


@given(st.lists(DETAILS, max_size=20))
def test_every_fixable_finding_is_closed_by_one_action(details: list[FixableDetail]) -> None:
    actions = plan(details)
    total = sum(item.findings for item in details if item.fixed_version)
    assert sum(action.findings for action in actions) == total
    assert len({action.key for action in actions}) == len(actions)
    assert [a.weight for a in actions] == sorted((a.weight for a in actions), reverse=True)


@given(TEXT, TEXT)
def test_no_name_changes_a_command(name: str, version: str) -> None:
    for kind, ecosystem in (("deb", "Debian:12"), ("rpm", "AlmaLinux:9"), ("npm", "npm"),
                            ("pypi", "PyPI"), ("apk", "Alpine:v3.20")):  # fmt: skip
        found = upgrade_command(kind, name, ecosystem, version)
        if found:
            plain = shlex.split(upgrade_command(kind, "name", ecosystem, "1"))
            assert len(shlex.split(found)) == len(plain)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_no_package_has_gives_no_command(name: str) -> None:
    assert upgrade_command("deb", name, "Debian:12", "1") == ""


@pytest.mark.parametrize(
    ("kind", "name", "ecosystem", "expected"),
    [
        ("deb", "openssl", "Debian:12", "apt-get install --only-upgrade openssl"),
        ("deb", "linux-image-6.1.0-18-amd64", "Debian:12", "apt-get upgrade --with-new-pkgs"),
        ("rpm", "openssl", "AlmaLinux:9", "dnf upgrade openssl"),
        ("rpm", "openssl", "Amazon Linux:2", "yum update openssl"),
        ("pypi", "flask", "PyPI", "pip install --upgrade 'flask>=3.0.2'"),
    ],
)
def test_commands_are_those_of_the_package_manager(
    kind: str, name: str, ecosystem: str, expected: str
) -> None:
    assert upgrade_command(kind, name, ecosystem, "3.0.2") == expected


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("deb", "linux-image-6.1.0-18-amd64", True), ("deb", "libc6", True),
        ("deb", "libc6-dev", False), ("rpm", "kernel-core", True), ("rpm", "kernel-headers", False),
        ("rpm", "systemd", True), ("rpm", "nginx", False), ("npm", "kernel", False),
        ("pypi", "systemd", False), ("windows", "KB5034441", True),
    ],
)  # fmt: skip
def test_kernels_and_libraries_of_every_process_need_a_reboot(
    kind: str, name: str, *, expected: bool
) -> None:
    assert needs_reboot(kind, name) is expected
