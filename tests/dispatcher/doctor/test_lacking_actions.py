"""`sidelight doctor` names each action that the target's role lacks, one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dispatcher.cli.root import sidelight
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.iam_policies import DEPLOYMENT, actions
from tests.fixtures.lacking_roles import make_role, put_policy
from tests.fixtures.local_clouds import make_key

if TYPE_CHECKING:
    from pathlib import Path

ROLE = "SidelightTarget"
POLICIES = (
    "target-policy", "target-simulation-policy", "target-network-policy", "target-agents-policy",
)  # fmt: skip
Checks = dict[str, tuple[str, str, str]]


def checks(cloud: LocalCloud, directory: Path) -> Checks:
    """The doctor's checks by name: status, detail, remedy."""
    environment = {
        **cloud.environment(),
        "SIDELIGHT_STORE_URL": f"sqlite:///{directory}/fleet.db",
        "SIDELIGHT_BROKER_URL": "memory://",
        "SIDELIGHT_ROLE_NAME": ROLE,
        "SIDELIGHT_DEPLOYMENT": DEPLOYMENT,
        "SIDELIGHT_AGENTS": "1",
        "SIDELIGHT_INVENTORY_BUCKET": "inventories",
        "SIDELIGHT_UNCHANGED_DAYS": "7",
    }
    done = CliRunner(env=environment).invoke(sidelight, ["doctor", "--format", "json"])
    return {
        check["name"]: (check["status"], check["detail"], check["remedy"])
        for check in json.loads(done.stdout)["checks"]
        if check["group"] == "permissions"
    }


@pytest.mark.services
def test_each_action_that_a_role_lacks_is_named(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    conditions = replace(KIND, checks_policies=True, strict_roles=True)
    silent = []
    with LocalCloud(tmp_path / "cloud", conditions=conditions) as cloud:
        cloud.add_instance("web", [image], encrypted=True, kms_key_id=make_key(cloud))
        make_role(cloud, ROLE)
        for policy in POLICIES:
            put_policy(cloud, ROLE, policy)
        whole = checks(cloud, tmp_path)
        assert {status for status, _, _ in whole.values()} == {"OK"}, whole
        for action in sorted(set().union(*map(actions, POLICIES))):
            having = [policy for policy in POLICIES if action in actions(policy)]
            for policy in having:
                put_policy(cloud, ROLE, policy, action)
            found = checks(cloud, tmp_path)
            changed = [
                f"{name} {' '.join(check)}"
                for name, check in found.items()
                if check != whole.get(name) and check[0] != "OK"
            ]
            if not any(action in text for text in changed):
                silent.append((action, changed))
            for policy in having:
                put_policy(cloud, ROLE, policy)
    assert silent == []
