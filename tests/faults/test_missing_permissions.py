"""A role that lacks any one action: the scan names it, and nothing is left or looks clean."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import AccessDeniedError
from sidelight.fleet.settings import Settings
from sidelight.localcloud.conditions import KIND
from sidelight.model import State
from tests.fixtures.iam_policies import DEPLOYMENT, actions
from tests.fixtures.lacking_roles import make_role, put_policy
from tests.fixtures.local_clouds import make_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fixtures.local_fleets import LocalFleet

pytestmark = [pytest.mark.services, pytest.mark.images]

TARGET, READER = "SidelightTarget", "SidelightReader"
ONE_ROLE = {TARGET: "target-policy"}
APART = {TARGET: "target-orchestrator-policy", READER: "target-reader-policy"}
# What a scan in place of one account-region does without. Their absence is `doctor`'s matter.
SPARED = {
    "cloudwatch:GetMetricData", "ec2:DescribeRegions", "kms:DescribeKey", "rbin:GetRule",
    "rbin:ListRules", "servicequotas:GetServiceQuota",
}  # fmt: skip
DISCOVERY = {"ec2:DescribeInstances", "ec2:DescribeVolumes"}
KEYS = {"kms:Decrypt", "kms:ListResourceTags"}
LEAVING = {"ec2:DeleteSnapshot", "ec2:DescribeSnapshots"}
# Polling and waiting are the target's role's; the reader's asks for late answers alone.
SPARED_OF_READER = {"ec2:DescribeSnapshots"}
CASES = [
    *((ONE_ROLE, TARGET, action) for action in sorted(actions(ONE_ROLE[TARGET]))),
    *((APART, READER, action) for action in sorted(actions(APART[READER]))),
]


@pytest.mark.parametrize(
    ("roles", "role", "action"), CASES, ids=[f"{role}-{action}" for _, role, action in CASES]
)
def test_a_scan_without_an_action_names_it_and_leaves_nothing(
    make_local_fleet: Callable[..., LocalFleet],
    image: Path,
    roles: dict[str, str],
    role: str,
    action: str,
) -> None:
    reader = READER if READER in roles else ""
    settings = Settings.of(role_name=TARGET, reader_role_name=reader, deployment=DEPLOYMENT)
    conditions = replace(KIND, checks_policies=True, strict_roles=True)
    fleet = make_local_fleet(settings, conditions=conditions)
    for name, policy in roles.items():
        make_role(fleet.cloud, name)
        put_policy(fleet.cloud, name, policy, action if name == role else "")
    web = fleet.cloud.add_instance("web", [image], encrypted=True, kms_key_id=make_key(fleet.cloud))
    if action in DISCOVERY:
        with pytest.raises(AccessDeniedError, match=action):
            fleet.scan()
        assert fleet.cloud.snapshots() == []
        return
    scans = fleet.scan(leaves=action in LEAVING)
    covered = fleet.covered(web)
    if action in SPARED or (role == READER and action in SPARED_OF_READER):
        assert scans[web].state is State.DONE
        assert (covered.status_code, covered.reason) == ("ACTIVE", "SUCCESSFUL")
        return
    denied = "ACCESS_DENIED_TO_ENCRYPTION_KEY" if action in KEYS else "ACCESS_DENIED"
    assert (covered.status_code, covered.reason) == ("INACTIVE", denied)
    assert action in covered.detail
    if action in LEAVING:
        assert len(fleet.cloud.snapshots()) == 1
        put_policy(fleet.cloud, role, roles[role])
        (place,) = fleet.control.places((), ())
        fleet.control.sweeper.sweep(place)
    assert fleet.cloud.snapshots() == []


def test_each_case_is_of_an_action_that_a_policy_has() -> None:
    known = actions(ONE_ROLE[TARGET])
    assert known >= SPARED | DISCOVERY | KEYS | LEAVING
    assert actions(APART[TARGET]) | actions(APART[READER]) == known
