"""Bills of materials on the command line: of one image, and of a fleet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

from dispatcher.cli.root import run
from sidelight.model import Coverage, Instance, ScanMode
from sidelight.report.sbom.format_names import SBOM_FORMATS
from sidelight.store import Store
from tests.fixtures.stored_findings import ACCOUNT, REGION, inventory, package, says, scanned

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a scanned instance and one that was not scanned; the current directory."""
    monkeypatch.chdir(tmp_path)
    with Store("sqlite:///sidelight.db") as store:
        store.migrate()
        found = [Instance(name, ACCOUNT, REGION, "running", ()) for name in ("i-1", "i-2")]
        store.instances.discovered(ACCOUNT, REGION, found)
        store.instances.cover(
            [
                Coverage(ACCOUNT, REGION, item.id, "", ScanMode.AGENTLESS, "ACTIVE", "SUCCESSFUL")
                for item in found
            ]
        )
        scanned(store, says("openssl"), inventory(package("openssl"), package("zlib")))
    return tmp_path


def test_a_fleets_bills_are_files_and_unread_instances_are_reported(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fleet", "sbom", "--into", "out"]) == 3
    shown = capsys.readouterr()
    assert shown.out == "1 bill of materials in out\n"
    assert "i-2: has no inventory" in shown.err
    text = (fleet / "out" / ACCOUNT / "i-1.cdx.json").read_text()
    assert (
        make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6).validate_str(text) is None
    )
    document = json.loads(text)
    assert [item["id"] for item in document["vulnerabilities"]]
    assert {item["name"] for item in document["components"]} == {"debian", "openssl", "zlib"}


def test_a_fleets_bills_may_be_of_some_instances(fleet: Path) -> None:
    wanted = ["--instance", "i-1", "--account", ACCOUNT, "--format", "spdx-json"]
    assert run(["fleet", "sbom", "--into", "out", *wanted]) == 0
    assert [path.name for path in (fleet / "out" / ACCOUNT).iterdir()] == ["i-1.spdx.json"]
    assert run(["fleet", "sbom", "--into", "out", "--instance", "i-7"]) == 2
    assert run(["fleet", "sbom", "--into", "sidelight.db"]) == 2


@pytest.mark.parametrize("form", SBOM_FORMATS)
def test_an_image_that_cannot_be_read_gives_an_incomplete_bill(
    tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "empty.img"
    image.write_bytes(bytes(1 << 20))
    assert run(["inventory", str(image), "--format", form]) == 4
    shown = capsys.readouterr().out
    assert "complete" in shown.replace("incomplete", "") or "sidelight:status" in shown
    assert "failed" in shown
