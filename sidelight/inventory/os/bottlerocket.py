"""Bottlerocket's own list of the rpm packages that its read-only root was built from.

Source: Bottlerocket's documentation of its software inventory. The root holds no rpm database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import DamagedError
from sidelight.inventory.language.safe_parsers import parse_json
from sidelight.inventory.protocol import MAX_PACKAGES, Extraction, Wants, unfit
from sidelight.inventory.purl import distro_of, format_purl
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Machine, WantedFile


class BottlerocketInventory:
    """application-inventory.json. The packages are rpm's by name, version and comparison."""

    name = "os/bottlerocket"
    wants = Wants(
        paths=frozenset(
            (
                "usr/share/bottlerocket/application-inventory.json",
                "x86_64-bottlerocket-linux-gnu/sys-root/usr/share/bottlerocket/application-inventory.json",
                "aarch64-bottlerocket-linux-gnu/sys-root/usr/share/bottlerocket/application-inventory.json",
            )
        ),
        limit=16 << 20,
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All packages. Raises DamagedError where this is no such list."""
        path = f"/{file.path}"
        document = parse_json(file.read())
        content = document.get("Content") if isinstance(document, dict) else None
        if not isinstance(content, list):
            raise DamagedError("no list of packages under Content", where=path)
        found = Extraction()
        distro = distro_of(machine.os)
        for number, item in enumerate(content[:MAX_PACKAGES]):
            package = package_of(item, path, distro) if isinstance(item, dict) else None
            if package is None:
                found.note(path, f"entry {number} names no package")
            elif fault := unfit(package.name, package.version, package.arch):
                found.note(path, fault)
            else:
                found.packages.append(package)
        if len(content) > MAX_PACKAGES:
            found.note(path, f"more than {MAX_PACKAGES} packages: the rest is left out")
        return found


def package_of(item: dict[str, object], path: str, distro: str) -> Package | None:
    """Return an entry's package, None where it names none."""
    name, version, release, epoch, arch, vendor = (
        value if isinstance(value := item.get(key), str) else ""
        for key in ("Name", "Version", "Release", "Epoch", "Architecture", "Publisher")
    )
    if not name or not version:
        return None
    full = f"{version}-{release}" if release else version
    epoch = epoch if epoch not in {"", "0"} else ""
    qualifiers = (("arch", arch), ("distro", distro), ("epoch", epoch))
    return Package(
        type="rpm",
        name=name,
        version=f"{epoch}:{full}" if epoch else full,
        path=path,
        purl=format_purl("rpm", "bottlerocket", name, full, qualifiers),
        arch=arch,
        source_name=name,
        source_version=full,
        vendor=vendor,
    )
