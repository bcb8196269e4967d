"""Every update of Windows Server 2016 to 2025, and two real servers with a second opinion.

The second opinion goes by product name and supersedence, and differs in three ways, each held here:
it lists CVEs that have no update at all (no KB), products beside Windows (.NET, Office), and of
updates that others supersede only the newest.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.feeds.formats import msrc_csaf, msrc_cvrf, windows_rows
from sidelight.inventory.ssm.items import InventoryItem
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform
from sidelight.matching import match
from tests.advisories.windows_documents import Fix, cve_record, cvrf

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.model import Inventory

pytestmark = pytest.mark.conformance
KEY = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
SERVERS = ["srv_2016_1607_datacenter_en-us", "srv_2019_rtm_datacenter_en-us"]


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "control-plane" / "windows"


def table(path: Path) -> list[list[str]]:
    text = lzma.decompress(path.read_bytes()).decode()
    return list(csv.reader(io.StringIO(text)))


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    head, *lines = table(folder / "kb-history/server-kb-cve-supersedes.2026-06-28.csv.xz")
    return [dict(zip(head, line, strict=True)) for line in lines]


@pytest.fixture(scope="module")
def older(rows: list[dict[str, str]]) -> dict[str, set[str]]:
    """By update, the updates that it supersedes directly, of Windows itself."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if windows_rows.product(row["AffectedProduct"]) and row["Supersedes"]:
            found.setdefault(row["BulletinKB"], set()).add(row["Supersedes"])
    return found


@pytest.fixture(scope="module")
def history(
    rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> AdvisoryDatabase:
    folder = tmp_path_factory.mktemp("history")
    fixes = [
        Fix(row["CVE"], row["BulletinKB"], row["AffectedProduct"], supersedes=row["Supersedes"])
        for row in rows
        if row["CVE"] and row["BulletinKB"]
    ]
    (folder / "feed.xml").write_bytes(cvrf(dict.fromkeys(fixes)))
    build([folder / "feed.xml"], folder / "advisories.db")
    return AdvisoryDatabase.open(folder / "advisories.db")


def closure(updates: set[str], older: dict[str, set[str]]) -> set[str]:
    """All updates that these supersede, themselves included: written without the code's own."""
    known: set[str] = set()
    left = set(updates)
    while left:
        known |= left
        left = set().union(*(older.get(update, set()) for update in left)) - known
    return known


def inventory(host: dict[str, Any], **registry: str) -> Inventory:
    types = {
        "AWS:Application": [{"Name": "7-Zip", "Version": "24.08"}],
        "AWS:WindowsUpdate": [{"HotFixId": update} for update in host.get("hotfixes", [])],
        "AWS:WindowsRegistry": [
            {"KeyPath": KEY, "ValueName": name, "Value": value} for name, value in registry.items()
        ],
    }
    items = {name: InventoryItem(name, entries) for name, entries in types.items()}
    return read(items, Platform(host["os_name"], host["os_version"], "Windows")).inventory


@pytest.mark.parametrize("name", SERVERS)
def test_a_real_server_lacks_what_the_second_opinion_lists_and_explains_the_rest(
    name: str, folder: Path, history: AdvisoryDatabase, older: dict[str, set[str]]
) -> None:
    host = json.loads((folder / f"kb-history/{name}.host.json").read_text())
    other = table(folder / f"kb-history/{name}.missing.csv.xz")

    findings = match(inventory(host), history)

    own_pairs = {
        (cve, finding.vulnerability.removeprefix("KB"))
        for finding in findings
        for cve in finding.advisories
    }
    other_pairs = {
        (cve, update)
        for cve, update, product in other
        if windows_rows.product(product) and cve.startswith("CVE-") and update
    }
    # 1. Each CVE with an update that they list for Windows itself, we list under that update.
    assert other_pairs <= own_pairs
    # 2. An update that only we list is superseded by one that they list, or the feed's chain of
    #    supersedence ends at it, since Microsoft never listed the next update of that chain.
    listed = closure({update for _cve, update in other_pairs}, older)
    superseded = set().union(*older.values())
    extra = {update for _cve, update in own_pairs} - listed
    heads = {update for update in extra if update not in superseded}
    assert extra <= closure(heads, older)
    # 3. No update is lacking that is installed, or that an installed one supersedes.
    installed = closure({update.removeprefix("KB") for update in host["hotfixes"]}, older)
    assert not {update for _cve, update in own_pairs} & installed
    # 4. What they list without an update are products, or CVEs, that no update fixes.
    known = {update for _cve, update, product in other if windows_rows.product(product)}
    assert {update for update in known if update} <= {update for _cve, update in own_pairs} | {
        update for cve, update, _product in other if not cve.startswith("CVE-")
    }


@pytest.mark.parametrize(
    ("update", "year"),
    [("4013429", 2016), ("4480116", 2019), ("5022286", 2019), ("5029250", 2022), ("5044281", 2022)],
)
def test_an_installed_update_contains_its_whole_chain(
    update: str, year: int, history: AdvisoryDatabase, older: dict[str, set[str]]
) -> None:
    host = {"os_name": f"Microsoft Windows Server {year} Standard", "os_version": "10.0.17763",
            "hotfixes": [f"KB{update}"]}  # fmt: skip

    lacking = {
        finding.vulnerability.removeprefix("KB") for finding in match(inventory(host), history)
    }

    assert lacking
    assert not lacking & closure({update}, older)


def test_every_build_range_of_a_cve_divides_affected_from_fixed(
    folder: Path, tmp_path: Path
) -> None:
    sample = json.loads((folder / "build-ranges-CVE-2024-38063.json").read_text())
    ranges = [(item["product"], item["from"], item["lessThan"]) for item in sample["affected"]]
    (tmp_path / "record.json").write_text(json.dumps(cve_record(sample["cve"], ranges)))
    build([tmp_path / "record.json"], tmp_path / "advisories.db")
    database = AdvisoryDatabase.open(tmp_path / "advisories.db")
    checked = set()
    for product, _first, end in ranges:
        if not windows_rows.product(product):
            continue
        line, _dot, revision = end.rpartition(".")
        name = windows_rows.product(product)
        for number, affected in ((int(revision) - 1, True), (int(revision), False)):
            host = {"os_name": f"Microsoft {name} Datacenter", "os_version": line}
            values = {"CurrentBuild": line.rpartition(".")[2], "UBR": str(number)}
            findings = match(inventory(host, **values), database)
            assert bool(findings) is affected, (product, number)
            checked.add(name)

    assert {"Windows Server 2016", "Windows Server 2019", "Windows Server 2022"} <= checked


def test_real_months_and_documents_of_microsoft_are_read(folder: Path) -> None:
    root = folder / "vuls-data-update/pkg/fetch/microsoft"
    found: dict[str, set[str]] = {}
    for path in sorted((root / "cvrf/testdata/fixtures").rglob("20??-*")):
        with path.open("rb") as stream:
            for parsed in msrc_cvrf.parse(stream):
                found.setdefault(parsed.id, set())
                found[parsed.id] |= {row.stream for row in getattr(parsed, "affected", ())}
    for path in sorted((root / "csaf/testdata/fixtures").rglob("msrc_*.json")):
        document = json.loads(path.read_text())
        assert msrc_csaf.recognises(document)
        for parsed in msrc_csaf.parse(document):
            found.setdefault(parsed.id, set())

    assert {"CVE-2016-0088", "CVE-2024-21392", "CVE-2025-29795", "CVE-2025-29806"} <= found.keys()
