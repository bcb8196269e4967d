"""`sidelight scan --vex` and `--ignore-file`: suppressed findings are shown, never dropped."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

from dispatcher.cli.root import run
from sidelight.advisories import build
from sidelight.report.formats.format_names import FINDING_FORMATS
from sidelight.report.sbom.format_names import SBOM_FORMATS
from tests.fixtures.document_schemas import conform
from tests.fixtures.matches import osv

if TYPE_CHECKING:
    from pathlib import Path

REASON = "vulnerable_code_not_present"
OPENSSL = {
    "type": "library", "name": "libssl3", "version": "3.0.1-1",
    "purl": "pkg:deb/debian/libssl3@3.0.1-1?distro=debian-12&upstream=openssl",
}  # fmt: skip
FLASK = {"type": "library", "name": "flask", "purl": "pkg:pypi/flask@2.0.0"}
STATEMENT = {
    "vulnerability": {"name": "CVE-2024-0001"},
    "products": [{"@id": "pkg:deb/debian/libssl3"}],
    "status": "not_affected",
    "justification": REASON,
}
OTHER = STATEMENT | {"vulnerability": {"name": "CVE-1999-0001"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's SBOM, a database with two advisories about it, and VEX about one of them."""
    records = [
        osv("DSA-1", "Debian:12", "openssl", "3.0.2-1", upstream=["CVE-2024-0001"]),
        osv("GHSA-m2qf-hxjv-5gpq", "PyPI", "flask", "2.2.5", aliases=["CVE-2023-30861"]),
    ]
    feed = tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps(record) + "\n" for record in records))
    build([feed], tmp_path / "advisories.db")
    sbom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [OPENSSL, FLASK]}
    (tmp_path / "sbom.json").write_text(json.dumps(sbom))
    vex = {
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/1",
        "author": "Example", "timestamp": "2026-01-01T00:00:00Z", "version": 1,
        "statements": [STATEMENT, OTHER],
    }  # fmt: skip
    (tmp_path / "vex.json").write_text(json.dumps(vex))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scan(*options: str) -> int:
    return run(["scan", "sbom.json", "--advisories", "advisories.db", *options])


def test_a_suppressed_finding_is_shown_with_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (folder / "vex.json").exists()
    assert scan("--vex", "vex.json") == 0
    shown = capsys.readouterr()
    assert "1 finding suppressed:" in shown.out
    assert f"CVE-2024-0001 libssl3 3.0.1-1: not_affected, {REASON} (vex.json)" in shown.out
    assert shown.out.count("CVE-2024-0001") == 1
    assert "1 finding:" in shown.out
    unmatched = "1 statement about no finding: CVE-1999-0001 (debian/libssl3)"
    assert f"vex.json: {unmatched}" in shown.err


def test_only_active_findings_fail_a_scan(folder: Path) -> None:
    wanted = ["--fail-on", "untriaged"]
    vex = json.loads((folder / "vex.json").read_text())
    vex["statements"].append(
        STATEMENT
        | {"vulnerability": {"name": "CVE-2023-30861"}, "products": [{"@id": "pkg:pypi/flask"}]}
    )
    (folder / "both.json").write_text(json.dumps(vex))
    assert scan(*wanted) == 1
    assert scan(*wanted, "--vex", "vex.json") == 1
    assert scan(*wanted, "--vex", "both.json") == 0


@pytest.mark.parametrize("form", ["json", *FINDING_FORMATS, *SBOM_FORMATS])
def test_every_format_has_the_suppressed_finding(folder: Path, form: str) -> None:
    out = folder / "out"
    scan("--vex", "vex.json", "--format", form, "--output", str(out))
    text = out.read_text()
    if form == "spdx-json":  # it has no member for an analysis
        assert "CVE-2024-0001" not in text
        return
    assert "CVE-2024-0001" in text
    assert "not_affected" in text
    if form == "json":
        document = json.loads(text)
        conform("scan", document)
        assert [item["vulnerability"] for item in document["findings"]] == ["CVE-2023-30861"]
        assert document["suppressed"][0]["suppression"] == {
            "status": "not_affected", "justification": REASON, "statement": "",
            "source": "vex.json",
        }  # fmt: skip
    if form == "sarif":
        results = json.loads(text)["runs"][0]["results"]
        assert [len(item["suppressions"]) for item in results] == [0, 1]
    if form.startswith(("cyclonedx-json", "cyclonedx-xml")):
        kind = OutputFormat.JSON if "json" in form else OutputFormat.XML
        version = SchemaVersion.from_version(form.partition("@")[2] or "1.6")
        assert make_schemabased_validator(kind, version).validate_str(text) is None


def test_csv_has_the_suppressed_finding_and_standard_error_what_was_not_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No column says that a component could not be judged, and the file must not look clean."""
    assert scan("--vex", "vex.json", "--format", "csv", "--output", "whole.csv") == 0
    assert "not all was read" not in capsys.readouterr().err
    rows = list(csv.DictReader((folder / "whole.csv").read_text().splitlines()))
    states = {row["Vulnerability Id"]: row["Status"] for row in rows}
    assert states == {"CVE-2023-30861": "ACTIVE", "CVE-2024-0001": "SUPPRESSED"}
    components = [OPENSSL, {"type": "library", "name": "unknown"}]
    sbom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}
    (folder / "sbom.json").write_text(json.dumps(sbom))
    assert scan("--format", "csv", "--limit", "1", "-q") == 3
    shown = capsys.readouterr()
    assert "sbom.json: not all was read (partial, 1 problem)" in shown.err
    assert len(shown.out.splitlines()) == 2


def test_an_ignore_file_suppresses_until_its_day(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = "[[ignore]]\nvulnerability = 'CVE-2023-30861'\nreason = 'not served'\nexpires = {}\n"
    (folder / "ignore.toml").write_text(entry.format("2999-01-01"))
    assert scan("--ignore-file", "ignore.toml") == 0
    shown = capsys.readouterr()
    assert "CVE-2023-30861 flask 2.0.0: ignored, not served (ignore.toml)" in shown.out
    (folder / "ignore.toml").write_text(entry.format("2020-01-01"))
    assert scan("--ignore-file", "ignore.toml") == 0
    shown = capsys.readouterr()
    assert "suppressed" not in shown.out
    assert "expired, and does not suppress: CVE-2023-30861, since 2020-01-01" in shown.err


@pytest.mark.parametrize("option", ["--vex", "--ignore-file"])
def test_a_file_of_another_form_is_wrong_usage(
    folder: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad").write_text("{}")
    assert scan(option, "bad") == 2
    assert "bad: " in capsys.readouterr().err
    assert scan(option, "absent") == 2
