"""Which instances are scanned, and the reason for each that is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dispatcher.planning.eligibility import EXCLUSION_TAG, Configuration, judge
from sidelight.model import Instance, Volume

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


def test_one_volume_under_a_key_whose_tags_are_not_told_is_not_read() -> None:
    secret = replace(GOOD.volumes[1], encrypted=True, kms_key_id=KEY)
    instance = replace(GOOD, volumes=(GOOD.volumes[0], secret))
    untold = Configuration(untold_keys=frozenset({KEY}))
    verdict = judge(instance, untold)
    assert verdict.reason == "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    assert KEY in verdict.detail
    assert judge(instance, untold, {KEY}).reason == "EXCLUDED_BY_TAG", "that closes its findings"
    assert judge(GOOD, untold).eligible


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
