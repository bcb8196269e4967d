"""Our scanner over our own locks: no known high or critical that an update fixes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from release.build import sbom
from release.licences import locked
from sidelight.advisories import build
from tests.fixtures.own_packages import PYPI_FEEDS, VULNERABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def database(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("advisories") / "advisories.db"
    build([shared_data / "advisories" / "osv" / name for name in PYPI_FEEDS], path)
    return path


def gate(bill: Mapping[str, Any], folder: Path, database: Path) -> int:
    path = folder / "bom.json"
    path.write_text(json.dumps(bill))
    return subprocess.run(
        [sys.executable, "-m", "dispatcher.cli", "scan", path, "--advisories", database,
         "--fail-on", "high", "--ignore-unfixed"], check=False,
    ).returncode  # fmt: skip


def component(name: str, version: str) -> dict[str, str]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


@pytest.mark.parametrize(
    "lock", ["requirements.lock", "deploy/requirements.lock", "deploy/build-requirements.lock"]
)
def test_no_locked_package_has_a_known_high_or_critical_that_an_update_fixes(
    lock: str, database: Path, tmp_path: Path
) -> None:
    bill = sbom(ROOT, "0")
    bill["components"] = [component(*one) for one in sorted(locked(ROOT / lock).items())]
    del bill["dependencies"]
    assert bill["components"]
    assert gate(bill, tmp_path, database) == 0


def test_an_old_package_among_them_is_reported(database: Path, tmp_path: Path) -> None:
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "components": [component(*VULNERABLE)]}  # fmt: skip
    assert gate(bill, tmp_path, database) == 1
