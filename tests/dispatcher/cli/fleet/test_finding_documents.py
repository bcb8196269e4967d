"""`sidelight fleet findings --format …`: documents of a whole fleet for other programs."""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from defusedxml import ElementTree
from hypothesis import given, settings

from dispatcher.cli.root import run
from sidelight.errors import SidelightError
from sidelight.model import (
    Coverage,
    Instance,
    Inventory,
    OperatingSystem,
    Severity,
    Status,
)
from sidelight.report.finding_reports import COLUMNS
from sidelight.report.formats import documents
from sidelight.report.formats.format_names import FINDING_FORMATS, VEX_FORMATS
from sidelight.report.formats.scanned_machine import ScannedMachine
from sidelight.store import Store
from sidelight.vex.vex_documents import vex_statements
from tests.fixtures.boms import HOSTILE, NOW, SSL, finding
from tests.fixtures.network_findings import observe, port
from tests.fixtures.published_schemas import FAULTS
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    FakeAdvisory,
    inventory,
    package,
    scanned,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.report.sbom.machine_boms import MachineBom

ARN = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests work on copies of."""
    path = tmp_path_factory.mktemp("documents") / "sidelight.db"
    database = Database(
        {
            "openssl": [
                FakeAdvisory("CVE-2026-1", severity=Severity.CRITICAL),
                FakeAdvisory("CVE-2026-2"),
            ],
            "zlib": [FakeAdvisory("CVE-2026-3", severity=Severity.LOW)],
        }
    )
    with Store(f"sqlite:///{path}") as store:
        store.migrate()
        found = [Instance(name, ACCOUNT, REGION, "running", ()) for name in ("i-1", "i-2")]
        store.instances.discovered(ACCOUNT, REGION, found)
        reasons = {"i-1": ("ACTIVE", "SUCCESSFUL"), "i-2": ("INACTIVE", "NO_INVENTORY")}
        store.instances.cover(
            [Coverage(ACCOUNT, REGION, item.id, "", *reasons[item.id]) for item in found]
        )
        scanned(store, database, inventory(package("openssl"), package("zlib")))
        observe(store, port(22))
    suppress_one = ["fleet", "suppress", "add", "known", "--equals", "vulnerabilityId=CVE-2026-2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        assert run([*suppress_one, "--description", "never called"]) == 0
    return path


@pytest.fixture
def fleet(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scanned instance with three findings of packages and a port, and one without a scan."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(filled, tmp_path)
    return tmp_path


def document(*options: str) -> str:
    """The file that a command writes."""
    assert run(["fleet", "findings", "--output", "out", *options]) == 0
    return Path("out").read_text()


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("form", FINDING_FORMATS)
def test_an_instance_that_was_not_scanned_looks_clean_in_no_format(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = document("--format", form)
    assert "CVE-2026-1" in text
    assert "1 of 2 instances not scanned" in capsys.readouterr().err
    if form in {"openvex", "csaf"}:
        assert "2 instances, of which 1 were not scanned, or only in part" in text
    else:
        assert "INACTIVE, NO_INVENTORY" in text


@pytest.mark.usefixtures("fleet")
def test_sarif_has_a_run_for_each_instance() -> None:
    first, second = json.loads(document("--format", "sarif", "--status", "ALL"))["runs"]
    assert [item["ruleId"] for item in first["results"]] == [
        "CVE-2026-1", "CVE-2026-3", "CVE-2026-2", "NETWORK_REACHABILITY",
    ]  # fmt: skip
    rules = [rule["id"] for rule in first["tool"]["driver"]["rules"]]
    assert all(rules[item["ruleIndex"]] == item["ruleId"] for item in first["results"])
    assert [len(item["suppressions"]) for item in first["results"]] == [0, 0, 1, 0]
    (suppression,) = first["results"][2]["suppressions"]
    assert suppression["justification"] == "ignored: never called (the rule known)"
    assert first["properties"]["instanceArn"] == ARN
    assert first["automationDetails"]["id"] == "sidelight/i-1/"
    assert first["invocations"][0]["executionSuccessful"]
    assert not second["invocations"][0]["executionSuccessful"]
    assert second["results"] == []


@pytest.mark.usefixtures("fleet")
def test_junit_has_a_suite_for_each_instance() -> None:
    suites = ElementTree.fromstring(document("--format", "junit", "--status", "ALL"))
    counts = [
        [suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")]
        for suite in suites
    ]
    assert counts == [["i-1", "4", "3", "0", "1"], ["i-2", "1", "0", "1", "0"]]


@pytest.mark.usefixtures("fleet")
def test_gitlab_has_one_report_with_the_instances_as_images() -> None:
    report = json.loads(document("--format", "gitlab"))
    images = [item["location"]["image"] for item in report["vulnerabilities"]]
    assert images == ["i-1", "i-1"]
    assert report["scan"]["status"] == "success"
    values = [message["value"] for message in report["scan"]["messages"]]
    assert any(value.startswith("i-1: ") and "22" in value for value in values)
    assert any("NO_INVENTORY" in value for value in values)


@pytest.mark.usefixtures("fleet")
def test_ocsf_has_a_scan_of_each_instance_and_its_cloud() -> None:
    events = [json.loads(line) for line in document("--format", "ocsf").splitlines()]
    assert [event["class_uid"] for event in events] == [6007, 2002, 2002, 2004, 6007]
    assert [event["status_id"] for event in events if event["class_uid"] == 6007] == [1, 2]
    assert {event["cloud"]["account"]["uid"] for event in events} == {ACCOUNT}
    assert events[1]["resources"][0]["uid"] == ARN


@pytest.mark.usefixtures("fleet")
def test_a_page_has_a_part_for_each_instance_below_the_sum_of_all() -> None:
    page = document("--format", "html")
    assert "2 instances, of which 1 were not" in page
    assert "1 CRITICAL" not in page
    assert 'aria-label="1 critical' in page
    assert page.index("<h2>i-1</h2>") < page.index("CVE-2026-1") < page.index("<h2>i-2</h2>")
    assert page.count("</body>") == 1


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("form", VEX_FORMATS)
def test_vex_is_about_packages_within_instances(form: str) -> None:
    text = document("--format", form)
    assert FAULTS[form](text) == []
    statements = vex_statements(text.encode(), form)
    names = sorted(name for item in statements for name in item.vulnerabilities)
    # What a rule suppresses is stated too, as affected: nobody stated that it is not.
    assert names == ["CVE-2026-1", "CVE-2026-2", "CVE-2026-3"]
    assert {product.within for item in statements for product in item.products} == {(ARN,)}
    assert {item.status.value for item in statements} == {"affected"}


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("form", ["openvex", "csaf"])
def test_a_document_that_needs_a_statement_and_has_none_is_an_error(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fleet", "findings", "--format", form, "--severity", "medium"]) == 4
    shown = capsys.readouterr()
    assert "fleet: has no finding" in shown.err
    assert shown.out == ""


@pytest.mark.usefixtures("fleet")
def test_csv_has_the_columns_of_inspector_s_reports_most_severe_first() -> None:
    rows = list(csv.DictReader(io.StringIO(document("--format", "csv"))))
    assert list(rows[0]) == list(COLUMNS)
    names = [row["Vulnerability Id"] or row["Finding Type"] for row in rows]
    assert names == ["CVE-2026-1", "NETWORK_REACHABILITY", "CVE-2026-3"]
    assert {row["Resource ID"] for row in rows} == {"i-1"}
    rows = list(csv.DictReader(io.StringIO(document("--format", "csv", "--limit", "1"))))
    assert [row["Vulnerability Id"] for row in rows] == ["CVE-2026-1"]
    every = document("--format", "csv", "--status", "ALL", "--type", "PACKAGE_VULNERABILITY")
    rows = list(csv.DictReader(io.StringIO(every)))
    assert {row["Status"] for row in rows} == {"ACTIVE", "SUPPRESSED"}


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--severity", "critical"], ["CVE-2026-1"]),
        (["--limit", "2"], ["CVE-2026-1", "NETWORK_REACHABILITY"]),
        (["--type", "NETWORK_REACHABILITY"], ["NETWORK_REACHABILITY"]),
        (["--status", "SUPPRESSED"], ["CVE-2026-2"]),
        (["--instance", "i-2"], []),
        (["--account", "9" * 12], []),
        (["--filter", "filter.json"], ["CVE-2026-3"]),
    ],
)
def test_options_select_what_a_document_has(options: list[str], names: list[str]) -> None:
    test = [{"comparison": "EQUALS", "value": "CVE-2026-3"}]
    Path("filter.json").write_text(json.dumps({"vulnerabilityId": test}))
    runs = json.loads(document("--format", "sarif", *options))["runs"]
    assert [item["ruleId"] for run in runs for item in run["results"]] == names
    rows = csv.DictReader(io.StringIO(document("--format", "csv", *options)))
    assert [row["Vulnerability Id"] or row["Finding Type"] for row in rows] == names


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "sarif", "--sort", "score"], "--sort: orders tables, JSON and ASFF"),
        (["--format", "html", "--status", "CLOSED"], "--status: html has no member for closed"),
        (["--format", "csv", "--instance", "i-9"], "i-9: no such instance"),
        (["--output", "no/such/file"], "cannot be written"),
    ],
)
def test_what_a_document_cannot_have_is_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fleet", "findings", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("form", sorted({*FINDING_FORMATS} - {"html", "csaf"}))
def test_a_document_is_written_while_the_machines_pass(form: str) -> None:
    file = io.StringIO()

    def machines() -> Iterator[ScannedMachine]:
        for number in range(3):
            if number == 2:
                assert "i-0" in file.getvalue()
            found = Inventory(Status.COMPLETE, OperatingSystem(id="debian"), (SSL,))
            name = f"i-{number}"
            yield ScannedMachine(name, found, [finding(SSL)], NOW, "1", (), (), ACCOUNT, REGION)

    documents.write_fleet(form, machines(), file, NOW)
    # Components of CycloneDX first: its vulnerabilities wait in a file.
    assert file.getvalue().count("CVE-2024-5535") >= 3


@pytest.mark.parametrize("form", FINDING_FORMATS)
@settings(max_examples=10)
@given(HOSTILE)
def test_hostile_texts_stay_inert_and_valid(form: str, bom: MachineBom) -> None:
    machine = ScannedMachine(
        "i-1", bom.inventory, list(bom.findings or ()), NOW, "1", (), [port(22)], ACCOUNT, REGION
    )
    file = io.StringIO()
    other = replace(machine, name="i-2")
    with suppress(SidelightError):
        documents.write_fleet(form, iter([machine, other]), file, NOW)
    text = file.getvalue()
    if not text:
        return
    if form == "html":
        assert "<script" not in text
    else:
        assert FAULTS[form](text) == []
    assert "\x1b" not in text
