"""The commands of docs/first-account.md, pasted in order, work on the local cloud in strict mode.

CloudFormation is not in the local cloud: a stand-in for `aws` checks the template's parameters and
makes the role with the trust that the template gives it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "first-account.md").read_text()
ADVISORIES, PROFILE, ROLES, ORGANIZATION = (
    block.strip("\n") for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
)
HUB = "123456789012"
STAND_IN = Path(__file__).resolve().parents[2] / "fixtures" / "cloudformation_stand_in.py"


def test_the_commands_have_no_placeholder_that_a_shell_does_not_know() -> None:
    for block in (ADVISORIES, PROFILE, ROLES, ORGANIZATION):
        for line in block.split("\n"):
            assert "…" not in line
            assert "..." not in line
            shlex.split(line)


class Desk:
    """A user's shell in a checkout, with a profile and nothing else of AWS."""

    def __init__(self, cloud: LocalCloud, directory: Path) -> None:
        self.cloud = cloud
        self.directory = directory
        scripts = directory / "bin"
        scripts.mkdir()
        (scripts / "sidelight").symlink_to(Path(sys.executable).with_name("sidelight"))
        stand_in = scripts / "aws"
        stand_in.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
        stand_in.chmod(0o755)
        (directory / "deploy").symlink_to(ROOT / "deploy")
        shutil.copytree(ROOT / "demo" / "advisories", directory / "published")
        configuration = directory / "config"
        configuration.write_text(
            f"[profile security]\naws_access_key_id = {HUB}\naws_secret_access_key = local\n"
        )
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SIDELIGHT_", "PYTHON", "AWS_"))
        }
        self.environment = kept | {
            "PATH": f"{scripts}:{os.environ['PATH']}",
            "XDG_DATA_HOME": str(directory / "data"),
            "AWS_ENDPOINT_URL": cloud.endpoint,
            "AWS_CONFIG_FILE": str(configuration),
            "AWS_SHARED_CREDENTIALS_FILE": str(directory / "none"),
        }

    def of(self, service: str) -> Any:
        make: Any = boto3.client
        return make(
            service, endpoint_url=self.cloud.endpoint, region_name="us-east-1",
            aws_access_key_id=HUB, aws_secret_access_key="local",  # noqa: S106 - any
        )  # fmt: skip

    def paste(self, block: str) -> dict[str, int]:
        """Paste the lines into one shell; return each line's exit status."""
        # The publishers are not asked in a test.
        place = self.directory / "data" / "sidelight"
        built = (
            f"mkdir -p {place}; sidelight advisories build --out {place}/advisories.db published"
        )
        block = f"{ADVISORIES}\n{block}".replace("sidelight advisories update", built)
        script = "set +e\n" + "\n".join(
            f'{line}\necho "$? $(printf %s {shlex.quote(line)})" >> statuses'
            for line in block.split("\n")
        )
        subprocess.run(
            ["bash", "-c", script], cwd=self.directory, env=self.environment, check=False,
            timeout=570, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        lines = (self.directory / "statuses").read_text().splitlines()
        return {line.partition(" ")[2]: int(line.partition(" ")[0]) for line in lines}


@pytest.fixture
def desk(tmp_path: Path, image: Path) -> Iterator[Desk]:
    with LocalCloud(tmp_path / "cloud", strict_roles=True) as cloud:
        cloud.add_instance("web", [image], tags={"team": "web"})
        cloud.add_instance("db", [image], tags={"team": "db"})
        yield Desk(cloud, tmp_path)


def check(desk: Desk, statuses: dict[str, int], scans: int) -> None:
    """Every command has done its work, and only what was selected was snapshotted."""
    for line, status in statuses.items():
        # Of doctor: warnings, as no broker is there. Of scans: few advisories cover not all.
        allowed = {"sidelight doctor": (0, 1), "sidelight fleet scan --": (0, 3)}
        fits = next((known for start, known in allowed.items() if line.startswith(start)), (0,))
        assert status in fits, line
    assert desk.cloud.calls("CreateSnapshots") >= scans
    assert desk.cloud.snapshots() == []


@pytest.mark.services
@pytest.mark.images
@pytest.mark.slow
def test_one_account_with_a_profile_is_scanned(desk: Desk) -> None:
    check(desk, desk.paste(PROFILE), scans=1)
    policy = (desk.directory / "policy.json").read_text()
    assert "${" not in policy
    assert json.loads(policy)["Statement"]


@pytest.mark.services
@pytest.mark.images
@pytest.mark.slow
def test_one_account_with_roles_is_scanned(desk: Desk) -> None:
    check(desk, desk.paste(ROLES), scans=1)
    assert desk.cloud.calls("AssumeRole") > 0


@pytest.mark.services
@pytest.mark.images
@pytest.mark.slow
def test_an_organization_is_scanned(desk: Desk, image: Path) -> None:
    organizations = desk.of("organizations")
    organizations.create_organization(FeatureSet="ALL")
    created = organizations.create_account(Email="web@example.com", AccountName="web")
    member = str(created["CreateAccountStatus"]["AccountId"])
    desk.cloud.add_instance("member", [image], account=member, tags={"team": "web"})
    desk.environment["MEMBERS"] = member
    check(desk, desk.paste(ORGANIZATION), scans=2)
    assert desk.cloud.calls("CreateSnapshots", member) > 0
