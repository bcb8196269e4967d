"""A snapshot of the local cloud, and its image."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.faults import FaultPlan
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.ebs_blocks import BLOCK, BLOCKS
from tests.fixtures.local_clouds import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 blocks of which every third was never written, and a last one that is cut."""
    path: Path = tmp_path_factory.mktemp("images") / "disk.img"
    with path.open("wb") as file:
        for number in range(BLOCKS):
            if number % 3 != 2:
                file.seek(number * BLOCK)
                file.write(hashlib.sha256(b"%d" % number).digest() * (BLOCK // 32))
        file.seek(BLOCKS * BLOCK)
        file.write(b"the end")
    return path


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    # Kind: calls, pages and blocks are counted, and the plan's faults are to be the only ones.
    directory = tmp_path_factory.mktemp("cloud")
    with LocalCloud(directory, conditions=KIND, snapshot_seconds=60) as running:
        yield running


@pytest.fixture
def clear(cloud: LocalCloud) -> Iterator[LocalCloud]:
    cloud.plan = FaultPlan(())
    yield cloud
    cloud.plan = FaultPlan(())


@pytest.fixture(scope="module")
def snapshot(cloud: LocalCloud, image: Path) -> str:
    instance = cloud.add_instance("web", [image])
    answer = client(cloud, "ec2").create_snapshots(InstanceSpecification={"InstanceId": instance})
    snapshot_id: str = answer["Snapshots"][0]["SnapshotId"]
    cloud.clock.advance(61)
    return snapshot_id
