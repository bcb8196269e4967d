"""`--format template --template …` of `scan` and of `fleet findings`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dispatcher.cli.root import run
from sidelight.advisories import build
from sidelight.model import Coverage
from sidelight.store import Store
from tests.fixtures.matches import osv
from tests.fixtures.stored_findings import ACCOUNT, REGION, inventory, package, says, scanned

OPENSSL = {
    "type": "library", "name": "libssl3", "version": "3.0.1-1",
    "purl": "pkg:deb/debian/libssl3@3.0.1-1?distro=debian-12&upstream=openssl",
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An SBOM with a finding, and a store with an instance that has one but no coverage."""
    monkeypatch.chdir(tmp_path)
    feed = Path("feed.jsonl")
    record = osv("DSA-1", "Debian:12", "openssl", "3.0.2-1", upstream=["CVE-2024-0001"])
    feed.write_text(json.dumps(record) + "\n")
    build([feed], Path("advisories.db"))
    sbom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [OPENSSL]}
    Path("sbom.json").write_text(json.dumps(sbom))
    Path("names.txt").write_text(
        "{% for m in machines %}{% for f in m.findings %}{{ m.name }} {{ f.vulnerability }}\n"
        "{% endfor %}{% endfor %}"
    )


def scan(*options: str) -> int:
    return run(["scan", "sbom.json", "--advisories", "advisories.db", *options])


def test_a_scan_is_written_by_a_template(capsys: pytest.CaptureFixture[str]) -> None:
    assert scan("--format", "template", "--template", "names.txt") in {0, 3}
    assert capsys.readouterr().out == "sbom.json CVE-2024-0001\n"
    assert scan("--format", "template", "--template", "@summary", "--fail-on", "low") in {0, 1, 3}
    assert capsys.readouterr().out.startswith("sbom.json\t")


def test_a_fleet_s_findings_are_written_by_a_template(capsys: pytest.CaptureFixture[str]) -> None:
    with Store("sqlite:///sidelight.db") as store:
        store.migrate()
        row = Coverage(ACCOUNT, REGION, "i-1", "", "ACTIVE", "SUCCESSFUL")
        store.instances.cover([row])
        scanned(store, says("a"), inventory(package("a")))
    assert run(["fleet", "findings", "--format", "template", "--template", "names.txt"]) == 0
    assert capsys.readouterr().out == "i-1 CVE-2026-1\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "template"], "--format template and --template belong together"),
        (["--template", "names.txt"], "--format template and --template belong together"),
        (["--format", "template", "--template", ""], "--template names no file"),
        (["--format", "template", "--template", "@no"], "@no: there is no such template"),
    ],
)
def test_a_template_is_checked_before_the_work(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan(*options) == 2
    assert message in capsys.readouterr().err
    assert run(["fleet", "findings", *options]) == 2
    assert message in capsys.readouterr().err
