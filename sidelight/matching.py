"""Inventory x advisories -> findings. Pure: no clock, and no file except the mapped database."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from sidelight import vendors
from sidelight.advisories import ecosystems
from sidelight.advisories.feeds.whole_documents import also_named
from sidelight.advisories.judge import kernel_packages, streams, windows_updates
from sidelight.advisories.judge.verdicts import Judge, VersionHits
from sidelight.errors import FormatError
from sidelight.gc_pause import uncollected
from sidelight.inventory.purl import format_purl, is_of_public_registry
from sidelight.model import (
    Exposure,
    Finding,
    OperatingSystem,
    Package,
    Severity,
    lazy_findings,
)
from sidelight.versions import sort_key
from sidelight.versions.rpm import without_epoch

if TYPE_CHECKING:
    from datetime import date

    from sidelight.advisories.database.package_rows import Hit
    from sidelight.advisories.database.reader import AdvisoryDatabase
    from sidelight.model import Inventory

_BY_NAME = attrgetter("name", "path", "version")
_ANSWERS = 1 << 16  # the most packages whose hits a Matcher caches
_DISTRO = re.compile(r"[?&]distro=([^&#]*)")
_SIGNED = "linux-signed"
_SIGNED_KERNEL = re.compile(r"linux-signed(?:-(?:amd64|arm64|i386)$)?")
# Distributions whose feeds name source packages, with the source's version.
_BY_SOURCE = (
    *("Debian:", "Ubuntu:", "Echo", "Alpine:", "Alpaquita:", "BellSoft Hardened Containers:"),
    *("Chainguard", "CleanStart", "MinimOS", "Wolfi"),
)
# Distributions whose feeds name binaries and also `src:<name>`: Red Hat if there is no fix yet,
# Rocky Linux's OSV always, with the source's own version, without an epoch.
_ALSO_BY_SOURCE = ("Red Hat:", "Rocky Linux:")
# Distributions whose feeds name source packages, binaries or both, without distinguishing them.
# Where a system says who it is, if not in os-release.
_RELEASE_FILES = {
    "macos": "/System/Library/CoreServices/SystemVersion.plist",
    "windows-server": r"C:\Windows\System32\ntoskrnl.exe",
}
_WITH_LONG_TERM = ("SUSE:", "SUSE Micro:")
_BY_EITHER = ("Azure Linux:", "Mageia:", "Photon OS:", "openEuler:")


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Packages that the database cannot match, so that no finding does not mean not vulnerable.

    Not `coverable`: no feed has advisories for packages of this type, vendor or origin, so no
    database ever will. Most machines have some. The files in another vendor's packages, for
    example jars and programs, are matched as any other file.
    """

    ecosystem: str
    packages: int
    why: str
    coverable: bool = True


class _Question(NamedTuple):
    ecosystem: str
    name: str
    version: str
    modularity: str
    type: str
    source: str
    source_version: str


def match(
    inventory: Inventory, database: AdvisoryDatabase, *, today: date | None = None
) -> list[Finding]:
    """Return the findings of one machine, sorted by package and vulnerability.

    With `today`, an operating system that gets no updates any more on that day is a finding too.
    For many machines, one Matcher is faster.
    """
    return Matcher(database).match(inventory, today=today)


def unmatched_ecosystems(inventory: Inventory, database: AdvisoryDatabase) -> tuple[Unmatched, ...]:
    """Return what `match` cannot cover: ecosystems without advisories, versions without order."""
    known = database.ecosystems
    missing: Counter[str] = Counter()
    suppliers: dict[str, list[str]] = {}
    uncovered: Counter[str] = Counter()
    refused: dict[str, list[str]] = {}
    uncoverable: Counter[tuple[str, str]] = Counter()
    for package in inventory.packages:
        os = _system(package, inventory.os)
        if supplier := _supplier(package, os):
            suppliers.setdefault(supplier, []).append(package.name)
            continue
        ecosystem = _ecosystem(package, os)
        if not ecosystem and package.type not in ecosystems.OS_TYPES:
            uncovered[_nameless(package, os)] += 1
            continue
        if ecosystem not in known:
            missing[_where(package, ecosystem or _nameless(package, os))] += 1
            continue
        name, version = _asked(package, ecosystem)
        if why := _not_judged(package, name, database):
            uncoverable[package.name, why] += 1
            continue
        try:
            sort_key(ecosystem, version)
        except FormatError:
            refused.setdefault(ecosystem, []).append(f"{package.name} {version}".strip())
    unmatched = [
        Unmatched(name, count, "the database has no advisories for it")
        for name, count in missing.items()
    ]
    unmatched += [
        Unmatched(name, count, "no feed has advisories for packages of this type", coverable=False)
        for name, count in uncovered.items()
    ]
    unmatched += [
        Unmatched(vendor, len(names), _by_another_vendor(names), coverable=False)
        for vendor, names in suppliers.items()
    ]
    unmatched += [
        Unmatched(name, len(items), f"versions that have no order: {', '.join(items[:5])}")
        for name, items in refused.items()
    ]
    unmatched += [Unmatched(name, count, why) for (name, why), count in uncoverable.items()]
    own = ecosystems.of_machine(inventory.os)
    if own and own not in known and own not in missing:
        unmatched.append(Unmatched(own, 0, "the database has no advisories for it"))
    return tuple(sorted(unmatched, key=lambda item: (item.ecosystem, item.why)))


