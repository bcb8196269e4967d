"""Inventory x advisories -> findings. Pure: no clock, no file but the mapped database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sidelight.advisories import ecosystems, remedies, streams
from sidelight.advisories.end_of_life import LAST_DAY
from sidelight.advisories.severity import of_score
from sidelight.errors import FormatError
from sidelight.model import Finding, FixAvailable, Package, Severity
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from sidelight.advisories.database import (
        AdvisoryRecord,
        Database,
        Hit,
        VulnerabilityRecord,
    )
    from sidelight.model import Inventory, OperatingSystem

_SEVERITIES = tuple(Severity)
_REFERENCES = 10
_ANSWERS = 1 << 16  # packages whose answer a Matcher keeps
# Distributions whose feeds speak of source packages, and by whose version.
_BY_SOURCE = ("Debian:", "Ubuntu:", "Alpine:")
# Those that speak of a binary where they mend it, and of the source where they do not.
_UNFIXED_BY_SOURCE = "Red Hat:"


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Packages of which the database can say nothing, so that silence does not mean health."""

    ecosystem: str
    packages: int
    why: str


class _Verdict(NamedTuple):
    """Everything of a finding that is the same for all binaries of one source package."""

    vulnerability: str
    severity: Severity
    fixed: str
    advisories: tuple[str, ...]
    title: str
    severity_source: str
    vector: str
    score: float | None
    references: tuple[str, ...]
    vectors: tuple[tuple[str, str], ...]
    epss: float | None
    epss_percentile: float | None
    exploited_since: str
    fix_available: FixAvailable
    stream: str
    state: str


class _Rating(NamedTuple):
    """A severity and who says so; the lower `order` is the better authority."""

    order: int
    severity: Severity
    source: str


class _Question(NamedTuple):
    ecosystem: str
    name: str
    version: str
    modularity: str
    type: str
    source: str


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
        ecosystem = ecosystems.of_package(package.type, inventory.os)
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


def _nameless(package_type: str, os: OperatingSystem) -> str:
    if package_type in ecosystems.OS_TYPES and not os.id:
        return f"{package_type} of an unknown operating system"
    return package_type


def _asked(package: Package, ecosystem: str) -> tuple[str, str]:
    """The name and the version by which the ecosystem's feeds know the package."""
    if ecosystem.startswith(_BY_SOURCE):
        return package.source_name or package.name, package.source_version or package.version
    return ecosystems.normal_name(ecosystem, package.name), package.version


