"""Golden files: awkward records as their publishers have them, and what is found by each.

What is expected was found by reading the record, by hand. (`test_real_records` has ranges.)
"""

from __future__ import annotations

import json
import lzma
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.matching import match
from sidelight.model import Inventory, OperatingSystem, Package, Status

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.model import Finding

pytestmark = pytest.mark.conformance

FIXTURES = "os-native/vuls-data-update-fixtures"
BULLSEYE = OperatingSystem(id="debian", version_id="11")
JAMMY = OperatingSystem(id="ubuntu", version_id="22.04")
ALMA_10 = OperatingSystem(id="almalinux", version_id="10.0")
AMAZON_2 = OperatingSystem(id="amzn", version_id="2")
AMAZON_2023 = OperatingSystem(id="amzn", version_id="2023")
RHEL_9 = OperatingSystem(id="rhel", version_id="9.2")
MAGICK = "8:6.9.11.60+dfsg-1.3ubuntu0.22.04"


class Golden(NamedTuple):
    """A record of a feed (of a list of files, those that have one), and what it finds of a build.

    `found` is (vulnerability, version that fixes, severity, state, stream); no tuple: nothing.
    """

    what: str
    feeds: tuple[str, ...]
    ids: tuple[str, ...]
    os: OperatingSystem
    package: tuple[str, str, str]
    found: tuple[str, str, str, str, str] | None


_NPM = ("osv/npm.ghsa-osv",)
_PYSEC = ("osv/pypi.pysec-osv",)
_DEBIAN = ("osv/debian-11-12-13.osv",)
_ALMA = ("osv/almalinux-8-9-10.osv",)
_GO = ("osv/go.vulndb-osv", "osv/go.ghsa-osv")
_UBUNTU = ("os-native/ubuntu-cve-tracker-focal-jammy-noble",)
_AMAZON = ("os-native/amazon-linux-2-2022-2023.alas",)
_INSIGHT = ("CVE-2018-1000023", "", "MEDIUM", "", "")
_KEYSTONE = ("CVE-2018-20170", "14.1.0", "UNTRIAGED", "", "")
_PODMAN = ("CVE-2025-6032", "6:5.4.0-12.el10_0", "HIGH", "", "")
_GPAC = ("CVE-2022-2453", "", "HIGH", "end-of-life", "")
_IMAP = ("CVE-2002-1782", "7:2002ddebian1-2", "INFORMATIONAL", "", "")
_ESM = ("CVE-2023-5341", f"{MAGICK}.3+esm3", "MEDIUM", "", "esm-apps")
_EXTRA = ("CVE-2022-1270", "1.3.38-1.amzn2.0.5", "HIGH", "", "extras/GraphicsMagick1.3")
_GIN = ("CVE-2020-36567", "1.6.0", "HIGH", "", "")

GOLDEN = [
    Golden("last_affected, its end", _NPM, ("GHSA-8p2p-p8mg-x3cw",), BULLSEYE,
           ("npm", "insight-api", "5.0.0"), _INSIGHT),
    Golden("last_affected, beyond it", _NPM, ("GHSA-8p2p-p8mg-x3cw",), BULLSEYE,
           ("npm", "insight-api", "5.0.1"), None),
    Golden("introduced 0", _NPM, ("GHSA-8p2p-p8mg-x3cw",), BULLSEYE,
           ("npm", "insight-api", "0.0.0-alpha"), _INSIGHT),
    Golden("disputed: reported all the same", _PYSEC, ("PYSEC-2018-9",), BULLSEYE,
           ("pypi", "keystone", "14.0.1"), _KEYSTONE),
    Golden("disputed, fixed", _PYSEC, ("PYSEC-2018-9",), BULLSEYE,
           ("pypi", "keystone", "14.1.0"), None),
    Golden("withdrawn by its text", _NPM, ("GHSA-8p5q-j9m2-g8wr",), BULLSEYE,
           ("npm", "lodash", "4.17.21"), None),
    Golden("withdrawn by its field", _GO, ("GO-2022-0617",), BULLSEYE,
           ("golang", "k8s.io/kubernetes", "v1.20.0"), None),
    Golden("withdrawn, of RustSec", ("osv/crates.rustsec-osv",), ("RUSTSEC-2020-0053",), BULLSEYE,
           ("cargo", "dirs", "2.0.2"), None),
    Golden("two records of one CVE", _GO, ("GO-2020-0001", "GHSA-6vm3-jj99-7229"), BULLSEYE,
           ("golang", "github.com/gin-gonic/gin", "v1.5.0"), _GIN),
    Golden("an epoch, below it", _ALMA, ("ALSA-2025:10549",), ALMA_10,
           ("rpm", "podman-docker", "5:6.0.0-1.el10"), _PODMAN),
    Golden("an epoch, the fix", _ALMA, ("ALSA-2025:10549",), ALMA_10,
           ("rpm", "podman-docker", "6:5.4.0-12.el10_0"), None),
    Golden("no fix, end of life", _DEBIAN, ("CVE-2022-2453",), BULLSEYE,
           ("deb", "gpac", "1.0.1+dfsg1-4+deb11u3"), _GPAC),
    Golden("unimportant", _DEBIAN, ("CVE-2002-1782",), BULLSEYE,
           ("deb", "uw-imap", "7:2001adebian-6"), _IMAP),
    Golden("ESM has a later fix than an ESM build", _UBUNTU, ("CVE-2023-5341",), JAMMY,
           ("deb", "imagemagick", f"{MAGICK}.3+esm2"), _ESM),
    Golden("ESM's fix", _UBUNTU, ("CVE-2023-5341",), JAMMY,
           ("deb", "imagemagick", f"{MAGICK}.3+esm3"), None),
    Golden("an extra's line", _AMAZON, ("ALAS2GRAPHICSMAGICK1.3-2023-001", "ALAS2023-2024-532"),
           AMAZON_2, ("rpm", "GraphicsMagick", "1.3.38-1.amzn2.0.4"), _EXTRA),
    Golden("another system's core", _AMAZON, ("ALAS2GRAPHICSMAGICK1.3-2023-001",),
           AMAZON_2023, ("rpm", "GraphicsMagick", "1.3.36-1.amzn2023.0.1"), None),
]  # fmt: skip


