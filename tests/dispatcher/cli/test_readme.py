"""The README's commands, pasted line by line, do what it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from dispatcher.cli.local_stack.valkey import Valkey
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
USE_IT = README.partition("## Use it")[2].partition("\n## ")[0]
BLOCKS = [block.strip("\n") for block in re.findall(r"```\n(.*?)```", USE_IT, re.DOTALL)]
INSTALL, ONE_MACHINE, FLEET = BLOCKS


def lines(block: str) -> list[str]:
    return block.split("\n")


def test_the_commands_have_no_placeholder_that_a_shell_does_not_know() -> None:
    for line in "\n".join(BLOCKS).split("\n"):
        assert "…" not in line
        assert "..." not in line
        assert not re.search(r"\w\|\w", line), f"a pipe, pasted: {line}"
        assert not line.startswith("$")
        shlex.split(line, comments=True)


def test_what_runs_until_it_is_ended_does_not_block_the_next_line() -> None:
    for line in lines(FLEET):
        command = line.partition("#")[0].strip()
        if " fleet worker" in command or " fleet run" in command:
            assert command.endswith("&"), line


@pytest.fixture
def shell(tmp_path: Path, image: Path) -> Iterator[dict[str, str]]:
    """The environment of a user: a local cloud with one machine, and `sidelight` on PATH."""
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "sidelight").symlink_to(Path(sys.executable).with_name("sidelight"))
    shutil.copytree(ROOT / "demo" / "advisories", tmp_path / "published")
    with LocalCloud(tmp_path / "cloud") as cloud:
        cloud.add_instance("web", [image])
        environment = {
            name: value
            for name, value in (os.environ | cloud.environment()).items()
            if not name.startswith(("SIDELIGHT_", "PYTHON"))
        }
        ec2 = boto3.client(
            "ec2",
            endpoint_url=cloud.endpoint,
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        volume = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
        snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        yield environment | {
            "PATH": f"{scripts}:{environment['PATH']}",
            "REPLACED_IMAGE": str(image),
            "REPLACED_SNAPSHOT": snapshot,
        }


def paste(block: str, shell: dict[str, str], directory: Path) -> list[tuple[str, int]]:
    """Each line's exit status, in one shell."""
    script = "set +e\n" + "\n".join(
        f'{line}\necho "$? $(printf %s {shlex.quote(line)})" >> statuses' for line in lines(block)
    )
    subprocess.run(["bash", "-c", script], cwd=directory, env=shell, check=False, timeout=500)
    statuses = (directory / "statuses").read_text().splitlines()
    return [(line.partition(" ")[2], int(line.partition(" ")[0])) for line in statuses]


@pytest.mark.services
@pytest.mark.images
@pytest.mark.slow
def test_the_commands_for_one_machine_work_in_order(shell: dict[str, str], tmp_path: Path) -> None:
    block = ONE_MACHINE.replace("disk.img", "$REPLACED_IMAGE").replace(
        "snap-0123456789abcdef0", "$REPLACED_SNAPSHOT"
    )
    # The publishers are not asked in a test.
    place = tmp_path / "data" / "sidelight"
    place.mkdir(parents=True)
    shell["XDG_DATA_HOME"] = str(place.parent)
    built = f"sidelight advisories build --out {place}/advisories.db published"
    block = block.replace("sidelight advisories update", built)
    for line, status in paste(block, shell, tmp_path):
        # 1 and 3 are answers: what was found, and that these few advisories do not cover all.
        assert status in (0, 1, 3), line
    assert (tmp_path / "stats.json").exists()


@pytest.mark.services
@pytest.mark.images
@pytest.mark.slow
def test_the_commands_for_a_fleet_work_in_order(shell: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    broker = Valkey(tmp_path / "broker")
    try:
        block = FLEET.replace("redis://127.0.0.1:6379", broker.url).replace(
            "postgresql://sidelight@127.0.0.1/sidelight", f"sqlite:///{tmp_path}/fleet.db"
        )
        # An organization is more than this cloud has: its one account.
        block = block.replace("fleet run --organization --all-regions", "fleet run")
        built = ["sidelight", "advisories", "build", "--out", "a.db", "published"]
        subprocess.run(built, cwd=tmp_path, env=shell, check=True)
        shell["SIDELIGHT_ADVISORIES"] = str(tmp_path / "a.db")
        block += "\nkill $(jobs -p)\nwait"
        for line, status in paste(block, shell, tmp_path)[:-2]:
            assert status in (0, 3), line
    finally:
        broker.stop()
