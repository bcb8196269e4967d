"""Trivy reads our bills of materials and finds the system and the same packages."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sidelight.model import Inventory, OperatingSystem, Status
from sidelight.report.sbom import documents
from sidelight.report.sbom.machine_boms import MachineBom
from tests.fixtures.boms import FLASK, NOW, SSL, TOOL, finding

# `make compare` installs it there, from PyPI.
INSTALLED = Path(__file__).parents[3] / "build/venv/bin/trivy"
OFFLINE = ("--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check",
           "--quiet", "--scanners", "license", "--list-all-pkgs", "--format", "json")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "form", ["cyclonedx-json", "cyclonedx-json@1.5", "cyclonedx-json@1.4", "spdx-json"]
)
def test_trivy_finds_the_system_and_the_same_packages_in_our_document(
    form: str, tmp_path: Path
) -> None:
    trivy = shutil.which("trivy") or (str(INSTALLED) if INSTALLED.exists() else None)
    if trivy is None:
        pytest.skip("Trivy is absent (`make compare` installs it)")
    inventory = Inventory(
        Status.COMPLETE, OperatingSystem("debian", "12", "Debian 12"), (SSL, FLASK, TOOL)
    )
    bom = MachineBom("i-1", inventory, NOW, [finding(SSL)])
    document = tmp_path / "machine.json"
    with document.open("w", encoding="utf-8") as file:
        documents.write(form, bom, file)
    answer = subprocess.run(
        [trivy, "sbom", *OFFLINE, "--cache-dir", str(tmp_path / "cache"), str(document)],
        capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    read = json.loads(answer.stdout)
    assert read["Metadata"]["OS"] == {"Family": "debian", "Name": "12"}
    packages = {
        (item["Name"], item["Version"], item.get("SrcName", ""))
        for result in read["Results"]
        for item in result.get("Packages", ())
    }
    names = {name: (version, source) for name, version, source in packages}
    assert set(names) == {"libssl3", "flask", "github.com/a/b"}
    assert {name: version for name, (version, _) in names.items()} == {
        item.name: item.version for item in inventory.packages
    }
    if form != "spdx-json":  # it has no properties of packages
        assert names["libssl3"][1] == "openssl"
