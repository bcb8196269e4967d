"""A machine's findings as VEX statements: one for each vulnerability, status and reason.

An active finding is `affected`, with what to do. A suppressed one has the status by which VEX
suppressed it. What the user ignores is affected: nobody stated that it is not.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sidelight.errors import SidelightError
from sidelight.model import VexStatus
from sidelight.report.escape import printable
from sidelight.report.formats.scanned_machine import remedy_of, skipped_lines, suppression_of
from sidelight.report.sbom.machine_boms import named, valid_purl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sidelight.model import Finding, Package
    from sidelight.report.formats.scanned_machine import ScannedMachine

_DOCUMENTS: Final = uuid.UUID("b8e1f0c2-3c5d-5b7e-9d14-7c0f5a6e2b91")
# Ids of databases that have one vulnerability an entry; an erratum of a distribution has several.
_ALIASES: Final = ("GHSA-", "PYSEC-", "RUSTSEC-", "GO-")
NO_FIX: Final = "No fix is known."


@dataclass(slots=True)
class FindingStatement:
    """What is stated of one vulnerability in some packages, by purl."""

    vulnerability: str
    aliases: tuple[str, ...]
    title: str
    status: VexStatus
    justification: str
    text: str
    actions: list[str] = field(default_factory=list)
    products: dict[str, Package] = field(default_factory=dict)

    @property
    def action(self) -> str:
        """What to do, in one text."""
        return " ".join(dict.fromkeys(self.actions)) or NO_FIX


def finding_statements(machine: ScannedMachine, form: str) -> list[FindingStatement]:
    """Return the statements of one machine as `statements_of`.

    Raises SidelightError where there is none: a document of the format has at least one.
    """
    found = statements_of(machine)
    if not found:
        raise nothing_to_state(machine.name, form)
    return found


def nothing_to_state(where: str, form: str) -> SidelightError:
    """Return the error of a document without a statement."""
    what = f"has no finding, and a document of {form} has at least one statement"
    return SidelightError(what, where=where)


def statements_of(machine: ScannedMachine) -> list[FindingStatement]:
    """Return the statements, those of affected packages first.

    Packages at several paths may share a purl, and one of them be suppressed: the product is
    affected then, since no document may state both.
    """
    found: dict[tuple[str, ...], FindingStatement] = {}
    stated: dict[tuple[str, str], tuple[str, ...]] = {}
    for key, statement, finding in _each(machine):
        product = product_of(finding.package)
        if stated.setdefault((statement.vulnerability, product), key) != key:
            continue
        kept = found.setdefault(key, statement)
        kept.products.setdefault(product, finding.package)
        kept.actions += statement.actions
    return list(found.values())


def _each(
    machine: ScannedMachine,
) -> Iterator[tuple[tuple[str, ...], FindingStatement, Finding]]:
    for finding in machine.findings:
        statement = _statement(finding, VexStatus.AFFECTED, "", "", remedy_of(finding))
        yield (finding.vulnerability, statement.status), statement, finding
    for item in sorted(machine.suppressed, key=lambda one: one.status is not VexStatus.IGNORED):
        finding, text = item.finding, printable(item.statement)
        if item.status is VexStatus.IGNORED:
            action = suppression_of(item)
            statement = _statement(finding, VexStatus.AFFECTED, "", "", action)
        else:
            why = item.justification
            reason = text or ("" if why else f"stated in {printable(item.source)}")
            statement = _statement(finding, item.status, why, reason, "")
        key = (finding.vulnerability, statement.status, statement.justification, statement.text)
        yield (key[:2] if statement.status is VexStatus.AFFECTED else key), statement, finding


def _statement(
    finding: Finding, status: VexStatus, justification: str, text: str, action: str
) -> FindingStatement:
    return FindingStatement(
        named(finding.vulnerability),
        tuple(printable(name) for name in finding.advisories
              if name.startswith(_ALIASES) and name != finding.vulnerability),
        named(finding.title or finding.headline),
        status,
        justification,
        text,
        [action] if action else [],
    )  # fmt: skip


def product_of(package: Package) -> str:
    """Return a package's purl; one of type `generic` for a package without a valid one."""
    name, version = (quote(printable(text), safe="") for text in (package.name, package.version))
    made_up = f"pkg:generic/{name or 'unnamed'}" + (f"@{version}" if version else "")
    return valid_purl(package.purl) or made_up


def document_number(name: str, at: datetime) -> uuid.UUID:
    """Return a document's number, a function of a machine's or a fleet's name and of the time."""
    text = f"{name}\0{at.isoformat()}"
    return uuid.uuid5(_DOCUMENTS, text.encode("utf-8", "backslashreplace").decode())


def reading_of(machine: ScannedMachine) -> str:
    """Return how much of the machine was read: a VEX document has no other place for it."""
    inventory = machine.inventory
    problems = f", {len(inventory.problems)} problems" if inventory.problems else ""
    skipped = "".join(f", {line}" for line in skipped_lines(machine))
    return f"scan of {printable(machine.name)}: {inventory.status.value}{problems}{skipped}"
