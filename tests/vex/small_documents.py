"""VEX documents of one statement in each format, and a machine that they are about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sidelight.model import Inventory, OperatingSystem, Status
from sidelight.vex import vex_documents
from sidelight.vex.statements import apply
from tests.fixtures.boms import CHRONY, FLASK, SSL, finding

if TYPE_CHECKING:
    from sidelight.model import Finding
    from sidelight.vex.statements import VexResult


CVE = "CVE-2024-5535"
MACHINE = Inventory(Status.COMPLETE, OperatingSystem("rhel", "9.3"), (SSL, FLASK, CHRONY))
JUSTIFICATION = "vulnerable_code_not_in_execute_path"


def openvex(**statement: object) -> dict[str, Any]:
    usual: dict[str, object] = {
        "vulnerability": {"name": CVE},
        "products": [{"@id": "pkg:deb/debian/libssl3"}],
        "status": "not_affected",
        "justification": JUSTIFICATION,
    }
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.org/vex/1",
        "author": "Example",
        "timestamp": "2026-01-02T00:00:00Z",
        "version": 1,
        "statements": [usual | statement],
    }


def cyclonedx(**analysis: object) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "components": [{"bom-ref": "ssl", "name": "libssl3", "purl": "pkg:deb/debian/libssl3"}],
        "vulnerabilities": [
            {
                "id": CVE,
                "analysis": {"state": "not_affected", "justification": "code_not_reachable"}
                | analysis,
                "affects": [{"ref": "ssl"}],
            }
        ],
    }


def csaf(status: str = "known_not_affected", **vulnerability: object) -> dict[str, Any]:
    product = {
        "product_id": "P1",
        "name": "libssl3",
        "product_identification_helper": {"purl": "pkg:deb/debian/libssl3"},
    }
    return {
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "tracking": {"current_release_date": "2026-01-02T00:00:00Z"},
        },
        "product_tree": {"branches": [{"branches": [{"product": product}]}]},
        "vulnerabilities": [
            {
                "cve": CVE,
                "product_status": {status: ["P1"]},
                "flags": [{"label": JUSTIFICATION, "product_ids": ["P1"]}],
            }
            | vulnerability
        ],
    }


def applied(*documents: dict[str, Any], findings: tuple[Finding, ...] = ()) -> VexResult:
    statements = [
        statement
        for number, document in enumerate(documents, 1)
        for statement in vex_documents.vex_statements(
            json.dumps(document).encode(), f"vex-{number}.json"
        )
    ]
    return apply(findings or (finding(SSL),), statements, MACHINE, ("disk.img",))
