"""An agent's Ubuntu machine: findings by the source packages that feeds, then disks, show."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.fleet.advisory_file import Opened
from sidelight.fleet.agents.source_packages import ReleaseSources, StoredSources
from sidelight.inventory.ssm import items
from sidelight.inventory.ssm.items import InventoryItem
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform
from sidelight.model import OperatingSystem, Package, Status
from sidelight.store import Store
from tests.fixtures.store_templates import lay
from tests.fixtures.stored_findings import inventory, says, scanned
from tests.fixtures.ubuntu_records import OLDER_DATABASE, affected, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.inventory.ssm.parse import SsmReading

UBUNTU = Platform("Ubuntu", "22.04", "Linux")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/fleet.db"
    lay(url)
    with Store(url) as opened:
        yield opened


@pytest.fixture
def advisories(tmp_path: Path) -> Opened:
    rows = [
        affected("openssl", "3.0.2-0ubuntu1.8", "libssl3", "libcrypto-both"),
        affected("openssl1.0", "3.0.2-0ubuntu1.9", "libcrypto-both"),
        affected("gcc-defaults", "1.193ubuntu1", gcc="4:11.2.0-1ubuntu1"),
    ]
    (tmp_path / "ubuntu.json").write_text(json.dumps(record(*rows)))
    build([tmp_path / "ubuntu.json"], tmp_path / "advisories.db")
    return Opened(AdvisoryDatabase.open(tmp_path / "advisories.db"))


def sent(store: Store, advisories: Opened, name: str, version: str) -> SsmReading:
    """What is read of an agent's list with one package."""
    known = ReleaseSources(StoredSources(store), advisories).of(UBUNTU)
    entry = {"Name": name, "Version": version, "Architecture": "x86_64",
             "PackageId": f"{name}_{version}_amd64.deb"}  # fmt: skip
    return read({items.APPLICATION: InventoryItem(items.APPLICATION, [entry])}, UBUNTU, known)


def found(advisories: Opened, reading: SsmReading) -> list[tuple[str, str]]:
    return [(item.package.name, item.vulnerability) for item in advisories.match(reading.inventory)]


def test_a_binary_that_feeds_list_is_matched_by_its_source(
    store: Store, advisories: Opened
) -> None:
    reading = sent(store, advisories, "libssl3", "3.0.2-0ubuntu1.2")

    assert found(advisories, reading) == [("libssl3", "CVE-2024-0001")]
    assert reading.inventory.status is Status.COMPLETE
    assert any("removed with configuration" in remark for remark in reading.remarks)
    fixed = sent(store, advisories, "libssl3", "3.0.2-0ubuntu1.8")
    assert not found(advisories, fixed)


@pytest.mark.parametrize(
    ("name", "version"), [("libcrypto-both", "3.0.2-0ubuntu1.2"), ("gcc", "4:11.0.0-1ubuntu1")]
)
def test_a_binary_of_two_sources_or_other_versions_has_no_finding_but_a_problem(
    store: Store, advisories: Opened, name: str, version: str
) -> None:
    reading = sent(store, advisories, name, version)

    assert not found(advisories, reading)
    assert reading.inventory.status is Status.PARTIAL
    assert "matched by their own names" in reading.inventory.problems[0].what


def test_what_a_disk_of_the_release_showed_counts_before_feeds(
    store: Store, advisories: Opened
) -> None:
    on_disk = Package(
        "deb", "libssl3", "3.0.2", "/var/lib/dpkg/status", "pkg:deb/ubuntu/libssl3@3.0.2",
        source_name="openssl-own", source_version="3.0.2",
    )  # fmt: skip
    system = OperatingSystem(id="ubuntu", version_id="22.04")
    scanned(store, says(), replace(inventory(on_disk), os=system), "i-2")

    (package,) = sent(store, advisories, "libssl3", "3.0.2-0ubuntu1.2").inventory.packages

    assert package.source_name == "openssl-own"


def test_another_system_or_an_older_database_has_no_sources_from_feeds(
    store: Store, advisories: Opened
) -> None:
    sources = ReleaseSources(StoredSources(store), advisories)
    older = ReleaseSources(StoredSources(store), Opened(AdvisoryDatabase.open(OLDER_DATABASE)))

    assert sources.of(Platform("Amazon Linux", "2023", "Linux")) is None
    for known in (sources.of(Platform("Debian GNU/Linux", "12", "Linux")), older.of(UBUNTU)):
        assert known is not None
        assert known.source_of("libssl3", "3.0.2-0ubuntu1.2") is None


def test_the_list_of_a_release_is_decoded_once(advisories: Opened) -> None:
    system = OperatingSystem(id="ubuntu", version_id="22.04")

    assert advisories.known_sources(system) is advisories.known_sources(system)
