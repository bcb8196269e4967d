"""`sidelight fleet sweep` on the command line: foreign snapshots, and what a lost store left."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from dispatcher.cli.root import sidelight
from sidelight.errors import StoreError, UsageError
from sidelight.fleet.snapshot_ownership import description, tags
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import LocalCloud
from sidelight.store import Store
from tests.fixtures.local_clouds import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.services
SCAN = "0123456789abcdef" * 2


class Left:
    """A cloud with two snapshots of a scan that no store knows, and a stranger's with its tags."""

    def __init__(self, cloud: LocalCloud, disk: Path) -> None:
        self.cloud = cloud
        self.instance = cloud.add_instance("web", [disk])
        (volume,) = cloud.volumes(self.instance).values()
        text = description(SCAN, self.instance, "production", "a lease")
        self.own = sorted(self.make(volume, text) for _ in range(2))
        self.backup = self.make(volume, "PRODUCTION BACKUP")

    def make(self, volume: str, text: str) -> str:
        ec2: Any = client(self.cloud, "ec2")
        snapshot: str = ec2.create_snapshot(VolumeId=volume, Description=text)["SnapshotId"]
        marks = tags(SCAN, "production")
        ec2.create_tags(
            Resources=[snapshot], Tags=[{"Key": k, "Value": v} for k, v in marks.items()]
        )
        return snapshot

    def sweep(self, *arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(sidelight, ["fleet", "sweep", *arguments], input=typed)


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Left]:
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    # Kind: several snapshots of one volume are made together, and looked at at once.
    with LocalCloud(tmp_path / "cloud", conditions=KIND) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SIDELIGHT_STORE_URL", f"sqlite:///{tmp_path}/store.db")
        monkeypatch.setenv("SIDELIGHT_BROKER_URL", "memory://")
        monkeypatch.setenv("SIDELIGHT_DEPLOYMENT", "production")
        yield Left(cloud, disk)


def test_without_a_store_a_sweep_names_what_finds_the_snapshots_of_a_lost_one(left: Left) -> None:
    done = left.sweep()
    assert isinstance(done.exception, StoreError)
    assert "--adopt" in str(done.exception)
    assert left.cloud.snapshots() == sorted([*left.own, left.backup])


def test_a_sweep_lists_what_carries_our_tags_and_deletes_none_of_it(left: Left) -> None:
    with Store(os.environ["SIDELIGHT_STORE_URL"]) as store:
        store.migrate()
    done = left.sweep()
    assert done.exit_code == 0, done.output
    assert "0 orphaned snapshots, 0 deleted" in done.output
    assert "3 foreign, not touched" in done.output
    assert f"foreign: {left.backup} carries our tags and is not ours: its description" in (
        done.output
    )
    document = json.loads(left.sweep("--format", "json").stdout)
    assert {one["id"] for one in document[0]["foreign"]} == {*left.own, left.backup}
    assert left.cloud.snapshots() == sorted([*left.own, left.backup])


def test_adoption_lists_and_asks_for_a_typed_sentence(left: Left) -> None:
    for typed in ("", "y\n", "yes\n", "delete 3 snapshots\n", "2\n"):
        done = left.sweep("--adopt", typed=typed)
        assert isinstance(done.exception, UsageError), done.output
        assert all(name in done.output for name in left.own)
        assert left.backup not in done.output
        assert len(left.cloud.snapshots()) == 3
    done = left.sweep("--adopt", typed="delete 2 snapshots\n")
    assert done.exit_code == 0, done.output
    assert "2 deleted" in done.output
    assert left.cloud.snapshots() == [left.backup]


def test_a_script_names_each_snapshot(left: Left) -> None:
    first, second = left.own
    assert isinstance(left.sweep("--adopt", "--yes").exception, UsageError)
    assert isinstance(left.sweep("--yes", "--snapshot", first).exception, UsageError)
    assert isinstance(left.sweep("--adopt", "--format", "json").exception, UsageError)
    assert len(left.cloud.snapshots()) == 3
    offered = json.loads(left.sweep("--adopt", "--dry-run", "--format", "json").stdout)
    assert [one["id"] for one in offered[0]["adoptable"]] == left.own
    done = left.sweep("--adopt", "--yes", "--snapshot", first, "--snapshot", left.backup)
    assert done.exit_code == 4, "a stranger's is refused, and said"
    assert left.backup in done.output
    assert left.cloud.snapshots() == sorted([second, left.backup])
