"""The formats of other programs: their members, and nothing that looks clean but is not."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from defusedxml import ElementTree
from hypothesis import given

from sidelight.model import Inventory, OperatingSystem, Problem, Severity, Status
from sidelight.report.formats import documents
from sidelight.report.formats.format_names import (
    FINDING_FORMATS,
    GITLAB,
    HTML,
    JUNIT,
    OCSF,
    SARIF,
    VEX_FORMATS,
)
from sidelight.report.formats.scanned_machine import ScannedMachine
from tests.fixtures.boms import FLASK, HOSTILE, NOW, SSL, finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sidelight.model import Finding
    from sidelight.report.sbom.machine_boms import MachineBom

# VEX documents have tests of their own.
REPORTS = tuple(form for form in FINDING_FORMATS if form not in VEX_FORMATS)
DEBIAN = OperatingSystem(id="debian", pretty_name="Debian GNU/Linux 12 (bookworm)")


class TagCounter(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.tags[tag] += 1


def machine(
    findings: Sequence[Finding] = (),
    status: Status = Status.COMPLETE,
    problems: Sequence[Problem] = (),
) -> ScannedMachine:
    inventory = Inventory(status, DEBIAN, (SSL, FLASK), tuple(problems))
    return ScannedMachine("snap-1", inventory, findings, NOW, "1.0")


def written(form: str, of: ScannedMachine) -> str:
    file = io.StringIO()
    documents.write(form, of, file)
    return file.getvalue()


def run_of(of: ScannedMachine) -> Any:
    document = json.loads(written(SARIF, of))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    return run


def events_of(of: ScannedMachine) -> list[Any]:
    return [json.loads(line) for line in written(OCSF, of).splitlines()]


TWO = (
    finding(SSL),
    finding(FLASK),
    finding(FLASK, "GHSA-m2qf-hxjv-5gpq", severity=Severity.LOW, fixed_version="", remediation=""),
)


def test_a_sarif_result_names_rule_package_and_file() -> None:
    run = run_of(machine(TWO))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["CVE-2024-5535", "GHSA-m2qf-hxjv-5gpq"]
    assert rules[0]["properties"]["security-severity"] == "9.0"
    results = run["results"]
    assert [item["ruleIndex"] for item in results] == [0, 0, 1]
    assert [item["level"] for item in results] == ["error", "error", "note"]
    assert results[0]["message"]["text"] == (
        "libssl3 3.0.11-1~deb12u2 has CVE-2024-5535; fixed in 3.0.15-1~deb12u1."
        " apt-get install --only-upgrade libssl3"
    )
    assert results[2]["message"]["text"].endswith("no fix is known.")
    place = results[1]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == "opt/app/flask-2.0.0.dist-info/METADATA"
    prints = [item["partialFingerprints"]["sidelightFinding/v1"] for item in results]
    assert len(set(prints)) == 3
    later = run_of(machine(TWO[::-1]))["results"]
    assert [item["partialFingerprints"]["sidelightFinding/v1"] for item in later] == prints[::-1]


@pytest.mark.parametrize("status", list(Status))
def test_what_was_not_read_is_no_clean_document(status: Status) -> None:
    problems = [] if status is Status.COMPLETE else [Problem("p2/ext4: inode 12", "is damaged")]
    of = machine((), status, problems)
    invocation = run_of(of)["invocations"][0]
    assert invocation["executionSuccessful"] == (status is not Status.FAILED)
    notes = [note["message"]["text"] for note in invocation["toolExecutionNotifications"]]
    assert notes == ["p2/ext4: inode 12: is damaged"][: len(problems)]
    suite = ElementTree.fromstring(written(JUNIT, of)).find("testsuite")
    assert suite is not None
    assert int(suite.get("errors", "")) == len(suite.findall("testcase/error")) == len(problems)
    assert int(suite.get("tests", "")) == len(suite.findall("testcase")) == 1
    scan = json.loads(written(GITLAB, of))["scan"]
    assert scan["status"] == ("failure" if status is Status.FAILED else "success")
    assert len(scan["messages"]) == len(problems)
    (activity,) = events_of(of)
    assert activity["status_id"] == (1 if status is Status.COMPLETE else 2)
    assert activity["unmapped"]["status"] == status.value
    assert len(activity["unmapped"]["problems"]) == len(problems)
    page = written(HTML, of)
    assert ("Everything was read." in page) == (status is Status.COMPLETE)
    assert ("<li>p2/ext4: inode 12: is damaged</li>" in page) == (status is not Status.COMPLETE)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[Fix now](https://evil.example)", "\\[Fix now](https://evil.example)"),
        ("see [1](0) or {0}", "see \\[1](0) or {{0}}"),
        ("lib[x86] {a}", "lib[x86] {a}"),
    ],
)
def test_no_text_is_a_link_or_a_placeholder_in_sarif(text: str, shown: str) -> None:
    of = machine([finding(FLASK, title=text)], Status.PARTIAL, [Problem("p1", text)])
    of = replace(of, findings=[replace(of.findings[0], package=replace(FLASK, name=text))])
    run = run_of(of)
    note = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert note == f"p1: {shown}"
    assert run["tool"]["driver"]["rules"][0]["shortDescription"]["text"] == shown
    assert run["results"][0]["message"]["text"].startswith(f"{shown} 2.0.0 has")


def test_very_many_problems_are_counted() -> None:
    of = machine((), Status.PARTIAL, [Problem(f"/f{number}", "bad") for number in range(5000)])
    notes = run_of(of)["invocations"][0]["toolExecutionNotifications"]
    assert len(notes) == 1001
    assert notes[-1]["message"]["text"] == "4000 more problems"
    assert "4000 more problems" in written(JUNIT, of)
    assert len(json.loads(written(GITLAB, of))["scan"]["messages"]) == 1001


def test_a_junit_case_fails_for_each_finding() -> None:
    suite = ElementTree.fromstring(written(JUNIT, machine(TWO))).find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "3"
    case = suite.findall("testcase")[0]
    assert case.get("classname") == "deb.libssl3"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") == "CRITICAL"
    assert "/var/lib/dpkg/status" in (failure.text or "")


def test_gitlab_knows_severity_identifier_and_solution() -> None:
    found = json.loads(written(GITLAB, machine(TWO)))["vulnerabilities"]
    assert [item["severity"] for item in found] == ["Critical", "Critical", "Low"]
    assert [item["identifiers"][0]["type"] for item in found] == ["cve", "cve", "other"]
    assert found[0]["solution"] == "apt-get install --only-upgrade libssl3"
    assert "solution" not in found[2]
    assert found[0]["location"]["dependency"]["package"]["name"] == "libssl3"


def test_ocsf_events_are_of_their_classes_and_name_cve_or_advisory() -> None:
    scan, *findings = events_of(machine(TWO))
    assert (scan["class_uid"], scan["type_uid"], scan["num_detections"]) == (6007, 600702, 3)
    assert [item["type_uid"] for item in findings] == [200201] * 3
    assert [item["severity_id"] for item in findings] == [5, 5, 2]
    assert len({item["finding_info"]["uid"] for item in findings}) == 3
    (first,), _, (last,) = (item["vulnerabilities"] for item in findings)
    assert first["cve"]["uid"] == "CVE-2024-5535"
    assert last["advisory"] == {"uid": "GHSA-m2qf-hxjv-5gpq"}
    (package,) = first["affected_packages"]
    assert package["name"] == "libssl3"
    assert package["fixed_in_version"] == "3.0.15-1~deb12u1"
    assert first["remediation"]["desc"] == "apt-get install --only-upgrade libssl3"


@pytest.mark.parametrize(
    ("vector", "version"),
    [("CVSS:3.1/AV:N/AC:L", "3.1"), ("CVSS:4.0/AV:N", "4.0"), ("AV:N/AC:L/Au:N", "2.0")],
)
def test_an_ocsf_score_has_the_version_of_its_vector(vector: str, version: str) -> None:
    of = machine([finding(SSL, cvss_vector=vector, cvss_score=7.5)])
    (vulnerability,) = events_of(of)[1]["vulnerabilities"]
    assert vulnerability["cve"]["cvss"] == [
        {"base_score": 7.5, "vector_string": vector, "version": version}
    ]


def test_a_page_has_a_row_for_each_finding_and_counts_by_severity() -> None:
    page = written(HTML, machine(TWO))
    assert page.count("<tr><td>") == 3
    assert 'aria-label="2 critical, 0 high, 0 medium, 1 low, 0 informational, 0 untriaged"' in page
    assert "no fix is known" in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=a>', "&amp;"])
def test_a_page_has_markup_of_a_disk_as_text(text: str) -> None:
    package = replace(SSL, path=f"/opt/{text}", name=text, version=text)
    of = machine(
        [finding(package, text, references=(f"https://example.org/{text}",))],
        Status.PARTIAL,
        [Problem(text, text)],
    )
    page = TagCounter()
    page.feed(written(HTML, of))
    assert not {"script", "img"} & page.tags.keys()
    assert page.tags["tr"] == 2
    assert page.tags["a"] == 1


@pytest.mark.parametrize("text", ["\ud800", "caf\udce9", "a\udce9\ud800"])
def test_surrogates_in_paths_and_links_are_escaped(text: str) -> None:
    package = replace(SSL, path=f"/opt/{text}", name=text)
    of = machine([finding(package, text, references=(f"https://example.org/{text}",))])
    place = run_of(of)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert _URI.fullmatch(place["uri"])
    for form in REPORTS:
        assert "https://example.org/" in written(form, of)


_URI = re.compile(r"[A-Za-z0-9\-._~/%]+")


@given(HOSTILE)
def test_hostile_machines_give_sound_inert_documents(bom: MachineBom) -> None:
    of = ScannedMachine(bom.name, bom.inventory, bom.findings or (), NOW, "1.0")
    run = run_of(of)
    assert len(run["results"]) == len(of.findings)
    for result in run["results"]:
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert _URI.fullmatch(uri)
        assert not uri.startswith("/")
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    tree = ElementTree.fromstring(written(JUNIT, of).encode())
    assert len(tree.findall("testsuite/testcase/failure")) == len(of.findings)
    for item in json.loads(written(GITLAB, of))["vulnerabilities"]:
        assert re.fullmatch("[0-9a-f]{64}", item["id"])
        assert len(item["name"]) <= 255
    assert [item["class_uid"] for item in events_of(of)] == [6007, *[2002] * len(of.findings)]
    for form in REPORTS:
        text = written(form, of)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
