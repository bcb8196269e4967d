"""Inheritance of configurations, and what may be set: the laws, over every order of changes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.planning.configuration_rules import (
    LONGEST_PATH,
    MOST_PATHS,
    ConfigurationChange,
    changed,
    check_account,
    check_paths,
    check_tag,
    disabled,
    disabling,
    enabled,
    joined,
    reset,
    resolve,
)
from dispatcher.planning.eligibility import EXCLUSION_TAG
from sidelight.errors import UsageError
from sidelight.fleet.agents.deep_inspection.resources import posix_paths
from sidelight.model import (
    AccountConfiguration,
    AccountStatus,
    Ec2ScanMode,
    EffectiveConfiguration,
    OrganizationConfiguration,
)

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ADMINISTRATOR, MEMBER = "111111111111", "222222222222"
ORGANIZATION = OrganizationConfiguration("o-abc", ADMINISTRATOR, package_paths=("/org",))

# The part of Inspector's pattern that is not of Windows, without digits and letters beyond ASCII.
INSPECTORS_PATH = re.compile(r"(?:/(?:\.[-\w]+|[-\w]+(?:[. ][-\w]+)*))+/?", re.ASCII)

modes = st.none() | st.sampled_from(Ec2ScanMode)
paths = st.lists(st.sampled_from(["/a", "/b", "/org"]), max_size=5, unique=True).map(tuple)
changes = st.builds(
    ConfigurationChange,
    mode=modes,
    deep_inspection=st.none() | st.booleans(),
    exclusion_tag=st.none() | st.sampled_from(["A", "B"]),
    package_paths=st.none() | paths,
)


def member_of(own: AccountConfiguration | None) -> AccountConfiguration:
    return replace(own or AccountConfiguration(MEMBER), organization=ORGANIZATION.id)


def held(
    own: AccountConfiguration | None, administrator: AccountConfiguration | None
) -> EffectiveConfiguration:
    return resolve(MEMBER, own, administrator, ORGANIZATION)


def test_an_account_that_nobody_configured_is_enabled_and_hybrid() -> None:
    assert resolve(MEMBER, None) == EffectiveConfiguration(
        MEMBER, AccountStatus.ENABLED, Ec2ScanMode.HYBRID, deep_inspection=True,
        exclusion_tag=EXCLUSION_TAG, package_paths=(), configured=False,
    )  # fmt: skip


@given(changes, changes)
def test_a_member_has_its_own_and_else_the_administrator_s(
    own: ConfigurationChange, general_change: ConfigurationChange
) -> None:
    member = member_of(changed(MEMBER, None, own))
    administrator = changed(ADMINISTRATOR, None, general_change)
    effective = held(member, administrator)
    for name in ("mode", "deep_inspection", "exclusion_tag"):
        own_setting, general = getattr(own, name), getattr(general_change, name)
        default = getattr(resolve(MEMBER, None), name)
        wanted = (
            own_setting if own_setting is not None else general if general is not None else default
        )
        assert getattr(effective, name) == wanted
        assert (name in effective.inherited) == (own_setting is None and general is not None)
    assert effective.package_paths == tuple(dict.fromkeys((*(own.package_paths or ()), "/org")))


@given(changes, changes, changes)
def test_what_is_set_individually_stays_whatever_the_administrator_sets(
    own: ConfigurationChange, before: ConfigurationChange, after: ConfigurationChange
) -> None:
    member = member_of(changed(MEMBER, None, own))
    first = changed(ADMINISTRATOR, None, before)
    then = changed(ADMINISTRATOR, first, after)
    for name in ("mode", "deep_inspection", "exclusion_tag"):
        if getattr(own, name) is not None:
            assert getattr(held(member, first), name) == getattr(held(member, then), name)


@given(st.lists(changes, max_size=4), changes)
def test_after_a_reset_a_member_is_as_one_that_was_never_set(
    own: list[ConfigurationChange], general_change: ConfigurationChange
) -> None:
    member = member_of(None)
    for change in own:
        member = changed(MEMBER, member, replace(change, package_paths=None))
    administrator = changed(ADMINISTRATOR, None, general_change)
    assert held(reset(member), administrator) == held(member_of(None), administrator)
    assert reset(reset(member)) == reset(member)


# One change of each kind, each of a different part: their order cannot matter.
STEPS: dict[str, dict[str, Any]] = {
    "member's mode": {"member": ConfigurationChange(mode=Ec2ScanMode.AGENT_BASED)},
    "member's paths": {"member": ConfigurationChange(package_paths=("/a",))},
    "administrator's mode": {"administrator": ConfigurationChange(mode=Ec2ScanMode.HYBRID)},
    "administrator's tag": {"administrator": ConfigurationChange(exclusion_tag="NoScan")},
    "administrator's inspection": {"administrator": ConfigurationChange(deep_inspection=False)},
    "enabled": {"status": enabled},
    "joined": {"joins": True},
}


@given(st.permutations(sorted(STEPS)))
def test_the_order_of_changes_of_different_parts_does_not_matter(order: list[str]) -> None:
    # It was scanned before: joining leaves it enabled, in whatever order it is enabled and joins.
    own: AccountConfiguration | None = None
    administrator: AccountConfiguration | None = None
    for name in order:
        step = STEPS[name]
        if "member" in step:
            own = changed(MEMBER, own, step["member"])
        elif "administrator" in step:
            administrator = changed(ADMINISTRATOR, administrator, step["administrator"])
        elif "status" in step:
            own = step["status"](MEMBER, own)
        else:
            own = joined(MEMBER, own, ORGANIZATION, NOW, scanned=True) or own
    assert held(own, administrator) == EffectiveConfiguration(
        MEMBER, AccountStatus.ENABLED, Ec2ScanMode.AGENT_BASED, deep_inspection=False,
        exclusion_tag="NoScan", package_paths=("/a", "/org"), configured=True,
        inherited=frozenset({"deep_inspection", "exclusion_tag"}),
    )  # fmt: skip


@pytest.mark.parametrize("auto_enable", [True, False])
@pytest.mark.parametrize("scanned", [True, False])
def test_a_new_account_is_enabled_by_auto_enable_or_if_it_was_scanned_before(
    *, auto_enable: bool, scanned: bool
) -> None:
    organization = replace(ORGANIZATION, auto_enable=auto_enable)
    member = joined(MEMBER, None, organization, NOW, scanned=scanned)
    assert member is not None
    assert (member.status is AccountStatus.ENABLED) == (auto_enable or scanned)
    again = replace(organization, auto_enable=not auto_enable)
    assert joined(MEMBER, member, again, NOW, scanned=False) is None, "known members stay"


@given(st.sampled_from(AccountStatus), st.booleans())
def test_an_account_that_was_configured_before_joins_with_its_own_status(
    status: AccountStatus, auto_enable: bool
) -> None:
    own = AccountConfiguration(MEMBER, status=status)
    organization = replace(ORGANIZATION, auto_enable=auto_enable)
    member = joined(MEMBER, own, organization, NOW, scanned=False)
    assert member == replace(own, organization=ORGANIZATION.id)


def test_another_organization_s_settings_do_not_reach_an_account() -> None:
    administrator = changed(ADMINISTRATOR, None, ConfigurationChange(mode=Ec2ScanMode.AGENT_BASED))
    own = AccountConfiguration(MEMBER, organization="o-other")
    effective = resolve(MEMBER, own, administrator, ORGANIZATION)
    assert (effective.mode, effective.package_paths) == (Ec2ScanMode.HYBRID, ())


def test_disabling_begins_once_and_enabling_again_wins_over_its_end() -> None:
    begun = disabling(MEMBER, None, NOW)
    assert (begun.status, begun.disabled_at) == (AccountStatus.PENDING_DISABLE, NOW)
    later = datetime(2026, 11, 30, tzinfo=UTC)
    assert disabling(MEMBER, begun, later) == begun, "the day until deletion is not begun again"
    ended = disabled(begun)
    assert ended is not None
    assert (ended.status, ended.disabled_at) == (AccountStatus.DISABLED, NOW)
    assert disabling(MEMBER, ended, later) == ended
    assert disabled(enabled(MEMBER, begun)) is None
    assert disabled(None) is None
    assert enabled(MEMBER, ended).disabled_at is None


@pytest.mark.parametrize(
    "path",
    ["/opt", "/opt/", "/opt/my app/lib.d", "/home/.cache", "/a-b_c/1.2.3", "C:\\Program Files\\x",
     "d:\\x", "/" + "a" * 511],
)  # fmt: skip
def test_a_path_of_inspector_s_pattern_is_taken(path: str) -> None:
    check_paths([path])


@pytest.mark.parametrize(
    "path",
    ["", "/", "opt", "/opt//x", "/..", "/a/../b", "/a..b", "/a b ", "/a  b", "/a*", "/$(reboot)",
     "/a;b", "/a\n", "/\u00e4", "/.a.b", "C:x", "C:\\", "1:\\x", "C:\\a\\\\b", "/" + "a" * 512],
)  # fmt: skip
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="custom path"):
        check_paths([path])


def test_at_most_five_paths_can_be_set() -> None:
    check_paths(["/a"] * 5)
    with pytest.raises(UsageError, match="at most 5"):
        changed(MEMBER, None, ConfigurationChange(package_paths=("/a",) * 6))


def test_an_account_s_id_and_a_tag_s_key_are_checked() -> None:
    assert check_account(MEMBER) == MEMBER
    for account in ("", "12345678901", "1234567890123", "12345678901x", "\u0661" * 12):
        with pytest.raises(UsageError, match="12 digits"):
            check_account(account)
    check_tag("Team: none/x")
    for tag in ("", "aws:x", "AWS:x", "a\nb", "a" * 129):
        with pytest.raises(UsageError, match="tag"):
            changed(MEMBER, None, ConfigurationChange(exclusion_tag=tag))


@given(st.from_regex(INSPECTORS_PATH, fullmatch=True).filter(lambda path: len(path) <= 512))
def test_the_collectors_document_takes_every_path_of_inspectors_pattern(path: str) -> None:
    check_paths([path])
    assert posix_paths([path]) == [path.rstrip("/")]


def test_the_most_and_longest_paths_reach_the_collector_whole() -> None:
    own = [f"/{number}{'x' * (LONGEST_PATH - 2)}" for number in range(MOST_PATHS)]
    check_paths(own)
    assert posix_paths(own) == own
    with pytest.raises(UsageError, match="6 paths"):
        check_paths([*own, "/opt"])
    with pytest.raises(UsageError, match="at most 512"):
        check_paths([own[0] + "x"])
