"""A store with an advisory database that says what a test tells it, and scans of machines."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidelight.fleet import evaluation
from sidelight.matching import Unmatched
from sidelight.model import (
    LIVE,
    Cost,
    FilesystemSummary,
    Finding,
    FindingChanges,
    Inventory,
    OperatingSystem,
    Package,
    Severity,
    State,
    Status,
)
from tests.store.moving import advance

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from sidelight.fleet.evaluation import AdvisoryMatcher
    from sidelight.model import Scan
    from sidelight.store import Store

ACCOUNT, REGION = "123456789012", "eu-west-1"
ECOSYSTEMS = {"deb": "Debian:12", "npm": "npm"}
DEBIAN = OperatingSystem("debian", "12", "Debian GNU/Linux 12")


@dataclass
class Said:
    """What an advisory says of a package of one name, in versions below `fixed`."""

    vulnerability: str
    fixed: str = "9"
    severity: Severity = Severity.HIGH
    epss: float | None = None


@dataclass
class Database:
    """Advisories by the name of the package; a fake `evaluation.AdvisoryMatcher`."""

    says: dict[str, list[Said]] = field(default_factory=dict)
    last_day: date | None = None
    newest: str = ""
    asked: list[str] = field(default_factory=list)
    ecosystems: frozenset[str] = frozenset({"Debian:12"})

    @property
    def sha256(self) -> str:
        covers = ["covers", *sorted(self.ecosystems - {"Debian:12"})]
        says = [[name, said] for name, said in self.says.items()]
        return self._digest(sorted([*says, covers], key=repr))

    def match(self, inventory: Inventory) -> list[Finding]:
        self.asked += [package.name for package in inventory.packages]
        return [
            Finding(
                said.vulnerability,
                said.severity,
                package,
                said.fixed,
                ("DSA-1",),
                epss=said.epss,
                ecosystem="Debian:12",
            )
            for package in inventory.packages
            for said in self.says.get(package.name, ())
            if package.version < said.fixed
        ]

    def unmatched(self, inventory: Inventory) -> tuple[Unmatched, ...]:
        counts = Counter(package.type for package in inventory.packages)
        missing = {kind: n for kind, n in counts.items() if ECOSYSTEMS[kind] not in self.ecosystems}
        return tuple(
            Unmatched(ECOSYSTEMS[kind], count, "the database has no advisories for it")
            for kind, count in missing.items()
        )

    def discontinued(self, os: OperatingSystem, today: date) -> list[Finding]:
        if self.last_day is None or today <= self.last_day:
            return []
        package = Package("os", os.id, os.version_id, "/etc/os-release", f"pkg:generic/{os.id}")
        return [Finding(f"END-OF-LIFE-{os.id}", Severity.CRITICAL, package, "", ())]

    def package_digest(self, ecosystem: str, name: str) -> str:
        del ecosystem
        said = [(one.vulnerability, one.fixed) for one in self.says.get(name, ())]
        return self._digest(said) if said else ""

    def vulnerability_digest(self, vulnerability: str) -> str:
        facts = {
            (one.severity.value, one.epss)
            for said in self.says.values()
            for one in said
            if one.vulnerability == vulnerability
        }
        return self._digest(sorted(facts, key=repr))

    def _digest(self, value: object) -> str:
        text = json.dumps(value, default=vars, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def package(name: str, version: str = "1", path: str = "/var/lib/dpkg/status") -> Package:
    return Package("deb", name, version, path, f"pkg:deb/debian/{name}@{version}")


def inventory(
    *packages: Package, status: Status = Status.COMPLETE, disk: str = "nvme0n1p1"
) -> Inventory:
    return Inventory(status, DEBIAN, packages, (), (FilesystemSummary(disk, "ext4", "/", "clean"),))


def claimed(store: Store, scan_id: str) -> Scan:
    held = store.scans.claim(scan_id, LIVE, 60)
    assert held is not None
    return held


def in_state(store: Store, state: State, instance: str = "i-1") -> Scan:
    """A scan of the instance, held in this state."""
    scan = store.scans.create([(ACCOUNT, REGION, instance)], "here")[0]
    advance(store, claimed(store, scan.id), state)
    return claimed(store, scan.id)


def inspected(store: Store, read: Inventory, instance: str = "i-1") -> Scan:
    """A scan that has saved its inventory, held in EVALUATING."""
    scan = in_state(store, State.READING, instance)
    store.findings.save_inventory(scan, read, Cost(scan.id))
    return claimed(store, scan.id)


def scanned(
    store: Store, database: AdvisoryMatcher, read: Inventory, instance: str = "i-1"
) -> FindingChanges:
    """A whole scan, with a database that the store knows."""
    scan = inspected(store, read, instance)
    store.reevaluation.notice(database)
    changes = evaluation.evaluate(store, scan, database).changes
    held = claimed(store, scan.id)
    advance(store, held, State.DONE)
    return changes


def reevaluated(store: Store, database: Database) -> FindingChanges:
    """The store's findings brought to a new database."""
    store.reevaluation.register(database)
    changes = FindingChanges()
    for _ in range(1000):
        part = evaluation.reevaluate(store, database)
        changes += part.findings
        if not part.left:
            return changes
    raise AssertionError("a re-evaluation that does not end")


def open_names(store: Store, instance: str = "") -> set[str]:
    return {row.finding.package.name for row in store.findings.rows(instance=instance)}


def kinds(store: Store, after: int = 0) -> list[tuple[str, str, str]]:
    """The events: kind, instance, vulnerability."""
    return [
        (event.kind, event.row.instance, event.row.finding.vulnerability)
        for event in store.outbox.after(after)
    ]


def says(*names: str, vulnerability: str = "CVE-2026-1") -> Database:
    return Database({name: [Said(vulnerability)] for name in names})


def all_ids(store: Store, instances: Iterable[str]) -> dict[str, list[int]]:
    return {
        instance: [row.id for row in store.findings.rows(instance=instance, status=None)]
        for instance in instances
    }
