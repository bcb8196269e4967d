"""Which instances are scanned, and the reason for each that is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.cli.fleet import options
from dispatcher.planning.decisions import Method
from dispatcher.planning.eligibility import EXCLUSION_TAG, AgentView, Configuration, judge
from dispatcher.planning.facts import FilesystemSupport, OsSupport
from dispatcher.planning.os_support import included
from sidelight.model import (
    Ec2ScanMode,
    Instance,
    ManagedInstance,
    PingStatus,
    PlatformType,
    SsmState,
    Volume,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
AGENT = ManagedInstance(
    "i-1", PingStatus.ONLINE, NOW, PlatformType.LINUX, "Ubuntu", "24.04", inventory_at=NOW
)
AGENT_BASED_ONLY = Configuration(mode=Ec2ScanMode.AGENT_BASED)

KEY = "arn:aws:kms:eu-west-1:123456789012:key/k1"
GOOD = Instance(
    "i-1", "123456789012", "eu-west-1", "running",
    (Volume("vol-1", "/dev/sda1", 8), Volume("vol-2", "/dev/sdb", 100)),
)  # fmt: skip


def test_an_ebs_backed_instance_is_eligible_running_or_stopped() -> None:
    for state in ("running", "stopping", "stopped"):
        assert judge(replace(GOOD, state=state), Configuration()).eligible


@pytest.mark.parametrize("value", ["", "true", "false", "anything"])
def test_the_exclusion_tag_excludes_whatever_its_value(value: str) -> None:
    verdict = judge(replace(GOOD, tags=((EXCLUSION_TAG, value),)), Configuration())
    assert verdict.reason == "EXCLUDED_BY_TAG"


def test_a_tag_of_another_case_or_another_name_does_not_exclude() -> None:
    for key in (EXCLUSION_TAG.lower(), EXCLUSION_TAG + "2", "Name"):
        assert judge(replace(GOOD, tags=((key, EXCLUSION_TAG),)), Configuration()).eligible


def test_one_volume_under_an_excluded_key_excludes_the_instance() -> None:
    secret = replace(GOOD.volumes[1], encrypted=True, kms_key_id=KEY)
    instance = replace(GOOD, volumes=(GOOD.volumes[0], secret))
    assert judge(instance, Configuration()).eligible
    assert judge(instance, Configuration(), {KEY}).reason == "EXCLUDED_BY_TAG"
    assert judge(instance, Configuration(), {KEY + "2"}).eligible


def test_a_volume_under_a_key_whose_tags_cannot_be_read_is_not_scanned() -> None:
    secret = replace(GOOD.volumes[1], encrypted=True, kms_key_id=KEY)
    instance = replace(GOOD, volumes=(GOOD.volumes[0], secret))
    without_keys = Configuration(unreadable_keys=frozenset({KEY}))
    verdict = judge(instance, without_keys)
    assert verdict.reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert KEY in verdict.detail
    excluded = judge(instance, without_keys, {KEY})
    assert excluded.reason == "EXCLUDED_BY_TAG", "that closes its findings"
    assert judge(GOOD, without_keys).eligible


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"state": "terminated"}, "RESOURCE_TERMINATED"),
        ({"state": "shutting-down"}, "RESOURCE_TERMINATED"),
        ({"state": "pending"}, "PENDING_INITIAL_SCAN"),
        ({"root_device_type": "instance-store"}, "NO_EBS_VOLUME"),
        ({"volumes": ()}, "NO_EBS_VOLUME"),
        ({"platform": "windows"}, "UNSUPPORTED_OS"),
    ],
)
def test_what_cannot_be_scanned_has_a_reason(changed: dict[str, object], reason: str) -> None:
    instance = replace(GOOD, **changed)  # type: ignore[arg-type] # by name
    assert judge(instance, Configuration()).reason == reason


def test_there_is_no_limit_by_default_and_a_configured_one_is_kept() -> None:
    many = replace(GOOD, volumes=tuple(Volume(f"v{n}", f"/dev/{n}", 1000) for n in range(40)))
    assert judge(many, Configuration()).eligible
    limit = "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED"
    assert judge(GOOD, Configuration(most_volumes=1)).reason == limit
    assert judge(GOOD, Configuration(most_gib=107)).reason == limit
    assert judge(GOOD, Configuration(most_volumes=2, most_gib=108)).eligible


def test_stopped_instances_can_be_left_out() -> None:
    running = Configuration(states=frozenset({"running"}))
    assert judge(replace(GOOD, state="stopped"), running).reason == "EC2_INSTANCE_STOPPED"


def test_one_volume_with_the_exclusion_tag_excludes_the_instance_from_snapshots() -> None:
    tagged = replace(GOOD.volumes[1], tags=((EXCLUSION_TAG, ""),))
    instance = replace(GOOD, volumes=(GOOD.volumes[0], tagged))
    verdict = judge(instance, Configuration())
    assert (verdict.reason, tagged.id in verdict.detail) == ("EXCLUDED_BY_TAG", True)
    assert judge(instance, Configuration(), agent=AgentView(AGENT, NOW)).method is (
        Method.AGENT_BASED
    )


@pytest.mark.parametrize(
    ("managed", "state"),
    [
        (None, SsmState.UNMANAGED),
        (AGENT, SsmState.MANAGED),
        (replace(AGENT, inventory_at=NOW - timedelta(days=7)), SsmState.MANAGED),
        (replace(AGENT, inventory_at=NOW - timedelta(days=7, seconds=1)), SsmState.STALE),
        (replace(AGENT, inventory_at=NOW + timedelta(days=1)), SsmState.MANAGED),
        (replace(AGENT, inventory_at=NOW + timedelta(days=1, seconds=1)), SsmState.STALE),
        (replace(AGENT, inventory_at=None), SsmState.NO_INVENTORY),
        (replace(AGENT, ping_status=PingStatus.CONNECTION_LOST), SsmState.CONNECTION_LOST),
        (replace(AGENT, ping_status=PingStatus.INACTIVE), SsmState.CONNECTION_LOST),
    ],
)
def test_an_agent_s_ping_and_its_newest_inventory_are_its_state(
    managed: ManagedInstance | None, state: SsmState
) -> None:
    agent = AgentView(managed, NOW)
    assert agent.state is state
    is_managed = state is SsmState.MANAGED
    by_both = judge(GOOD, Configuration(), agent=agent)
    assert by_both.method is (Method.AGENT_BASED if is_managed else Method.AGENTLESS)
    by_agent = judge(GOOD, AGENT_BASED_ONLY, agent=agent)
    assert by_agent.method is (Method.AGENT_BASED if is_managed else Method.NONE)
    assert bool(by_agent.detail) is (state in (SsmState.UNMANAGED, SsmState.STALE,
                                               SsmState.CONNECTION_LOST))  # fmt: skip


def test_a_capture_time_to_come_is_explained_as_a_wrong_clock() -> None:
    managed = replace(AGENT, inventory_at=NOW + timedelta(days=400))

    verdict = judge(GOOD, AGENT_BASED_ONLY, agent=AgentView(managed, NOW))

    assert verdict.reason == "STALE_INVENTORY"
    assert "check the instance's clock" in verdict.detail


def test_windows_and_macos_are_scanned_by_their_agent_only() -> None:
    for changed, platform in (
        ({"platform": "windows"}, PlatformType.WINDOWS),
        ({"type": "mac2.metal"}, PlatformType.MACOS),
    ):
        instance = replace(GOOD, **changed)  # type: ignore[arg-type] # by name
        assert judge(instance, Configuration()).reason == "UNSUPPORTED_OS"
        agent = AgentView(replace(AGENT, platform_type=platform, platform_name="any"), NOW)
        assert judge(instance, Configuration(), agent=agent).method is Method.AGENT_BASED


def test_a_linux_without_rpm_or_dpkg_is_read_by_snapshot_even_with_an_agent() -> None:
    agent = AgentView(replace(AGENT, platform_name="Alpine Linux"), NOW)
    assert judge(GOOD, Configuration(), agent=agent).method is Method.AGENTLESS
    verdict = judge(GOOD, AGENT_BASED_ONLY, agent=agent)
    assert (verdict.reason, "Alpine Linux" in verdict.detail) == ("UNSUPPORTED_OS", True)
    assert included().of(PlatformType.LINUX, "a system that nobody knows") is OsSupport.BOTH
    assert included().of(PlatformType.WINDOWS, "Alpine") is OsSupport.AGENT_BASED


def test_a_machine_without_a_readable_filesystem_is_covered_as_such_and_read_again() -> None:
    verdict = judge(GOOD, Configuration(), filesystem=FilesystemSupport.UNREADABLE)
    assert verdict.eligible
    assert (verdict.package.status_code, verdict.reason) == ("INACTIVE", "UNSUPPORTED_OS")


def test_the_option_s_default_tag_is_inspector_s() -> None:
    assert options.EXCLUSION_TAG == EXCLUSION_TAG == Configuration().exclusion_tag
