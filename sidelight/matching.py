"""Inventory x advisories -> findings. Pure: no clock, no file but the mapped database."""

from __future__ import annotations

import gc
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from sidelight.advisories import ecosystems, streams
from sidelight.advisories.verdicts import Answer, Judge
from sidelight.errors import FormatError
from sidelight.model import Exposure, Finding, Package, Severity, untold
from sidelight.versions import sort_key
from sidelight.versions.rpm import without_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from sidelight.advisories.database import Database
    from sidelight.advisories.group import Hit
    from sidelight.model import Inventory, OperatingSystem

_BY_NAME = attrgetter("name", "path", "version")
_ANSWERS = 1 << 16  # packages whose answer a Matcher keeps
# Distributions whose feeds speak of source packages, and by whose version.
_SIGNED = "linux-signed"
_SIGNED_KERNEL = re.compile(r"linux-signed(?:-(?:amd64|arm64|i386)$)?")
_BY_SOURCE = ("Debian:", "Ubuntu:", "Alpine:", "Chainguard", "Wolfi")
# Those that speak of binaries and also of `src:<name>`: Red Hat where there is no fix yet, Rocky
# Linux's OSV always, by the source's own version, without an epoch.
_ALSO_BY_SOURCE = ("Red Hat:", "Rocky Linux:")


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Packages of which the database can say nothing, so that silence does not mean health."""

    ecosystem: str
    packages: int
    why: str


class _Question(NamedTuple):
    ecosystem: str
    name: str
    version: str
    modularity: str
    type: str
    source: str
    source_version: str


def match(inventory: Inventory, database: Database, *, today: date | None = None) -> list[Finding]:
    """The findings of one machine, sorted by package and vulnerability.

    With `today`, an operating system that gets no updates any more on that day is a finding too.
    For many machines, one Matcher is faster.
    """
    return Matcher(database).match(inventory, today=today)


def unmatched_ecosystems(inventory: Inventory, database: Database) -> tuple[Unmatched, ...]:
    """What `match` cannot answer for: ecosystems without advisories, versions without an order."""
    known = database.ecosystems
    missing: Counter[str] = Counter()
    refused: dict[str, list[str]] = {}
    for package in inventory.packages:
        if _is_of_a_container(package):
            missing[f"{package.type} in {package.layer}"] += 1
            continue
        ecosystem = _ecosystem(package, inventory.os)
        if ecosystem not in known:
            missing[ecosystem or _nameless(package.type, inventory.os)] += 1
            continue
        _name, version = _asked(package, ecosystem)
        try:
            sort_key(ecosystem, version)
        except FormatError:
            refused.setdefault(ecosystem, []).append(f"{package.name} {version}".strip())
    found = [
        Unmatched(name, count, "the database has no advisories for it")
        for name, count in missing.items()
    ]
    found += [
        Unmatched(name, len(items), f"versions that have no order: {', '.join(items[:5])}")
        for name, items in refused.items()
    ]
    own = ecosystems.of_machine(inventory.os)
    if own and own not in known and own not in missing:
        found.append(Unmatched(own, 0, "the database has no advisories for it"))
    return tuple(sorted(found, key=lambda item: (item.ecosystem, item.why)))


def questions(inventory: Inventory) -> frozenset[tuple[str, str]]:
    """The (ecosystem, name) of all that `match` looks up for an inventory, in any database.

    An inventory none of whose questions is among a `Changes.packages` keeps its findings.
    """
    return frozenset().union(*(asked(package, inventory.os) for package in inventory.packages))


def asked(package: Package, os: OperatingSystem) -> frozenset[tuple[str, str]]:
    """The same of one package; none where no database has an answer for it."""
    if package.running_kernel is False or _is_of_a_container(package):
        return frozenset()
    ecosystem = _ecosystem(package, os)
    if not ecosystem:
        return frozenset()
    names = {(ecosystem, _asked(package, ecosystem)[0])}
    if package.source_name and ecosystem.startswith(_ALSO_BY_SOURCE):
        names.add((ecosystem, f"src:{package.source_name}"))
    return frozenset(names)


def _is_of_a_container(package: Package) -> bool:
    """Whether it is an operating system's package, but not of the machine's operating system."""
    return bool(package.layer) and package.type in ecosystems.OS_TYPES


def _nameless(package_type: str, os: OperatingSystem) -> str:
    if package_type in ecosystems.OS_TYPES and not os.id:
        return f"{package_type} of an unknown operating system"
    return package_type


def _ecosystem(package: Package, os: OperatingSystem) -> str:
    """The ecosystem whose feeds speak of the package, "" where none does."""
    _built_from, release = ecosystems.backport(package.version)
    return ecosystems.of_package(package.type, os, package.vendor, release)


def _asked(package: Package, ecosystem: str) -> tuple[str, str]:
    """The name and the version by which the ecosystem's feeds know the package."""
    if ecosystem.startswith(_BY_SOURCE):
        name = package.source_name or package.name
        version = package.source_version or package.version
        if name.startswith(_SIGNED):
            # The signed kernel is built from a package of its own, with versions of its own; the
            # binary has the version of the kernel proper, of which the feeds speak.
            name, version = _SIGNED_KERNEL.sub("linux", name), package.version
        if ecosystem.startswith("Debian:"):
            version, _release = ecosystems.backport(version)
        return name, version
    return ecosystems.normal_name(ecosystem, package.name), package.version


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """No cyclic garbage collection meanwhile.

    Thousands of findings are made at once and none is part of a cycle; each full collection that
    they set off would walk the whole process's objects, which took half of the time of a match.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Matcher:
    """Matches inventories against one database, and remembers what it found for a version."""

    def __init__(self, database: Database, exposure: Exposure = Exposure.UNKNOWN) -> None:
        """`exposure` is that of the machines, for their findings' scores."""
        self._database = database
        self._judge = Judge(database, exposure)
        self._answers: dict[_Question, Answer] = {}

    def match(self, inventory: Inventory, *, today: date | None = None) -> list[Finding]:
        """As the function `match`."""
        with _collector_at_rest():
            return self._match(inventory, today)

    def _match(self, inventory: Inventory, today: date | None) -> list[Finding]:
        known = self._database.ecosystems
        findings: list[Finding] = []
        for package in sorted(inventory.packages, key=_BY_NAME):
            ecosystem = _ecosystem(package, inventory.os)
            if (
                ecosystem in known
                and package.running_kernel is not False
                and not _is_of_a_container(package)
            ):
                answer = self._package(package, ecosystem)
                if answer.hits:
                    findings += untold(package, answer.tell, answer.hits)
        return [*discontinued(inventory.os, today, self._database), *findings]

    def _package(self, package: Package, ecosystem: str) -> Answer:
        name, version = _asked(package, ecosystem)
        source = source_version = ""
        if package.source_name and ecosystem.startswith(_ALSO_BY_SOURCE):
            source, source_version = package.source_name, package.source_version or version
        question = _Question(
            ecosystem, name, version, package.modularity, package.type, source, source_version
        )
        answer = self._answers.get(question)
        if answer is None:
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
                self._judge.forget()
            answer = Answer(self._judge, ecosystem, self._ask(question, package))
            self._answers[question] = answer
        return answer

    def _ask(self, question: _Question, package: Package) -> dict[int, list[Hit]]:
        """The hits by vulnerability, in the order of their names."""
        names = [(question.name, question.version)]
        if question.source:
            names.append((f"src:{question.source}", without_epoch(question.source_version)))
        found: dict[int, list[Hit]] = {}
        for name, version in names:
            for hit, about in self._hits(question, name, version, package):
                alone = [hit]  # one list for all that a single erratum mends
                for number in about:
                    known = found.get(number)
                    found[number] = alone if known is None else [*known, hit]
        return {number: found[number] for number in sorted(found)}

    def _hits(
        self, question: _Question, name: str, version: str, package: Package
    ) -> list[streams.Told]:
        database = self._database
        group = database.group(question.ecosystem, name)
        if group is None:
            return []
        try:
            key = sort_key(question.ecosystem, version)
        except FormatError:
            return []  # unmatched_ecosystems tells of it
        hits = group.hits(key)
        if not hits:
            return []
        case = streams.Case(group, question.ecosystem, package, question.version, database)
        return streams.choose(hits, case)


def discontinued(os: OperatingSystem, today: date | None, database: Database) -> list[Finding]:
    """A finding that the operating system gets no updates any more, if it is so on that day."""
    ecosystem = ecosystems.of_machine(os)
    major = os.version_id.partition(".")[0]
    last = database.last_day(f"{os.id}:{major}", ecosystem)
    if today is None or last is None or today <= last:
        return []
    package = Package(
        type="os",
        name=os.id,
        version=os.version_id,
        path="/etc/os-release",
        purl=f"pkg:generic/{os.id}@{os.version_id}",
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
