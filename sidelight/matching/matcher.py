"""Match the packages of an inventory with an advisory database."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from sidelight.advisories.judge import kernel_packages, streams, windows_updates
from sidelight.advisories.judge.verdicts import Judge, VersionHits
from sidelight.errors import FormatError
from sidelight.gc_pause import uncollected
from sidelight.matching.end_of_life import discontinued
from sidelight.matching.lookups import Lookup, MachineLookups, lookup_of
from sidelight.model import Exposure, Finding, Package, lazy_findings
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from datetime import date

    from sidelight.advisories.database.package_rows import Hit
    from sidelight.advisories.database.reader import AdvisoryDatabase
    from sidelight.model import Inventory

_BY_NAME = attrgetter("name", "path", "version")
# Of a package, all that `lookup_of` reads: packages that are equal in it have the same lookup.
_LOOKUP_FIELDS = attrgetter(
    "type", "name", "version", "source_name", "source_version", "modularity"
)
_ANSWERS = 1 << 16  # the most packages whose hits a Matcher caches


def match(
    inventory: Inventory, database: AdvisoryDatabase, *, today: date | None = None
) -> list[Finding]:
    """Return the findings of one machine, sorted by package and vulnerability.

    With `today`, an operating system that gets no updates any more on that day is a finding too.
    For many machines, one Matcher is faster.
    """
    return Matcher(database).match(inventory, today=today)


class Matcher:
    """Matches inventories with one database, and caches the hits of each package version."""

    def __init__(self, database: AdvisoryDatabase, exposure: Exposure = Exposure.UNKNOWN) -> None:
        """`exposure` is the machines' exposure, for their findings' scores."""
        self._database = database
        self._judge = Judge(database, exposure)
        self._answers: dict[Lookup, VersionHits] = {}
        self._known: dict[tuple[str, object], VersionHits] = {}  # the same, by a package's fields

    def match(self, inventory: Inventory, *, today: date | None = None) -> list[Finding]:
        """As the function `match`."""
        # A match creates thousands of findings at once. Each full collection that they trigger
        # would walk all objects of the process, which took half of a match's time.
        with uncollected():
            return self._match(inventory, today)

    def _match(self, inventory: Inventory, today: date | None) -> list[Finding]:
        known = self._database.ecosystems
        machine = MachineLookups(inventory.os)
        answers: list[tuple[Package, VersionHits | windows_updates.UpdateHits]] = []
        for package in sorted(inventory.packages, key=_BY_NAME):
            ecosystem = machine.ecosystem_asked(package)
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
        fields = ecosystem, _LOOKUP_FIELDS(package)
        known = self._known.get(fields)
        if known is None:
            if len(self._known) >= _ANSWERS:
                self._known.clear()
                self._answers.clear()
                self._judge.forget()
            known = self._known[fields] = self._answer(lookup_of(package, ecosystem), package)
        return known

    def _answer(self, lookup: Lookup, package: Package) -> VersionHits:
        """Return the hits of a lookup, which several binaries of one source share."""
        answer = self._answers.get(lookup)
        if answer is None:
            hits = self._ask(lookup, package)
            answer = self._answers[lookup] = VersionHits(self._judge, lookup.ecosystem, hits)
        return answer

    def _ask(self, lookup: Lookup, package: Package) -> dict[int, list[Hit]]:
        """Return the hits by vulnerability, in the order of the vulnerabilities' ids."""
        hits_by_number: dict[int, list[Hit]] = {}
        for name, version in ((lookup.name, lookup.version), *lookup.also):
            for hit, about in self._hits(lookup, name, version, package):
                alone = [hit]  # one list for all vulnerabilities that a single erratum fixes
                for number in about:
                    known = hits_by_number.get(number)
                    hits_by_number[number] = alone if known is None else [*known, hit]
        return {number: hits_by_number[number] for number in sorted(hits_by_number)}

    def _hits(
        self, lookup: Lookup, name: str, version: str, package: Package
    ) -> list[streams.HitVulnerabilities]:
        database = self._database
        group = database.group(lookup.ecosystem, name)
        if group is None:
            return []
        try:
            key = sort_key(lookup.ecosystem, version)
        except FormatError:
            return []  # unmatched_ecosystems reports it
        hits = group.hits(key)
        if not hits:
            return []
        case = streams.StreamCase(group, lookup.ecosystem, package, lookup.version, database)
        return streams.choose(hits, case)
