"""Evaluate scans and stored inventories: decide which packages are matched when, and with what.

The store loads what is to be matched and stores the result; nothing is matched within one of its
transactions. A package is matched once for the whole fleet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from sidelight.advisories.ecosystems import WHOLE_SYSTEMS
from sidelight.completeness import assess
from sidelight.model import Inventory, Reevaluated, Status
from sidelight.store import AdvisoryDigests, Matches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from sidelight.inventory.ssm.known_sources import KnownSources
    from sidelight.matching import Unmatched
    from sidelight.model import (
        Finding,
        FindingChanges,
        InstanceRef,
        OperatingSystem,
        Package,
        Scan,
    )
    from sidelight.store import Evaluated, ReevaluationPart, Store, UnmatchedSoftware


class AdvisoryMatcher(AdvisoryDigests, Protocol):
    """An advisory database that can be matched with."""

    def unmatched(self, inventory: Inventory) -> Sequence[Unmatched]:
        """Return the packages that it cannot match; the same for the same `ecosystems`."""

    def match(self, inventory: Inventory) -> Sequence[Finding]:
        """Return the findings of packages; each package is matched independently."""

    def known_sources(self, os: OperatingSystem) -> KnownSources | None:
        """Return the source packages that its feeds list for dpkg's binaries of a release."""

    def discontinued(self, os: OperatingSystem, today: date) -> Sequence[Finding]:
        """Return a finding if the system gets no updates any more on that day."""


def evaluate(store: Store, scan: Scan, advisories: AdvisoryMatcher) -> Evaluated:
    """EVALUATING to DELETING with the findings opened, kept and closed.

    Packages that are not matched for another machine yet are matched first. Raises LeaseLostError;
    then the findings are unchanged.
    """
    work = store.vulnerability_details.unmatched_of(scan, advisories.sha256)
    matches = match(work, advisories, store.clock().date())
    store.vulnerability_details.write(matches, advisories)
    return store.findings.evaluate(scan, work.number)


def evaluate_agent_inventory(
    store: Store,
    place: InstanceRef,
    advisories: AdvisoryMatcher,
    inventory: Inventory | None = None,
) -> FindingChanges:
    """Open, keep and close the findings of an inventory that an instance's agent sent.

    `inventory` is the stored one, which is loaded without it.
    """
    if inventory is None:
        inventory = store.findings.inventory(place.account, place.instance)
    work = store.vulnerability_details.unmatched_of(place, advisories.sha256)
    matches = match(work, advisories, store.clock().date())
    store.vulnerability_details.write(matches, advisories)
    unjudged = _unjudged(inventory, advisories)
    return store.findings.evaluate_agent_inventory(place, work.number, unjudged)


def _unjudged(inventory: Inventory, advisories: AdvisoryMatcher) -> frozenset[str]:
    """Return the types of a machine's packages that are a system which cannot be judged.

    Of Windows that lists no updates, or none that the database knows, nothing is known: an update
    that it lacked is not installed for that.
    """
    systems = [one for one in inventory.packages if one.type in WHOLE_SYSTEMS]
    if not systems:
        return frozenset()
    names = {one.ecosystem for one in advisories.unmatched(inventory)}
    return frozenset(one.type for one in systems if names & {one.name, WHOLE_SYSTEMS[one.type]})


def reevaluate(store: Store, advisories: AdvisoryMatcher) -> Reevaluated:
    """Run the next part of a re-evaluation with the registered database.

    First packages, then instances. Nothing is left if another database is the newest by now.
    `left` stays true while other workers hold the last rows.
    """
    work = store.vulnerability_details.unmatched(advisories.sha256)
    if work is None:
        return Reevaluated(left=False)
    if work.software:
        matches = match(work, advisories, store.clock().date())
        store.vulnerability_details.write(matches, advisories)
        return Reevaluated(left=True, packages=len(work.software))
    with store.reevaluation.part(work.number) as part:
        changes = part.reconcile()
        _assess(part, advisories)
        return Reevaluated(part.is_left(), 0, part.instances, part.passed, changes)


def match(work: UnmatchedSoftware, advisories: AdvisoryMatcher, today: date) -> Matches:
    """Match software, the packages of each operating system together."""
    findings: list[tuple[int, Finding]] = []
    systems: dict[OperatingSystem, dict[Package, int]] = {}
    for item in work.software:
        if item.package is not None:
            systems.setdefault(item.os, {})[item.package] = item.id
        else:
            findings += [(item.id, found) for found in advisories.discontinued(item.os, today)]
    for system, packages in systems.items():
        inventory = Inventory(Status.COMPLETE, system, tuple(packages))
        findings += [
            (packages[found.package], found)
            for found in advisories.match(inventory)
            if found.package in packages
        ]
    return Matches(work, findings)


def _assess(part: ReevaluationPart, advisories: AdvisoryMatcher) -> None:
    """Write to coverage whether these instances are complete, if other ecosystems are covered.

    Machines of one image have the same packages: the unmatched ones are computed once.
    """
    unmatched: dict[tuple[int, OperatingSystem], Sequence[Unmatched]] = {}
    for place, content, machine in part.unassessed():
        key = content, machine.os
        if key not in unmatched:
            packages = part.packages(content)
            unmatched[key] = advisories.unmatched(replace(machine, packages=packages))
        part.cover(place, assess(machine, unmatched[key]))