def _not_judged(package: Package, name: str, database: AdvisoryDatabase) -> str:
    """Return why a system that is one package cannot be judged, "" if it can, or is another."""
    if package.type == "windows":
        return windows_updates.why_not(package, database)
    if package.type in ecosystems.WHOLE_SYSTEMS and database.group("macOS", name) is None:
        return "the database has no advisories for it"
    return ""


def questions(inventory: Inventory) -> frozenset[tuple[str, str]]:
    """Return every (ecosystem, name) that `match` looks up for an inventory, in any database.

    If none of them is among a `Changes.packages`, the inventory keeps its findings.
    """
    return frozenset().union(*(asked(package, inventory.os) for package in inventory.packages))


def asked(package: Package, os: OperatingSystem) -> frozenset[tuple[str, str]]:
    """Return the same for one package; empty if no database can match it."""
    ecosystem = _asked_of(package, os)
    if not ecosystem:
        return frozenset()
    name, version = _asked(package, ecosystem)
    source = _source_asked(package, ecosystem, name, version)[0]
    names = {name, source, *also_named(ecosystem, name)}
    if package.type == "windows":
        names |= windows_updates.installed(package)
    return frozenset((ecosystem, item) for item in names if item)


def _asked_of(package: Package, os: OperatingSystem) -> str:
    """Return the ecosystem in which `match` looks the package up, "" if in none."""
    system = _system(package, os)
    if (
        package.running_kernel is False
        or _supplier(package, system)
        or kernel_packages.is_meta(package)
    ):
        return ""
    return _ecosystem(package, system)


def _is_of_a_container(package: Package) -> bool:
    """Return whether it is an operating system's package, but not of the machine's own system."""
    return bool(package.layer) and package.type in ecosystems.OS_TYPES


def _system(package: Package, os: OperatingSystem) -> OperatingSystem:
    """Return a package's operating system: the machine's, or that of a container's root.

    A root's system is in the package's purl (`distro=debian-12`); without a release file it is
    unknown.
    """
    return _system_of_root(package.purl) if _is_of_a_container(package) else os


@lru_cache(maxsize=1 << 12)
def _system_of_root(purl: str) -> OperatingSystem:
    match = _DISTRO.search(purl)
    distro = unquote(match[1]) if match else ""
    if distro in ecosystems.ROLLING:
        return OperatingSystem(id=distro)
    identity, _dash, version = distro.rpartition("-")
    return OperatingSystem(id=identity or distro, version_id=version if identity else "")


def _supplier(package: Package, os: OperatingSystem) -> str:
    if package.type not in ecosystems.OS_TYPES:
        return ""
    return vendors.supplier(package.type, package.vendor, package.version, os)


def _is_public(package: Package) -> bool:
    """Return whether advisories about its name apply to it: not for packages of another origin."""
    return package.type not in ecosystems.LANGUAGES or is_of_public_registry(package.purl)


def _by_another_vendor(names: list[str]) -> str:
    distinct = sorted(set(names))
    shown = ", ".join(distinct[:5]) + (", …" if len(distinct) > 5 else "")
    return f"no feed has advisories for this vendor's builds ({shown})"


def _where(package: Package, name: str) -> str:
    return f"{name} in {package.layer}" if _is_of_a_container(package) else name


def _nameless(package: Package, os: OperatingSystem) -> str:
    if package.type in ecosystems.OS_TYPES and not os.id and not package.layer:
        return f"{package.type} of an unknown operating system"
    if not _is_public(package):
        return f"{package.type} from elsewhere than the public registry"
    return package.type


def _ecosystem(package: Package, os: OperatingSystem) -> str:
    """Return the ecosystem whose feeds cover the package, "" if none does."""
    if not _is_public(package):
        return ""
    return ecosystems.of_package(package.type, os, package.vendor, package.version)


def _source_asked(package: Package, ecosystem: str, name: str, version: str) -> tuple[str, str]:
    """Return the second name and version to look up, those of its source; "" for none."""
    if not package.source_name:
        return "", ""
    source_version = package.source_version or version
    if ecosystem.startswith(_ALSO_BY_SOURCE):
        return f"src:{package.source_name}", without_epoch(source_version)
    if ecosystem.startswith(_BY_EITHER) and package.source_name != name:
        return package.source_name, source_version
    return "", ""


def _asked(package: Package, ecosystem: str) -> tuple[str, str]:
    """Return the package's name and version in the ecosystem's feeds."""
    if ecosystem.startswith(_BY_SOURCE):
        name = package.source_name or package.name
        version = package.source_version or package.version
        if name.startswith(_SIGNED):
            # The signed kernel is built from a separate package with separate versions; the
            # binary has the version of the kernel proper, which the feeds use.
            name, version = _SIGNED_KERNEL.sub("linux", name), package.version
        if ecosystem.startswith("Debian:"):
            version, _release = ecosystems.backport(version)
        return name, version
    if package.type == "macos":  # advisories are by major version
        return f"{package.name} {package.version.partition('.')[0]}", package.version
    return ecosystems.normal_name(ecosystem, package.name), package.version