def _findings(
    folder: Path, sources: list[Path], os: OperatingSystem, package: tuple[str, str, str]
) -> list[Finding]:
    build(sources, folder / "db")
    kind, name, version = package
    with AdvisoryDatabase.open(folder / "db") as database:
        installed = (Package(kind, name, version, "/", ""),)
        found = match(Inventory(Status.COMPLETE, os, installed), database)
        return [finding for finding in found if finding.package.name == name]


def _facts(finding: Finding) -> tuple[str, str, str, str, str]:
    return (
        finding.vulnerability,
        finding.fixed_version,
        finding.severity.value,
        finding.state,
        finding.stream,
    )


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.what)
def test_a_real_record_finds_what_it_says(
    shared_data: Path, tmp_path: Path, golden: Golden
) -> None:
    records: list[dict[str, Any]] = []
    for feed in golden.feeds:
        with lzma.open(shared_data / "advisories" / f"{feed}.jsonl.xz", "rt") as stream:
            parsed = map(json.loads, stream)
            records += [item for item in parsed if (item.get("id") or item["ID"]) in golden.ids]
    assert len(records) == len(golden.ids)
    (tmp_path / "feed.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in records))
    findings = _findings(tmp_path, [tmp_path / "feed.jsonl"], golden.os, golden.package)
    if golden.found is None:
        assert findings == []
    else:
        assert golden.found in map(_facts, findings)
        names = [finding.vulnerability for finding in findings]
        assert len(names) == len(set(names))  # one finding a CVE, from any publisher


def test_all_sources_of_a_cve_are_named(shared_data: Path, tmp_path: Path) -> None:
    names = ("GO-2020-0001", "GHSA-6vm3-jj99-7229")
    feed = tmp_path / "feed.jsonl"
    with feed.open("w") as out:
        for source in _GO:
            with lzma.open(shared_data / "advisories" / f"{source}.jsonl.xz", "rt") as stream:
                out.writelines(line for line in stream if json.loads(line)["id"] in names)
    package = ("golang", "github.com/gin-gonic/gin", "v1.5.0")
    (finding,) = _findings(tmp_path, [feed], BULLSEYE, package)
    assert set(finding.advisories) >= set(names)


def test_debians_tracker_without_a_dsa_is_affected_and_says_why(
    shared_data: Path, tmp_path: Path
) -> None:
    """CVE-2016-5416 is open and ignored; CVE-2012-0833 never affected; CVE-2016-5405 is fixed."""
    (feed,) = (shared_data / "advisories" / FIXTURES).glob("debian/tracker/api/**/advisory.json")
    found = _findings(tmp_path, [feed], BULLSEYE, ("deb", "389-ds-base", "1.4.4.11-2"))
    assert [(item.vulnerability, item.fixed_version, item.state) for item in found] == [
        ("CVE-2016-5416", "", "ignored")
    ]


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ("0:5.14.0-70.100.1.el9_0", "5.14.0-70.101.1.el9_0"),
        ("0:5.14.0-70.101.1.el9_0", None),
        ("0:7.0.0-284.61.1.el9_2", "7.0.0-284.62.1.el9_2"),
        ("0:7.0.0-284.62.1.el9_2", None),
    ],
)
def test_an_extended_release_of_red_hats_vex_decides_for_its_builds(
    shared_data: Path, tmp_path: Path, version: str, fixed: str | None
) -> None:
    (feed,) = (shared_data / "advisories" / FIXTURES).glob("redhat/vex/**/vex-archive.tar.zst")
    found = _findings(tmp_path, [feed], RHEL_9, ("rpm", "bpftool", version))
    fixed_versions = {item.vulnerability: item.fixed_version for item in found}
    assert fixed_versions.get("CVE-2023-6240") == fixed
