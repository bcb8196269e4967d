"""Microsoft's feeds and the judgement of Windows Server: by build, and by installed updates."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.feeds.formats import cve_records, msrc_csaf, windows_rows
from sidelight.errors import DamagedError
from sidelight.matching import MachineLookups, match, unmatched_ecosystems
from sidelight.model import (
    Advisory,
    Finding,
    FindingRow,
    FindingStatus,
    Severity,
    VulnerabilityFact,
)
from sidelight.report.inspector2_documents import finding_document
from tests.advisories.windows_documents import (
    AUGUST,
    CRITICAL,
    MONTHS,
    Fix,
    csaf,
    cve_record,
    cvrf,
    database,
    server,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def named(findings: Iterable[Finding]) -> dict[str, tuple[str, ...]]:
    return {finding.vulnerability: finding.advisories for finding in findings}


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> AdvisoryDatabase:
    return database(tmp_path_factory.mktemp("months"))


def test_a_build_lacks_the_updates_with_higher_builds_each_with_its_cves(
    months: AdvisoryDatabase,
) -> None:
    assert named(match(server(5936), months)) == {
        "KB5040430": ("CVE-2024-0002",),
        "KB5041578": ("CVE-2024-0003", "CVE-2024-38063"),
    }


@given(revision=st.integers(0, 9999))
def test_an_update_is_lacking_exactly_if_its_build_is_higher(
    months: AdvisoryDatabase, revision: int
) -> None:
    expected = {f"KB{fix.update}" for fix in MONTHS if int(fix.build.rpartition(".")[2]) > revision}

    assert named(match(server(revision), months)).keys() == expected


def test_an_update_has_the_severity_of_its_worst_cve_and_any_exploit(
    months: AdvisoryDatabase,
) -> None:
    (finding,) = match(server(6100), months)

    assert finding.severity is Severity.CRITICAL
    assert (finding.cvss_vector, finding.exploited_since) == (CRITICAL, "2024-08-13")
    assert finding.fixed_version == "10.0.17763.6189"
    assert finding.remediation == "Install KB5041578 or a later cumulative update"
    assert finding.references[0] == "https://support.microsoft.com/help/5041578"


def test_inspectors_document_of_an_update_names_it_and_relates_its_cves(
    months: AdvisoryDatabase,
) -> None:
    (finding,) = match(server(6100), months)
    now = datetime(2026, 11, 29, tzinfo=UTC)
    row = FindingRow(
        1, "123456789012", "us-east-1", "i-1", FindingStatus.ACTIVE, now, now, finding, now
    )

    document = finding_document(row, None)

    details = document["packageVulnerabilityDetails"]
    assert document["title"] == "KB5041578 - Windows Server 2019"
    assert details["vulnerabilityId"] == "KB5041578"
    assert details["relatedVulnerabilities"] == ["CVE-2024-0003", "CVE-2024-38063"]
    (package,) = details["vulnerablePackages"]
    assert (package["packageManager"], package["fixedInVersion"]) == ("OS", "10.0.17763.6189")


def test_without_a_revision_installed_updates_contain_what_they_supersede(
    months: AdvisoryDatabase,
) -> None:
    assert named(match(server(updates=["5040430"]), months)).keys() == {"KB5041578"}


def test_supersedence_holds_without_any_build(tmp_path: Path) -> None:
    known = database(tmp_path, [fix._replace(build="") for fix in MONTHS])

    assert named(match(server(updates=["5040430"]), known)).keys() == {"KB5041578"}


@pytest.mark.parametrize(
    ("updates", "why"),
    [
        ([], "neither the build's revision (UBR) nor the installed updates are known"),
        (["4049065"], "no installed update is in the database"),
    ],
)
def test_unknown_updates_are_reported_and_are_neither_all_nor_none(
    months: AdvisoryDatabase, updates: list[str], why: str
) -> None:
    inventory = server(updates=updates)

    assert match(inventory, months) == []
    unmatched = unmatched_ecosystems(inventory, months)
    assert any(why in item.why and item.coverable for item in unmatched)


def test_a_product_without_advisories_is_reported(months: AdvisoryDatabase) -> None:
    inventory = server(5000, name="Windows Server 2008")

    unmatched = unmatched_ecosystems(inventory, months)

    assert any(item.ecosystem == "Windows Server 2008" for item in unmatched)


def test_windows_for_clients_is_not_judged_by_the_servers_advisories(
    months: AdvisoryDatabase,
) -> None:
    inventory = server(1, name="Windows 10")

    assert match(inventory, months) == []
    assert any(not item.coverable for item in unmatched_ecosystems(inventory, months))


def test_a_later_update_without_a_build_counts_where_the_installed_ones_are_known(
    tmp_path: Path,
) -> None:
    apart = Fix("CVE-2024-0009", "5012170", day="2024-07-09")
    old = Fix("CVE-2018-0001", "4471332", day="2018-12-11")
    known = database(tmp_path, [*MONTHS, apart, old])

    assert named(match(server(9999, ["5041578"]), known)).keys() == {"KB5012170"}
    assert not match(server(9999, ["5041578", "5012170"]), known)


def test_what_is_looked_up_names_the_product_and_the_installed_updates() -> None:
    inventory = server(1, ["5012170"])
    (system,) = [package for package in inventory.packages if package.type == "windows"]

    assert MachineLookups(inventory.os).names_of(system) == {
        ("Windows", "Windows Server 2019"),
        ("Windows", "KB5012170"),
    }


def test_cve_records_give_build_ranges_and_csaf_the_updates_names(tmp_path: Path) -> None:
    ranges = [("Windows Server 2019", "10.0.17763.0", "10.0.17763.6189")]
    (tmp_path / "record.json").write_text(json.dumps(cve_record("CVE-2024-38063", ranges)))
    build([tmp_path / "record.json"], tmp_path / "a.db")
    records = AdvisoryDatabase.open(tmp_path / "a.db")
    (tmp_path / "csaf.json").write_text(json.dumps(csaf(AUGUST)))
    build([tmp_path / "record.json", tmp_path / "csaf.json"], tmp_path / "b.db")
    both = AdvisoryDatabase.open(tmp_path / "b.db")

    assert named(match(server(6000), records)).keys() == {"Windows-10.0.17763.6189"}
    assert named(match(server(6000), both)) == {"KB5041578": ("CVE-2024-38063",)}
    assert not match(server(6189), both)


def test_csaf_names_the_product_the_build_and_the_update() -> None:
    record = csaf(AUGUST)

    assert msrc_csaf.recognises(record)
    (advisory,) = msrc_csaf.parse(record)
    assert isinstance(advisory, Advisory)
    (row,) = advisory.affected
    assert (row.name, row.stream) == ("Windows Server 2019", "KB5041578")
    assert row.intervals[0].end == "10.0.17763.6189"


def test_a_cve_record_of_another_authority_is_a_fact_and_a_rejected_one_withdrawn() -> None:
    other = cve_record("CVE-2024-1", [], assignerShortName="redhat")
    other["cveMetadata"]["cveId"] = "CVE-2024-1111"
    rejected = cve_record("CVE-2024-2222", [], state="REJECTED")

    assert list(cve_records.parse(other)) == [
        VulnerabilityFact("CVE-2024-1111", "CVE", title="a title")
    ]
    assert list(cve_records.parse(rejected)) == [Advisory("CVE-2024-2222", "CVE", withdrawn=True)]


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("Windows Server 2022", "Windows Server 2022"),
        ("Windows Server 2019 (Server Core installation)", "Windows Server 2019"),
        ("Windows Server 2019  (Server Core installation)", "Windows Server 2019"),
        ("Windows Server 2012 R2 (Server Core installation)", "Windows Server 2012 R2"),
        (
            "Windows Server 2022, 23H2 Edition (Server Core installation)",
            "Windows Server 23H2",
        ),
        ("Windows Server, version 20H2 (Server Core Installation)", ""),
        ("Windows Server, version 20H2 (Server Core installation)", "Windows Server 20H2"),
        ("Windows Server 2022 Datacenter: Azure Edition (Hotpatch)", ""),
        ("Windows 10 Version 1809 for x64-based Systems", ""),
        ("Microsoft .NET Framework 4.8 on Windows Server 2019", ""),
        ("Adobe Flash Player on Windows Server 2016", ""),
    ],
)
def test_a_product_is_the_system_itself_or_none(name: str, product: str) -> None:
    assert windows_rows.product(name) == product


@pytest.mark.parametrize(
    "text",
    [
        b"<cvrf:cvrfdoc xmlns:cvrf='http://c'/>",
        cvrf(MONTHS)[:-300],
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><cvrfdoc>&b;</cvrfdoc>",
        cvrf(MONTHS).replace(b"<vuln:CVE>CVE-2024-0001</vuln:CVE>", b""),
    ],
    ids=["no product", "cut off", "an entity", "no name"],
)
def test_a_damaged_month_ends_the_build(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "feed.xml").write_bytes(text)

    with pytest.raises(DamagedError):
        build([tmp_path / "feed.xml"], tmp_path / "advisories.db")