class Matcher:
    """Matches inventories against one database, and remembers what it found for a version."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: dict[_Question, list[_Verdict]] = {}

    def match(self, inventory: Inventory, *, today: date | None = None) -> list[Finding]:
        """As the function `match`."""
        known = self._database.ecosystems
        by_type = {
            kind: ecosystems.of_package(kind, inventory.os)
            for kind in {package.type for package in inventory.packages}
        }
        findings: list[Finding] = []
        for package in inventory.packages:
            ecosystem = by_type[package.type]
            if ecosystem in known and package.running_kernel is not False:
                self._package(package, ecosystem, findings)
        findings.sort(key=lambda item: (item.package.name, item.package.path, item.vulnerability))
        return [*discontinued(inventory.os, today), *findings]

    def _package(self, package: Package, ecosystem: str, findings: list[Finding]) -> None:
        name, version = _asked(package, ecosystem)
        source = package.source_name if ecosystem.startswith(_UNFIXED_BY_SOURCE) else ""
        question = _Question(ecosystem, name, version, package.modularity, package.type, source)
        verdicts = self._answers.get(question)
        if verdicts is None:
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
            verdicts = self._answers[question] = self._ask(question, package)
        findings.extend(_finding(package, ecosystem, verdict) for verdict in verdicts)

    def _ask(self, question: _Question, package: Package) -> list[_Verdict]:
        database = self._database
        names = [question.name, f"src:{question.source}"] if question.source else [question.name]
        hits = [hit for name in names for hit in self._hits(question, name, package)]
        by_vulnerability: dict[int, list[Hit]] = {}
        for hit in hits:
            for number in database.advisory(hit.advisory).vulnerabilities:
                by_vulnerability.setdefault(number, []).append(hit)
        return [
            self._verdict(database.vulnerability(number), found, question.ecosystem)
            for number, found in by_vulnerability.items()
        ]

    def _hits(self, question: _Question, name: str, package: Package) -> list[Hit]:
        database = self._database
        group = database.group(question.ecosystem, name)
        if group is None:
            return []
        try:
            key = sort_key(question.ecosystem, question.version)
        except FormatError:
            return []  # unmatched_ecosystems tells of it
        hits = group.hits(key)
        if not hits:
            return []
        case = streams.Case(
            group,
            package,
            question.version,
            database.labels,
            lambda number: database.advisory(number).vulnerabilities,
        )
        return streams.choose(hits, case)

    def _verdict(
        self, vulnerability: VulnerabilityRecord, hits: list[Hit], ecosystem: str
    ) -> _Verdict:
        database = self._database
        told = [(hit, database.advisory(hit.advisory)) for hit in hits]
        rating = min(_ratings(told, vulnerability, ecosystem), default=None, key=_best_rating)
        vectors = _vectors(told, vulnerability)
        fixed_hit = _last_fix(hits, ecosystem)
        without = any(not hit.fixed for hit in hits)
        label = database.labels[(fixed_hit or hits[0]).label]
        is_partial = fixed_hit is not None and (
            without or label[0].startswith(("esm", "pro", "els"))
        )
        fix = FixAvailable.NO if fixed_hit is None else FixAvailable.YES
        states = [database.labels[hit.label][2] for hit in hits]
        return _Verdict(
            vulnerability=vulnerability.id,
            severity=rating.severity if rating else Severity.UNTRIAGED,
            fixed=fixed_hit.fixed if fixed_hit else "",
            advisories=tuple(sorted({advisory.id for _hit, advisory in told})),
            title=vulnerability.title or next((a.title for _h, a in told if a.title), ""),
            severity_source=rating.source if rating else "",
            vector=vectors[0][1] if vectors else "",
            score=_score(told, vulnerability),
            references=_references(told, vulnerability.id),
            vectors=vectors,
            epss=vulnerability.epss,
            epss_percentile=vulnerability.epss_percentile,
            exploited_since=vulnerability.exploited_since,
            fix_available=FixAvailable.PARTIAL if is_partial else fix,
            stream=label[0],
            state=next((state for state in states if state), ""),
        )


_Told = list[tuple["Hit", "AdvisoryRecord"]]


def _ratings(told: _Told, vulnerability: VulnerabilityRecord, ecosystem: str) -> Iterator[_Rating]:
    """Who rates it, and with what authority.

    The distribution for this package, then the advisory that is about this CVE alone, then the
    CVE's own records, last an erratum's word on all its CVEs together.
    """
    for hit, advisory in told:
        alone = len(advisory.vulnerabilities) == 1
        if hit.severity:
            source = ecosystem.partition(":")[0]
            yield _Rating(0, _SEVERITIES[hit.severity - 1], source)
        if advisory.severity is not None:
            yield _Rating(1 if alone else 4, _SEVERITIES[advisory.severity], advisory.source)
        if advisory.score is not None:
            yield _Rating(2 if alone else 5, of_score(advisory.score), advisory.source)
    if vulnerability.score is not None:
        yield _Rating(3, of_score(vulnerability.score), vulnerability.rated_by)
    elif vulnerability.severity is not None:
        yield _Rating(3, _SEVERITIES[vulnerability.severity], vulnerability.rated_by)


def _best_rating(rating: _Rating) -> tuple[int, int, str]:
    return rating.order, -rating.severity.rank, rating.source


def _vectors(told: _Told, vulnerability: VulnerabilityRecord) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for _hit, advisory in told:
        if len(advisory.vulnerabilities) == 1:
            for vector in advisory.vectors:
                found.setdefault(vector, advisory.source)
    for source, vector in vulnerability.vectors:
        found.setdefault(vector, source)
    if not found:
        found = {vector: advisory.source for _hit, advisory in told for vector in advisory.vectors}
    return tuple((source, vector) for vector, source in found.items())


def _score(told: _Told, vulnerability: VulnerabilityRecord) -> float | None:
    for _hit, advisory in told:
        if advisory.score is not None and len(advisory.vulnerabilities) == 1:
            return advisory.score
    if vulnerability.score is not None:
        return vulnerability.score
    return next((a.score for _hit, a in told if a.score is not None), None)


def _last_fix(hits: list[Hit], ecosystem: str) -> Hit | None:
    """The hit with the latest fixed version: what satisfies every advisory."""
    fixes = [hit for hit in hits if hit.fixed]
    if len(fixes) < 2:
        return fixes[0] if fixes else None
    return max(fixes, key=lambda hit: (sort_key(ecosystem, hit.fixed), hit.fixed))


def _references(told: _Told, vulnerability: str) -> tuple[str, ...]:
    found = dict.fromkeys(url for _hit, advisory in told for url in advisory.references)
    if vulnerability.startswith("CVE-"):
        found.setdefault(f"https://www.cve.org/CVERecord?id={vulnerability}")
    return tuple(found)[:_REFERENCES]


def _finding(package: Package, ecosystem: str, verdict: _Verdict) -> Finding:
    return Finding(
        verdict.vulnerability,
        verdict.severity,
        package,
        verdict.fixed,
        verdict.advisories,
        verdict.title,
        verdict.severity_source,
        verdict.vector,
        verdict.score,
        verdict.references,
        verdict.vectors,
        verdict.epss,
        verdict.epss_percentile,
        verdict.exploited_since,
        verdict.fix_available,
        remedies.command(
            package,
            ecosystem,
            remedies.Fix(verdict.fixed, verdict.advisories, verdict.vulnerability, verdict.stream),
        ),
        ecosystem,
        verdict.stream,
        verdict.state,
    )


def discontinued(os: OperatingSystem, today: date | None) -> list[Finding]:
    """A finding that the operating system gets no updates any more, if it is so on that day."""
    ecosystem = ecosystems.of_machine(os)
    last = LAST_DAY.get(ecosystem)
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