class Matcher:
    """Matches inventories with one database, and caches the hits of each package version."""

    def __init__(self, database: AdvisoryDatabase, exposure: Exposure = Exposure.UNKNOWN) -> None:
        """`exposure` is the machines' exposure, for their findings' scores."""
        self._database = database
        self._judge = Judge(database, exposure)
        self._answers: dict[_Question, VersionHits] = {}

    def match(self, inventory: Inventory, *, today: date | None = None) -> list[Finding]:
        """As the function `match`."""
        # A match creates thousands of findings at once. Each full collection that they trigger
        # would walk all objects of the process, which took half of a match's time.
        with uncollected():
            return self._match(inventory, today)

    def _match(self, inventory: Inventory, today: date | None) -> list[Finding]:
        known = self._database.ecosystems
        answers: list[tuple[Package, VersionHits | windows_updates.UpdateHits]] = []
        for package in sorted(inventory.packages, key=_BY_NAME):
            ecosystem = _asked_of(package, inventory.os)
            if ecosystem in known:
                answer = self._package(package, ecosystem)
                if answer.hits:
                    answers.append((package, answer))
        findings: list[Finding] = []
        of_images = kernel_packages.of_images((package, answer.hits) for package, answer in answers)
        for package, answer in answers:
            hits = kernel_packages.not_the_images(package, answer.hits, of_images)
            findings += lazy_findings(package, answer.members, hits)
        return [*discontinued(inventory.os, today, self._database), *findings]

    def _package(
        self, package: Package, ecosystem: str
    ) -> VersionHits | windows_updates.UpdateHits:
        if package.type == "windows":
            return windows_updates.update_hits(package, self._database, self._judge)
        name, version = _asked(package, ecosystem)
        question = _Question(
            ecosystem,
            name,
            version,
            package.modularity,
            package.type,
            *_source_asked(package, ecosystem, name, version),
        )
        answer = self._answers.get(question)
        if answer is None:
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
                self._judge.forget()
            answer = VersionHits(self._judge, ecosystem, self._ask(question, package))
            self._answers[question] = answer
        return answer

    def _ask(self, question: _Question, package: Package) -> dict[int, list[Hit]]:
        """Return the hits by vulnerability, in the order of the vulnerabilities' ids."""
        names = [(question.name, question.version)]
        names += [
            (whole, question.version) for whole in also_named(question.ecosystem, question.name)
        ]
        if question.source:
            names.append((question.source, question.source_version))
        hits_by_number: dict[int, list[Hit]] = {}
        for name, version in names:
            for hit, about in self._hits(question, name, version, package):
                alone = [hit]  # one list for all vulnerabilities that a single erratum fixes
                for number in about:
                    known = hits_by_number.get(number)
                    hits_by_number[number] = alone if known is None else [*known, hit]
        return {number: hits_by_number[number] for number in sorted(hits_by_number)}

    def _hits(
        self, question: _Question, name: str, version: str, package: Package
    ) -> list[streams.HitVulnerabilities]:
        database = self._database
        group = database.group(question.ecosystem, name)
        if group is None:
            return []
        try:
            key = sort_key(question.ecosystem, version)
        except FormatError:
            return []  # unmatched_ecosystems reports it
        hits = group.hits(key)
        if not hits:
            return []
        case = streams.StreamCase(group, question.ecosystem, package, question.version, database)
        return streams.choose(hits, case)


def discontinued(
    os: OperatingSystem, today: date | None, database: AdvisoryDatabase
) -> list[Finding]:
    """Return a finding if the operating system gets no updates any more on that day.

    A system with long-term advisories in the database, as SUSE's LTSS, is not at its end.
    """
    ecosystem = ecosystems.of_machine(os)
    major = os.version_id.partition(".")[0]
    last = database.last_day(f"{os.id}:{major}", ecosystem)
    if today is None or last is None or today <= last:
        return []
    if ecosystem.startswith(_WITH_LONG_TERM) and database.latest(ecosystem) > last.isoformat():
        return []  # long-term support continues the same line of versions (docs/decisions/0014)
    package = Package(
        type="os",
        name=os.id,
        version=os.version_id,
        path=_RELEASE_FILES.get(os.id, "/etc/os-release"),
        purl=format_purl("generic", "", os.id, os.version_id),
    )
    name = os.pretty_name or f"{os.id} {os.version_id}"
    return [
        Finding(
            vulnerability=f"END-OF-LIFE-{os.id}-{os.version_id}",
            severity=Severity.CRITICAL,
            package=package,
            fixed_version="",
            advisories=(),
            title=f"{name} has got no security updates since {last.isoformat()}",
            severity_source="Sidelight",
            ecosystem=ecosystem,
            state="end-of-life",
        )
    ]
