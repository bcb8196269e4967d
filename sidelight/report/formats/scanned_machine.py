"""What the formats say of a machine and its findings, each in its own words."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sidelight.model import InstanceRef, Status
from sidelight.report import inspector_terms
from sidelight.report.escape import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sidelight.model import Finding, Inventory, NetworkFinding, SuppressedFinding

MAX_TEXT: Final = 1000  # characters of a title
_WEB: Final = re.compile(r"https?://[^/?#\s]")
MAX_PROBLEMS: Final = 1000  # that a document lists one by one


@dataclass(frozen=True, slots=True)
class ScannedMachine:
    """A machine by its name, what was read of it, and its findings, the worst first."""

    name: str
    inventory: Inventory
    findings: Sequence[Finding]
    at: datetime
    version: str  # of Sidelight
    suppressed: Sequence[SuppressedFinding] = ()  # by VEX, the ignore file, or a fleet's rules
    network: Sequence[NetworkFinding] = ()  # of an instance
    account: str = ""  # of an instance, as the Region
    region: str = ""

    @property
    def arn(self) -> str:
        """The instance's ARN; empty for a machine that is not an instance."""
        if not self.account:
            return ""
        return InstanceRef(self.account, self.region, self.name).arn


class FleetReading:
    """Counts the machines of a document while they pass: how many were read, and in whole."""

    def __init__(self) -> None:
        self._machines = 0
        self._whole = 0

    def counted(self, machines: Iterable[ScannedMachine]) -> Iterator[ScannedMachine]:
        """Yield the machines."""
        for machine in machines:
            self._machines += 1
            self._whole += machine.inventory.status is Status.COMPLETE
            yield machine

    @property
    def is_whole(self) -> bool:
        """Whether there were machines, and all of them were read in whole."""
        return 0 < self._machines == self._whole

    def text(self, form: str = "") -> str:
        """Return the sum, once all have passed; `form` is that of its numbers, as of `format`."""
        machines, others = (format(n, form) for n in (self._machines, self._machines - self._whole))
        return f"{machines} instances, of which {others} were not scanned, or only in part"


def problem_lines(machine: ScannedMachine) -> list[str]:
    """Return what could not be read, a line each: MAX_PROBLEMS lines, and one for all others."""
    problems = machine.inventory.problems
    lines = [printable(f"{item.where}: {item.what}") for item in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"{len(problems) - MAX_PROBLEMS} more problems")
    return lines


def skipped_lines(machine: ScannedMachine) -> list[str]:
    """Return what `--skip-dirs` left out, a line for each glob."""
    return [printable(f"left out by --skip-dirs: {text}") for text in machine.inventory.skipped]


def suppression_of(item: SuppressedFinding) -> str:
    """Return why a finding is suppressed, and by which document, on one line."""
    reason = f"{item.status.value}: {item.reason}" if item.reason else item.status.value
    return printable(f"{reason} ({item.source})", MAX_TEXT)


def title_of(finding: Finding) -> str:
    """Return what a finding is about, on one line."""
    return printable(finding.title or finding.headline, MAX_TEXT)


def sentence_of(finding: Finding) -> str:
    """Return package, version, vulnerability and fix in one sentence."""
    package = finding.package
    what = f"{package.name} {package.version} has {finding.vulnerability}"
    fix = f"fixed in {finding.fixed_version}" if finding.fixed_version else "no fix is known"
    return printable(f"{what}; {fix}.", MAX_TEXT)


def network_sentence(finding: NetworkFinding) -> str:
    """Return what can be reached, and how to close it, in one text."""
    return printable(f"{finding.title}. {finding.remediation}".strip(), MAX_TEXT)


def remedy_of(finding: Finding) -> str:
    """Return the command or the version that closes a finding, "" where none is known."""
    command = inspector_terms.affected(finding).remediation
    if command:
        return printable(command, MAX_TEXT)
    name = finding.package.name
    version = finding.fixed_version
    return printable(f"Upgrade {name} to {version}.", MAX_TEXT) if version else ""


def path_of(finding: Finding) -> str:
    """Return the file that names the package, as a relative URI reference."""
    return quote(_encoded(finding.package.path.lstrip("/")), safe="/") or "."


def identity_of(machine: str, finding: Finding) -> str:
    """Return 64 hexadecimal digits that are the same for the same finding of a later scan."""
    package = finding.package
    parts = (machine, finding.vulnerability, package.type, package.name, package.arch, package.path)
    text = "\0".join((*parts, package.layer))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def network_identity(machine: str, finding: NetworkFinding) -> str:
    """Return 64 hexadecimal digits that are the same for the same port of a later evaluation."""
    parts = (machine, finding.protocol, finding.ports, finding.interface, finding.edge_id)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def links_of(finding: Finding, most: int = 20) -> list[str]:
    """Return the web addresses among a finding's references."""
    web = (item for item in finding.references if _WEB.match(item))
    return [quote(_encoded(item), safe=":/?#[]@!$&'()*+,;=%~") for item in web][:most]


def _encoded(text: str) -> bytes:
    """Return the bytes of a path on a disk; of text with other surrogates, some bytes for it."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
