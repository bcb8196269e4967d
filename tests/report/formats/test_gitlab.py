"""GitLab's report obeys the constraints of the schema by which GitLab takes or refuses it.

They are those of container-scanning-report-format.json 15.2.1 of GitLab's security-report-schemas.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from jsonschema import Draft7Validator

from sidelight.model import Inventory, OperatingSystem, Problem, Status
from sidelight.report.formats.gitlab import write_fleet_gitlab, write_gitlab
from sidelight.report.formats.scanned_machine import ScannedMachine
from tests.fixtures.boms import HOSTILE, NOW, SSL, finding
from tests.fixtures.published_schemas import GITLAB_CHECK, GITLAB_SCHEMA

if TYPE_CHECKING:
    from sidelight.report.sbom.machine_boms import MachineBom

V31, V2 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "AV:N/AC:L/Au:N/C:P/I:P/A:P"


def report(*machines: ScannedMachine) -> dict[str, Any]:
    file = io.StringIO()
    if len(machines) == 1:
        write_gitlab(machines[0], file)
    else:
        write_fleet_gitlab(machines, file)
    found: dict[str, Any] = json.loads(file.getvalue())
    return found


def machine(*vectors: tuple[str, str], status: Status = Status.COMPLETE) -> ScannedMachine:
    inventory = Inventory(status, OperatingSystem(), (SSL,), (Problem("", ""),))
    found = replace(finding(SSL), cvss_vectors=vectors)
    return ScannedMachine("", inventory, (found,), NOW, "1.0")


def test_the_constraints_are_a_schema() -> None:
    Draft7Validator.check_schema(GITLAB_SCHEMA)
    assert list(GITLAB_CHECK.iter_errors({"version": "15"}))


@pytest.mark.parametrize("status", list(Status))
def test_a_machine_without_a_name_and_a_fleet_are_valid(status: Status) -> None:
    of = machine(("NVD", V31), status=status)
    for found in (report(of), report(of, of), report()):
        assert list(GITLAB_CHECK.iter_errors(found)) == []


@given(HOSTILE)
def test_reports_of_hostile_machines_are_valid(bom: MachineBom) -> None:
    of = ScannedMachine(bom.name, bom.inventory, bom.findings or (), NOW, "1.0")
    assert list(GITLAB_CHECK.iter_errors(report(of))) == []


def test_vectors_come_with_their_sources_the_preferred_one_first() -> None:
    (found,) = report(machine(("UBUNTU", V31), ("", V2)))["vulnerabilities"]
    assert found["cvss_vectors"] == [
        {"vendor": "UBUNTU", "vector": V31}, {"vendor": "unknown", "vector": V2},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "vector",
    [
        "", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", V31 + "/ZZ:Q",
        V31[:-1] + "Q", "CVSS:3.1/AV:N", V2 + "/", "CVSS:3.2" + V31[8:], V31 + "\n",
        V31 + "/E:X" * 30,
    ],
)  # fmt: skip
def test_a_vector_that_gitlab_would_refuse_is_left_out(vector: str) -> None:
    (found,) = report(machine(("NVD", vector)))["vulnerabilities"]
    assert "cvss_vectors" not in found


def test_a_reference_without_a_host_is_no_link() -> None:
    of = machine()
    (found,) = of.findings
    of = replace(of, findings=(replace(found, references=("https://", "http:///x", "https://a")),))
    (shown,) = report(of)["vulnerabilities"]
    assert shown["links"] == [{"url": "https://a"}]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[Fix](https://evil.example)", "\\[Fix](https://evil.example)"),
        ("![](https://evil.example/p.png)", "!\\[](https://evil.example/p.png)"),
        ("<img src=x>", "\\<img src=x>"),
        ("@babel/core", "\\@babel/core"),
        ("`a` #1 \\[b", "\\`a\\` \\#1 \\\\\\[b"),
        ("libc++-1~deb12u2", "libc++-1~deb12u2"),
    ],
)
def test_no_text_is_markup_in_what_gitlab_shows_as_markdown(name: str, shown: str) -> None:
    of = machine()
    (found,) = of.findings
    found = replace(found, package=replace(SSL, name=name), remediation="")
    (vulnerability,) = report(replace(of, findings=(found,)))["vulnerabilities"]
    assert vulnerability["description"].startswith(f"{shown} 3.0.11")
    assert shown in vulnerability["solution"]
