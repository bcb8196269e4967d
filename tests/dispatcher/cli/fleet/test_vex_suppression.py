"""`sidelight fleet suppress add-vex|list-vex|remove-vex`, and our own documents read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.cli.root import run
from sidelight.model import Coverage, Instance
from sidelight.report.formats.format_names import FINDING_FORMATS, VEX_FORMATS
from sidelight.store import Store
from tests.fixtures.document_schemas import conform
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    FakeAdvisory,
    inventory,
    package,
    scanned,
)
from tests.fixtures.vex_files import JUSTIFICATION, openvex, stated, write

if TYPE_CHECKING:
    from pathlib import Path

A = "pkg:deb/debian/a"


def fleet_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two machines with `a` and `b`, which have a vulnerability each."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    database = Database({"a": [FakeAdvisory("CVE-2026-1")], "b": [FakeAdvisory("CVE-2026-2")]})
    with Store("sqlite:///sidelight.db") as store:
        store.migrate()
        machines = [Instance(name, ACCOUNT, REGION, "running", ()) for name in ("i-1", "i-2")]
        store.instances.discovered(ACCOUNT, REGION, machines)
        store.instances.cover(
            [Coverage(ACCOUNT, REGION, item.id, "", "ACTIVE", "SUCCESSFUL") for item in machines]
        )
        for item in machines:
            scanned(store, database, inventory(package("a"), package("b")), item.id)
    return folder


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return fleet_of(tmp_path, monkeypatch)


def suppress(*arguments: str) -> int:
    return run(["fleet", "suppress", *arguments])


def findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run(["fleet", "findings", *arguments]) in {0, 3}
    return capsys.readouterr().out


def states(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], str]:
    rows = json.loads(findings(capsys, "--status", "ALL", "--format", "json"))
    return {(row["instance"], row["vulnerability"]): row["status"] for row in rows}


def test_a_document_is_tried_added_listed_and_taken_back(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vex = write(fleet, openvex(stated("CVE-2026-1", A), stated("CVE-1999-1", A)))
    assert suppress("add-vex", vex, "--dry-run") == 0
    tried = capsys.readouterr()
    assert "2 findings would change; nothing is written." in tried.out
    assert f"i-2\tCVE-2026-1\ta 1\tSUPPRESSED\tnot_affected, {JUSTIFICATION}\tvex.json" in tried.out
    assert set(states(capsys).values()) == {"ACTIVE"}
    assert suppress("add-vex", vex) == 0
    done = capsys.readouterr()
    added = "vex.json, version 1, by Example Vendor: added; 2 statements, 1 about no open finding"
    assert added in done.out
    assert "2 findings changed" in done.out
    assert "vex.json: 1 statement about no finding: CVE-1999-1 (debian/a)" in done.err
    assert suppress("add-vex", vex) == 0
    assert "is stored already" in capsys.readouterr().out
    assert suppress("list-vex") == 0
    assert "https://example.org/vex/1" in capsys.readouterr().out
    why = f"CVE-2026-1 - a (2 instances): not_affected: {JUSTIFICATION} (vex.json, version 1, by"
    assert why in findings(capsys, "--status", "SUPPRESSED")
    assert suppress("remove-vex", "vex.json") == 0
    assert "2 findings changed" in capsys.readouterr().out
    assert set(states(capsys).values()) == {"ACTIVE"}
    assert suppress("remove-vex", "vex.json") == 2


def test_exports_have_the_statement_the_document_and_its_author(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vex = write(fleet, openvex(stated("CVE-2026-1", A, impact_statement="never linked")))
    suppress("add-vex", vex)
    document = json.loads(findings(capsys, "--status", "ALL", "--format", "json"))
    conform("fleet-findings", document)
    shown = {row["vulnerability"]: row["suppression"] for row in document}
    assert shown["CVE-2026-1"] | {"issued": ""} == {
        "status": "not_affected", "justification": JUSTIFICATION, "statement": "never linked",
        "document": "https://example.org/vex/1", "version": "1", "author": "Example Vendor",
        "issued": "", "file": "vex.json",
    }  # fmt: skip
    assert shown["CVE-2026-2"] is None
    for form in FINDING_FORMATS:
        text = findings(capsys, "--status", "ALL", "--format", form)
        assert "never linked" in text, form
        if form not in VEX_FORMATS:
            assert "by Example Vendor" in text, form


@pytest.mark.parametrize("form", VEX_FORMATS)
def test_a_fleet_s_own_documents_suppress_the_same_findings_of_another_store(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = fleet_of(tmp_path / "first", monkeypatch)
    # Of one machine alone: a fleet's document names packages within instances, by their ARNs.
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"
    product = {"@id": arn, "subcomponents": [{"@id": A}]}
    suppress("add-vex", write(first, openvex(stated("CVE-2026-1", product))))
    before = states(capsys)
    assert sorted(key for key, state in before.items() if state == "SUPPRESSED") == [
        ("i-1", "CVE-2026-1")
    ]
    written = findings(capsys, "--status", "ALL", "--format", form)
    second = fleet_of(tmp_path / "second", monkeypatch)
    (second / "own.json").write_text(written)
    assert suppress("add-vex", "own.json") == 0
    assert states(capsys) == before


HOSTILE: dict[str, Any] = {
    "empty": {},
    "no statement": openvex(),
    "an unknown status": openvex(stated("CVE-2026-1", A, status="maybe")),
    "another format": {"bomFormat": "SPDX"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_vex_is_wrong_usage_and_changes_nothing(
    fleet: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(fleet, openvex(stated("CVE-2026-1", A)), "good.json")
    bad = write(fleet, HOSTILE[name], "bad.json")
    assert suppress("add-vex", good, bad) == 2
    assert "bad.json: " in capsys.readouterr().err
    assert set(states(capsys).values()) == {"ACTIVE"}


def test_deep_and_repeated_members_are_refused(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("[" * 100_000, '{"@context": "https://openvex.dev/ns", "@context": ""}', "\xff"):
        (fleet / "bad.json").write_text(text)
        assert suppress("add-vex", "bad.json") == 2
        assert "bad.json: " in capsys.readouterr().err
