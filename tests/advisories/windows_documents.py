"""Documents of Microsoft's feeds, made of a few facts each, and servers that they judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from xml.sax.saxutils import escape

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.inventory.ssm.items import InventoryItem
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sidelight.model import Inventory

_NAMESPACES = 'xmlns:cvrf="http://cvrf" xmlns:vuln="http://vuln" xmlns:prod="http://prod"'


class Fix(NamedTuple):
    """One update that fixes one CVE in one product."""

    cve: str
    update: str
    product: str = "Windows Server 2019"
    build: str = ""
    supersedes: str = ""
    vector: str = ""
    day: str = "2024-08-13"
    exploited: bool = False


def cvrf(fixes: Iterable[Fix]) -> bytes:
    """A month's CVRF document."""
    fixes = list(fixes)
    products = {name: str(number) for number, name in enumerate({fix.product for fix in fixes})}
    parts = [f"<cvrf:cvrfdoc {_NAMESPACES}><prod:ProductTree>"]
    parts += [
        f'<prod:FullProductName ProductID="{number}">{escape(name)}</prod:FullProductName>'
        for name, number in products.items()
    ]
    parts.append("</prod:ProductTree>")
    by_cve: dict[str, list[Fix]] = {}
    for fix in fixes:
        by_cve.setdefault(fix.cve, []).append(fix)
    for cve, same in by_cve.items():
        parts.append(f"<vuln:Vulnerability><vuln:CVE>{cve}</vuln:CVE>")
        exploited = "Yes" if same[0].exploited else "No"
        parts.append(
            '<vuln:Threats><vuln:Threat Type="Exploit Status"><vuln:Description>'
            f"Publicly Disclosed:No;Exploited:{exploited}</vuln:Description></vuln:Threat>"
            '<vuln:Threat Type="Severity"><vuln:Description>Important</vuln:Description>'
            "</vuln:Threat></vuln:Threats>"
        )
        if same[0].vector:
            parts.append(
                "<vuln:CVSSScoreSets><vuln:ScoreSet><vuln:Vector>"
                f"{same[0].vector}</vuln:Vector></vuln:ScoreSet></vuln:CVSSScoreSets>"
            )
        parts.append("<vuln:Remediations>")
        parts += [
            f'<vuln:Remediation Type="Vendor Fix"><vuln:Description>{fix.update}</vuln:Description>'
            f"<vuln:Supercedence>{fix.supersedes}</vuln:Supercedence>"
            f"<vuln:ProductID>{products[fix.product]}</vuln:ProductID>"
            f"<vuln:FixedBuild>{fix.build}</vuln:FixedBuild></vuln:Remediation>"
            for fix in same
        ]
        parts.append("</vuln:Remediations><vuln:RevisionHistory><vuln:Revision>")
        parts.append(f"<cvrf:Date>{same[0].day}T07:00:00</cvrf:Date></vuln:Revision>")
        parts.append("</vuln:RevisionHistory></vuln:Vulnerability>")
    parts.append("</cvrf:cvrfdoc>")
    return "".join(parts).encode()


def csaf(fix: Fix) -> dict[str, Any]:
    """A CSAF document of one vulnerability."""
    return {
        "document": {
            "category": "csaf_security_advisory",
            "publisher": {"name": "Microsoft Security Response Center"},
            "tracking": {
                "id": f"msrc_{fix.cve}",
                "initial_release_date": f"{fix.day}T07:00:00.000Z",
                "current_release_date": f"{fix.day}T07:00:00.000Z",
            },
        },
        "product_tree": {
            "branches": [
                {
                    "category": "product_name",
                    "name": fix.product,
                    "branches": [
                        {
                            "category": "product_version_range",
                            "name": f"<{fix.build}",
                            "product": {"product_id": "1", "name": fix.product},
                        },
                        {
                            "category": "product_version",
                            "name": fix.build,
                            "product": {"product_id": "11568", "name": fix.product},
                        },
                    ],
                }
            ]
        },
        "vulnerabilities": [
            {
                "cve": fix.cve,
                "title": "Windows TCP/IP Remote Code Execution Vulnerability",
                "product_status": {"known_affected": ["1"], "fixed": ["11568"]},
                "remediations": [
                    {
                        "category": "vendor_fix",
                        "product_ids": ["1"],
                        "details": f"{fix.build}:Security Update:"
                        f"https://support.microsoft.com/help/{fix.update}",
                        "url": f"https://support.microsoft.com/help/{fix.update}",
                    }
                ],
                "scores": [{"cvss_v3": {"vectorString": fix.vector}, "products": ["1"]}],
            }
        ],
    }


def cve_record(cve: str, ranges: Iterable[tuple[str, str, str]], **metadata: str) -> dict[str, Any]:
    """A CVE record, version 5; `ranges` are (product, from, below)."""
    return {
        "dataType": "CVE_RECORD",
        "cveMetadata": {
            "cveId": cve, "assignerShortName": "microsoft", "state": "PUBLISHED", **metadata,
        },
        "containers": {
            "cna": {
                "title": "a title",
                "affected": [
                    {
                        "product": product,
                        "versions": [{"version": low, "lessThan": end, "status": "affected"}],
                    }
                    for product, low, end in ranges
                ],
                "metrics": [],
            }
        },
    }  # fmt: skip


HIGH = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O/RC:C"
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
KEY = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
# Three months of Windows Server 2019: each cumulative update supersedes the one before.
JUNE = Fix("CVE-2024-0001", "5039217", build="10.0.17763.5936", day="2024-06-11", vector=HIGH)
JULY = Fix(
    "CVE-2024-0002", "5040430", build="10.0.17763.6054", supersedes="5039217", day="2024-07-09"
)
AUGUST = Fix(
    "CVE-2024-38063", "5041578", build="10.0.17763.6189", supersedes="5040430", vector=CRITICAL
)
AUGUST_TOO = AUGUST._replace(cve="CVE-2024-0003", vector=HIGH, exploited=True)
MONTHS = (JUNE, JULY, AUGUST, AUGUST_TOO)


def server(
    revision: int | None = None, updates: Iterable[str] = (), name: str = "Windows Server 2019"
) -> Inventory:
    """The inventory of a server whose agent sends these data."""
    types: dict[str, list[dict[str, str]]] = {"AWS:Application": [{"Name": "7-Zip"}]}
    if revision is not None:
        types["AWS:WindowsRegistry"] = [
            {"KeyPath": KEY, "ValueName": "CurrentBuild", "Value": "17763"},
            {"KeyPath": KEY, "ValueName": "UBR", "Value": str(revision)},
        ]
    if updates:
        types["AWS:WindowsUpdate"] = [{"HotFixId": f"KB{update}"} for update in updates]
    items = {name: InventoryItem(name, entries) for name, entries in types.items()}
    platform = Platform(f"Microsoft {name} Datacenter", "10.0.17763", "Windows")
    return read(items, platform).inventory


def database(folder: Path, fixes: Iterable[Fix] = MONTHS) -> AdvisoryDatabase:
    (folder / "feed.xml").write_bytes(cvrf(fixes))
    build([folder / "feed.xml"], folder / "advisories.db")
    return AdvisoryDatabase.open(folder / "advisories.db")
