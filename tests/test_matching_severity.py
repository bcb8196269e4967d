"""A finding's severity, fix and command, by what the publishers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.model import FixAvailable, OperatingSystem, Severity
from tests.fixtures.matches import CRITICAL, MEDIUM, found, osv, package

if TYPE_CHECKING:
    from pathlib import Path


HIGH_V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:H/VA:N/SC:N/SI:N/SA:N"


@pytest.mark.parametrize(
    ("facts", "severity", "source", "score"),
    [
        ({}, Severity.UNTRIAGED, "", None),
        ({"vector": CRITICAL}, Severity.CRITICAL, "CVE", 9.8),
        ({"urgency": "not yet assigned", "vector": CRITICAL}, Severity.CRITICAL, "CVE", 9.8),
        ({"urgency": "low", "vector": CRITICAL}, Severity.LOW, "Debian", 9.8),
        ({"urgency": "unimportant"}, Severity.INFORMATIONAL, "Debian", None),
        ({"vector": HIGH_V4}, Severity.HIGH, "CVE", 8.7),
        ({"vector": "CVSS:3.1/nonsense"}, Severity.UNTRIAGED, "", None),
    ],
)
def test_the_distributions_word_goes_before_a_score_and_no_word_is_untriaged(
    tmp_path: Path, facts: dict[str, object], severity: Severity, source: str, score: float | None
) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "x", "", **facts)]
    (finding,) = found(tmp_path, records, package("deb", "x", "1-1"))
    assert (finding.severity, finding.severity_source) == (severity, source)
    assert finding.cvss_score == score


def test_a_cves_own_score_goes_before_an_erratum_of_several(tmp_path: Path) -> None:
    records = [
        osv(
            "RLSA-2024:1",
            "Rocky Linux:9",
            "x",
            "2-1",
            related=["CVE-2024-0001", "CVE-2024-0002"],
            summary="Important: x security update",
            vector=CRITICAL,
        ),
        osv("GHSA-1", "npm", "y", aliases=["CVE-2024-0001"], vector=MEDIUM),
    ]
    os = OperatingSystem(id="rocky", version_id="9.3")
    one, two = found(tmp_path, records, package("rpm", "x", "1-1", source_name="x"), os=os)
    assert (one.severity, one.severity_source, one.cvss_score) == (Severity.MEDIUM, "GitHub", 6.1)
    assert (two.severity, two.severity_source) == (Severity.HIGH, "Rocky Linux")


def test_whether_a_fix_is_available(tmp_path: Path) -> None:
    records = [
        osv("GHSA-1", "npm", "a", "2.0.0", aliases=["CVE-2024-0001"]),
        osv("GHSA-2", "npm", "b", aliases=["CVE-2024-0002"]),
        osv("GHSA-3", "npm", "c", "2.0.0", aliases=["CVE-2024-0003"]),
        osv("MAL-3", "npm", "c", aliases=["CVE-2024-0003"]),
    ]
    packages = [package("npm", name, "1.0.0") for name in "abc"]
    findings = found(tmp_path, records, *packages)
    assert [item.fix_available for item in findings] == [
        FixAvailable.YES,
        FixAvailable.NO,
        FixAvailable.PARTIAL,
    ]
    assert [item.remediation for item in findings] == [
        "npm install a@2.0.0",
        "",
        "npm install c@2.0.0",
    ]


def test_a_hostile_name_stays_one_word_of_the_command(tmp_path: Path) -> None:
    name = "x; rm -rf $HOME"
    (finding,) = found(
        tmp_path, [osv("GHSA-1", "npm", name, "2.0.0")], package("npm", name, "1.0.0")
    )
    assert finding.remediation == "npm install 'x; rm -rf $HOME@2.0.0'"


def test_withdrawn_advisories_find_nothing(tmp_path: Path) -> None:
    records = [osv("GHSA-1", "npm", "a", withdrawn="2024-01-01T00:00:00Z")]
    assert found(tmp_path, records, package("npm", "a", "1.0.0")) == []


def test_the_state_of_a_package_without_a_fix_is_reported(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "x", urgency="end-of-life")]
    (finding,) = found(tmp_path, records, package("deb", "x", "1-1"))
    assert (finding.state, finding.fix_available) == ("end-of-life", FixAvailable.NO)
