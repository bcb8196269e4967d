"""One machine's bill of materials: what a document is written from."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from sidelight.report.escape import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sidelight.model import Finding, Inventory, OperatingSystem, Package, SuppressedFinding

# The name space of serial numbers: one machine, scan and time have the same one everywhere.
_SERIALS: Final = uuid.UUID("6d5f4d6e-7a1b-5c0e-9b3c-0d8c2f1e5a74")
# ECMA-427's form; a purl that is not of it is left out.
_PURL: Final = re.compile(
    r"pkg:[a-z][a-z0-9.+-]{0,63}/[A-Za-z0-9._~%:/-]{1,4000}(?:@[A-Za-z0-9._~%:-]{1,2000})?"
    r"(?:\?[a-z0-9._=&A-Z~%:/-]{1,8000})?(?:#[A-Za-z0-9._~%:/-]{1,2000})?"
)
_BINARY_TYPES: Final = frozenset({"golang", "cargo", "generic"})
# Files of these types that are written by their build tools; others are programs.
_MANIFESTS: Final = frozenset(
    {"go.mod", "go.sum", "go.work", "modules.txt", "Cargo.lock", "Cargo.toml"}
)
MANIFEST, BINARY = "manifest-analysis", "binary-analysis"  # CycloneDX's techniques
MOST_PROBLEMS: Final = 100  # listed in a document; their number is always exact


@dataclass(frozen=True, slots=True)
class MachineBom:
    """A machine, its software and its findings. `name` is its id, or the images' names.

    `findings` is None where the software was not matched with advisories; `suppressed` are those
    that VEX documents take out. `taken_at` is when the
    software was read, `created_at` when the document is. What is not known is empty or None.
    """

    name: str
    inventory: Inventory
    created_at: datetime
    findings: Sequence[Finding] | None = None
    account: str = ""
    region: str = ""
    instance: str = ""
    image: str = ""
    architecture: str = ""
    platform: str = ""
    scan: str = ""
    taken_at: datetime | None = None
    serial: uuid.UUID | None = None
    suppressed: Sequence[SuppressedFinding] = ()
    is_vex: bool = False  # then each vulnerability has an analysis

    @property
    def serial_number(self) -> uuid.UUID:
        """The document's number; without a given one it is a function of machine and time."""
        if self.serial is not None:
            return self.serial
        identity = (self.account, self.region, self.instance, self.name, self.scan)
        text = "\0".join((*identity, self.created_at.isoformat()))
        return uuid.uuid5(_SERIALS, text.encode("utf-8", "backslashreplace").decode())

    def properties(self) -> Iterator[tuple[str, str]]:
        """Yield names and values of what is known of the machine and its scan.

        The names without a prefix are those of Inspector's exports.
        """
        inventory = self.inventory
        pairs = (
            ("accountId", self.account),
            ("imageId", self.image),
            ("architecture", self.architecture),
            ("resourceType", "AWS_EC2_INSTANCE" if self.instance else ""),
            ("sidelight:region", self.region),
            ("sidelight:instance", self.instance),
            ("sidelight:platform", self.platform),
            ("sidelight:scan", self.scan),
            ("sidelight:taken_at", "" if self.taken_at is None else utc(self.taken_at)),
            ("sidelight:status", inventory.status.value),
            ("sidelight:matched", "no" if self.findings is None else "yes"),
        )
        yield from ((name, value) for name, value in pairs if value)
        yield from (("sidelight:left_out", text) for text in inventory.left_out[:MOST_PROBLEMS])
        yield from (("sidelight:skipped", text) for text in inventory.skipped)
        if inventory.problems:
            yield "sidelight:problems", str(len(inventory.problems))
        for problem in inventory.problems[:MOST_PROBLEMS]:
            yield "sidelight:problem", f"{problem.where}: {problem.what}"


class BomComponent(NamedTuple):
    """A package with its reference in the document, and how it was found."""

    reference: str
    package: Package
    purl: str
    technique: str


class ComponentDependencies(NamedTuple):
    """The references of the packages that one requires; None where they are not known."""

    reference: str
    requires: Sequence[str] | None


def components(inventory: Inventory) -> Iterator[BomComponent]:
    """Yield each package with a reference that is unique, and the same in every document."""
    seen: dict[str, int] = {}
    for package in inventory.packages:
        key = package_key(package)
        number = seen[key] = seen.get(key, 0) + 1
        reference = key if number == 1 else f"{key}-{number}"
        yield BomComponent(reference, package, valid_purl(package.purl), technique_of(package))


def dependencies(inventory: Inventory) -> Iterator[ComponentDependencies]:
    """Yield each package with those that it requires, in their order."""
    references = [component.reference for component in components(inventory)]
    for reference, requires in zip_longest(references, inventory.dependencies):
        known = None if requires is None else [references[index] for index in requires]
        yield ComponentDependencies(reference, known)


def package_key(package: Package) -> str:
    """Return 32 hexadecimal digits of what identifies a package on its machine."""
    parts = (package.purl, package.type, package.name, package.version, package.arch, package.path,
             package.layer)  # fmt: skip
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


def valid_purl(purl: str) -> str:
    """Return a purl; empty for a text that is not one, or whose name is blank once decoded."""
    if not _PURL.fullmatch(purl):
        return ""
    name = re.split("[@?#]", purl, maxsplit=1)[0].rpartition("/")[2]
    return purl if unquote(name).strip().strip("/") else ""


def technique_of(package: Package) -> str:
    """Return how the package was found, in CycloneDX's terms."""
    name = package.path.rpartition("/")[2]
    return BINARY if package.type in _BINARY_TYPES and name not in _MANIFESTS else MANIFEST


def package_properties(package: Package) -> Iterator[tuple[str, str]]:
    """Yield names and values of what the formats have no member for."""
    pairs: tuple[tuple[str, str | bool | None], ...] = (
        ("path", package.path), ("type", package.type), ("arch", package.arch),
        ("source_name", package.source_name), ("source_version", package.source_version),
        ("modularity", package.modularity), ("layer", package.layer), ("direct", package.direct),
        ("dev", package.dev), ("running_kernel", package.running_kernel),
    )  # fmt: skip
    for name, value in pairs:
        if value is not None and value != "":
            text = value if isinstance(value, str) else str(value).lower()
            yield f"sidelight:{name}", text


def system_properties(system: OperatingSystem) -> Iterator[tuple[str, str]]:
    """Yield names and values of os-release that the formats have no member for."""
    for name, value in (("codename", system.codename), ("id_like", system.id_like)):
        if value:
            yield f"sidelight:{name}", value


def named(text: str, otherwise: str = "unnamed") -> str:
    """Return a text of a disk as an inert one that is not empty."""
    return printable(text).strip() or otherwise


def utc(time: datetime) -> str:
    """Return a time as `2026-01-31T12:00:00Z`, which both formats ask for."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
