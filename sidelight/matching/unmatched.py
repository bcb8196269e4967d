"""What matching cannot cover: packages without advisories, and versions without an order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.advisories import ecosystems
from sidelight.advisories.judge import windows_updates
from sidelight.errors import FormatError
from sidelight.matching.lookups import MachineLookups, is_of_a_container, lookup_of
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from sidelight.advisories.database.reader import AdvisoryDatabase
    from sidelight.model import Inventory, OperatingSystem, Package


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


def unmatched_ecosystems(inventory: Inventory, database: AdvisoryDatabase) -> tuple[Unmatched, ...]:
    """Return what `match` cannot cover: ecosystems without advisories, versions without order."""
    known = database.ecosystems
    machine = MachineLookups(inventory.os)
    missing: Counter[str] = Counter()
    suppliers: dict[str, list[str]] = {}
    uncovered: Counter[str] = Counter()
    refused: dict[str, list[str]] = {}
    uncoverable: Counter[tuple[str, str]] = Counter()
    for package in inventory.packages:
        if supplier := machine.supplier(package):
            suppliers.setdefault(supplier, []).append(package.name)
            continue
        ecosystem = machine.ecosystem(package)
        is_of_os = package.type in ecosystems.OS_TYPES
        if not ecosystem and not (is_of_os and not machine.system(package).id):
            uncovered[_nameless(package, machine.system(package))] += 1
            continue
        if ecosystem not in known:
            name = ecosystem or _nameless(package, machine.system(package))
            missing[_where(package, name)] += 1
            continue
        lookup = lookup_of(package, ecosystem)
        if why := _not_judged(package, lookup.name, database):
            uncoverable[package.name, why] += 1
            continue
        try:
            sort_key(ecosystem, lookup.version)
        except FormatError:
            refused.setdefault(ecosystem, []).append(f"{package.name} {lookup.version}".strip())
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


def _by_another_vendor(names: list[str]) -> str:
    distinct = sorted(set(names))
    shown = ", ".join(distinct[:5]) + (", …" if len(distinct) > 5 else "")
    return f"no feed has advisories for this vendor's builds ({shown})"


def _where(package: Package, name: str) -> str:
    return f"{name} in {package.layer}" if is_of_a_container(package) else name


def _nameless(package: Package, os: OperatingSystem) -> str:
    if package.type in ecosystems.OS_TYPES and not os.id and not package.layer:
        return f"{package.type} of an unknown operating system"
    if package.type in ecosystems.LANGUAGES:  # its feeds cover the public registry's packages
        return f"{package.type} from elsewhere than the public registry"
    return package.type
