"""CSAF 2.0, profile VEX (category `csaf_vex`). Source: the OASIS standard, sections 3 and 4.5."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from sidelight import __version__
from sidelight.model import VexStatus
from sidelight.report.formats.finding_statements import (
    FindingStatement,
    document_number,
    finding_statements,
    nothing_to_state,
    reading_of,
    statements_of,
)
from sidelight.report.formats.scanned_machine import FleetReading
from sidelight.report.sbom.machine_boms import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import TextIO

    from sidelight.model import Package
    from sidelight.report.formats.scanned_machine import ScannedMachine

_Stated = tuple[FindingStatement, list[str]]  # with the ids of its products
_CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")
_STATUSES: Final = {
    VexStatus.AFFECTED: "known_affected",
    VexStatus.NOT_AFFECTED: "known_not_affected",
    VexStatus.FIXED: "fixed",
}


class _StatedProducts:
    """Packages, instances and packages of instances, with the ids that statements name them by."""

    def __init__(self) -> None:
        self._packages: dict[str, tuple[str, str]] = {}
        self._instances: dict[str, str] = {}
        self._parts: dict[tuple[str, str], str] = {}

    def number(self, purl: str, package: Package, instance: str = "") -> str:
        """Return the id of a package, or of a package as a part of an instance, by its ARN."""
        name = named(f"{package.name} {package.version}", purl)
        number, _ = self._packages.setdefault(purl, (f"P{len(self._packages) + 1}", name))
        if not instance:
            return number
        whole = self._instances.setdefault(instance, f"I{len(self._instances) + 1}")
        return self._parts.setdefault((number, whole), f"{number}-{whole}")

    def document(self) -> dict[str, object]:
        """Return the product tree."""
        names = dict(self._packages.values())
        listed: list[dict[str, object]] = [
            {"product_id": number, "name": name, "product_identification_helper": {"purl": purl}}
            for purl, (number, name) in self._packages.items()
        ]
        listed += [
            {"product_id": number, "name": named(arn)} for arn, number in self._instances.items()
        ]
        tree: dict[str, object] = {"full_product_names": listed}
        if self._parts:
            instances = {number: arn for arn, number in self._instances.items()}
            tree["relationships"] = [
                {
                    "category": "installed_on",
                    "product_reference": package,
                    "relates_to_product_reference": instance,
                    "full_product_name": {
                        "product_id": number,
                        "name": named(f"{names[package]} on {instances[instance]}"),
                    },
                }
                for (package, instance), number in self._parts.items()
            ]
        return tree


def write_csaf(machine: ScannedMachine, file: TextIO) -> None:
    """Write the document of one machine. Raises SidelightError where nothing is to be stated."""
    products = _StatedProducts()
    stated: dict[str, list[_Stated]] = {}
    for item in finding_statements(machine, "CSAF"):
        ids = [products.number(purl, package) for purl, package in item.products.items()]
        stated.setdefault(item.vulnerability, []).append((item, ids))
    _write(file, _head(machine.name, machine.at, reading_of(machine)), products, stated)


def write_fleet_csaf(machines: Iterable[ScannedMachine], file: TextIO, at: datetime) -> None:
    """Write one document about packages of instances.

    Its statements are in memory: all of one vulnerability are written in one place. Raises
    SidelightError where nothing is to be stated.
    """
    products, reading = _StatedProducts(), FleetReading()
    stated: dict[str, list[_Stated]] = {}
    for machine in reading.counted(machines):
        for item in statements_of(machine):
            ids = [
                products.number(purl, package, machine.arn)
                for purl, package in item.products.items()
            ]
            stated.setdefault(item.vulnerability, []).append((item, ids))
    if not stated:
        raise nothing_to_state("fleet", "CSAF")
    _write(file, _head("fleet", at, f"scans of {reading.text()}"), products, stated)


def _write(
    file: TextIO,
    head: dict[str, object],
    products: _StatedProducts,
    stated: Mapping[str, Sequence[_Stated]],
) -> None:
    document = {
        "document": head,
        "product_tree": products.document(),
        "vulnerabilities": [_vulnerability(items) for items in stated.values()],
    }
    json.dump(document, file, indent=1)
    file.write("\n")


def _head(name: str, at: datetime, reading: str) -> dict[str, object]:
    time = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "category": "csaf_vex",
        "csaf_version": "2.0",
        "title": f"VEX of the {reading}",
        "publisher": {"category": "user", "name": "Sidelight", "namespace": "urn:sidelight:scan"},
        "notes": [{"category": "summary", "text": reading, "title": "How much was read"}],
        "tracking": {
            "id": str(document_number(name, at)),
            "status": "final",
            "version": "1",
            "initial_release_date": time,
            "current_release_date": time,
            "revision_history": [{"date": time, "number": "1", "summary": "As scanned."}],
            "generator": {"engine": {"name": "Sidelight", "version": __version__}},
        },
    }


def _vulnerability(items: Sequence[_Stated]) -> dict[str, object]:
    first = items[0][0]
    name = first.vulnerability
    document: dict[str, object] = {"cve": name}
    if not _CVE.fullmatch(name):
        document = {"ids": [{"system_name": "Sidelight", "text": name}]}
    status: dict[str, dict[str, None]] = {}
    flags: dict[tuple[str, str], list[str]] = {}
    threats: dict[tuple[str, str], list[str]] = {}
    remediations: dict[tuple[str, str], list[str]] = {}
    for item, ids in items:
        status.setdefault(_STATUSES[item.status], {}).update(dict.fromkeys(ids))
        if item.status is VexStatus.AFFECTED:
            category = "vendor_fix" if item.actions else "none_available"
            remediations.setdefault((category, item.action), []).extend(ids)
        elif item.justification:
            flags.setdefault(("label", item.justification), []).extend(ids)
        if item.text and item.status is VexStatus.NOT_AFFECTED:
            threats.setdefault(("impact", item.text), []).extend(ids)
    document["notes"] = [{"category": "description", "text": first.title or name}]
    document["product_status"] = {key: list(ids) for key, ids in status.items()}
    lists: tuple[tuple[str, list[dict[str, object]]], ...] = (
        ("flags", [{"label": label, "product_ids": ids} for (_, label), ids in flags.items()]),
        ("threats", _detailed(threats)),
        ("remediations", _detailed(remediations)),
    )
    return document | {key: value for key, value in lists if value}


def _detailed(grouped: Mapping[tuple[str, str], list[str]]) -> list[dict[str, object]]:
    return [
        {"category": category, "details": details, "product_ids": ids}
        for (category, details), ids in grouped.items()
    ]
