"""Windows Server: which updates a machine lacks, and one finding for each with its CVEs.

With the build's revision (UBR) a fix counts if the build is at least the fixed one. Without it the
installed updates decide: closed under supersedence, they name the highest build that the machine
has, since an update of Windows contains all before it. Where neither is known nothing is judged,
and `why_not` says so: "no data" is never "nothing installed" and never "all installed".
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from sidelight.advisories.database.package_rows import Hit
from sidelight.model import FindingType, FixAvailable
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.advisories.database.package_rows import PackageRows
    from sidelight.advisories.database.reader import AdvisoryDatabase
    from sidelight.advisories.judge.verdicts import Judge, Verdict
    from sidelight.model import Package

ECOSYSTEM: Final = "Windows"
MAX_CLOSURE: Final = 20_000  # updates that installed ones supersede
_INSTALLED = re.compile(r"[?&]kb=([0-9,%C]*)")
_REVISION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_REFERENCES = 10


def installed(package: Package) -> frozenset[str]:
    """Return the installed updates (`KB5041160`) that a package of type `windows` names."""
    match = _INSTALLED.search(package.purl)
    listed = unquote(match[1]).split(",") if match else []
    return frozenset(f"KB{number}" for number in listed if number)


def why_not(package: Package, database: AdvisoryDatabase) -> str:
    """Return why a machine's Windows cannot be judged, "" if it can."""
    group = database.group(ECOSYSTEM, package.name)
    if group is None:
        return "the database has no advisories for it"
    if _has_revision(package):
        return ""
    updates = installed(package)
    if not updates:
        return "neither the build's revision (UBR) nor the installed updates are known"
    named = {database.labels[label][0] for _advisory, label, _text in group.fixes()}
    if named.isdisjoint(_closed(updates, database)):
        return "the build's revision (UBR) is not known, and no installed update is in the database"
    return ""


def lacking(package: Package, database: AdvisoryDatabase) -> dict[str, list[Hit]]:
    """Return the rows that apply to a machine by the update that fixes them, sorted.

    A fix without a known update goes by its build: `Windows-10.0.20348.2700`.
    """
    group = database.group(ECOSYSTEM, package.name)
    if group is None or why_not(package, database):
        return {}
    product = _Product(group, database)
    updates = installed(package)
    own = _key(package.version) if _has_revision(package) else b""
    present, reached = product.present(updates, own)
    found: dict[str, set[Hit]] = {}
    for advisory, label, update, end in product.rows:
        if update in present or (end and _key(end) <= reached):
            continue
        if not end and own and not (updates and product.is_apart(advisory)):
            continue
        name = update or f"{ECOSYSTEM}-{end}"
        found.setdefault(name, set()).add(Hit(advisory, label, 0, end or update))
    return {name: sorted(found[name]) for name in sorted(found)}


class _Product:
    """The rows of one product: advisory, label, update and first fixed build."""

    def __init__(self, group: PackageRows, database: AdvisoryDatabase) -> None:
        rows = [
            (advisory, label, database.labels[label][0], text)
            for advisory, label, text in group.fixes()
        ]
        builds = {update: text for _a, _l, update, text in rows if update and text}
        by_build = {text: update for update, text in builds.items()}
        self.rows = [
            (advisory, label, update or by_build.get(text, ""), text or builds.get(update, ""))
            for advisory, label, update, text in rows
        ]
        self._builds = builds
        self._database = database

    def present(self, updates: Iterable[str], own: bytes) -> tuple[set[str], bytes]:
        """Return all updates that a machine has, and the key of the highest build they reach."""
        known = _closed(updates, self._database)
        named = [_key(build) for update, build in self._builds.items() if update in known]
        reached = max((own, *named))
        contained = {name for name, build in self._builds.items() if _key(build) <= reached}
        return _closed(known | contained, self._database), reached

    def is_apart(self, advisory: int) -> bool:
        """Return whether a fix without a build is not of the years before feeds had builds.

        Fixes of those years are in every build that a feed names. A later one is an update of its
        own (Secure Boot's list of revoked loaders), which no build contains.
        """
        return self._published(advisory) >= self._first_with_build

    @cached_property
    def _first_with_build(self) -> str:
        days = [self._published(advisory) for advisory, _l, _u, end in self.rows if end]
        return min(filter(None, days), default="9999")

    def _published(self, advisory: int) -> str:
        return self._database.records.advisory(advisory).published[:10]


def _key(build: str) -> bytes:
    return sort_key(ECOSYSTEM, build)


def _has_revision(package: Package) -> bool:
    return _REVISION.fullmatch(package.version) is not None


def _closed(updates: Iterable[str], database: AdvisoryDatabase) -> set[str]:
    """Return updates with all that they supersede, and what these supersede in turn."""
    known = set(updates)
    left = sorted(known)
    while left and len(known) < MAX_CLOSURE:
        group = database.group(ECOSYSTEM, left.pop())
        rows: PackageRows | tuple[()] = group if group is not None else ()
        older = {database.labels[label][0] for _a, label, _t in rows.fixes()} if rows else set()
        left += sorted(older - known)
        known |= older
    return known


class UpdateHits(NamedTuple):
    """The lacking updates of one machine, with the same face as verdicts.VersionHits."""

    judge: Judge
    database: AdvisoryDatabase
    names: tuple[str, ...]
    hits: dict[int, list[Hit]]

    def members(self, package: Package, number: int) -> tuple[Any, ...]:
        """Return the members of an update's Finding without its package, in their order.

        Severity, score and vectors are those of its worst vulnerability, EPSS is the highest.
        """
        update, hits = self.names[number], self.hits[number]
        verdicts = self._verdicts(hits)
        worst = max(verdicts, key=lambda verdict: (verdict.severity.rank, verdict.score or 0.0))
        exploited = [verdict.exploited_since for verdict in verdicts if verdict.exploited_since]
        likely = max(verdicts, key=lambda verdict: verdict.epss or 0.0)
        cves = tuple(sorted({verdict.vulnerability for verdict in verdicts}))
        is_update = update.startswith("KB")
        advice = f"Install {update} or a later cumulative update" if is_update else ""
        address = f"https://support.microsoft.com/help/{update.removeprefix('KB')}"
        references = [address] if is_update else []
        references += [url for verdict in verdicts for url in verdict.references]
        return (
            update,
            worst.severity,
            hits[0].fixed,
            cves,
            f"{update} for {package.name} fixes {len(cves)} vulnerabilities",
            worst.severity_source,
            worst.vector,
            worst.score,
            tuple(dict.fromkeys(references))[:_REFERENCES],
            worst.vectors,
            likely.epss,
            likely.epss_percentile,
            min(exploited, default=""),
            FixAvailable.YES,
            advice or f"Install the cumulative update with build {hits[0].fixed} or a later one",
            ECOSYSTEM,
            "",
            "",
            worst.adjusted,
            worst.adjusted_vector,
            FindingType.PACKAGE_VULNERABILITY,
        )

    def _verdicts(self, hits: list[Hit]) -> list[Verdict]:
        by_vulnerability: dict[int, list[Hit]] = {}
        for hit in hits:
            for vulnerability in self.database.records.about(hit.advisory):
                by_vulnerability.setdefault(vulnerability, []).append(hit)
        return [
            self.judge.verdict(ECOSYSTEM, vulnerability, same)
            for vulnerability, same in sorted(by_vulnerability.items())
        ]


def update_hits(package: Package, database: AdvisoryDatabase, judge: Judge) -> UpdateHits:
    """Return a machine's lacking updates as hits, numbered in the order of their names."""
    found = lacking(package, database)
    return UpdateHits(judge, database, tuple(found), dict(enumerate(found.values())))
