"""Which operating system a bill of materials is about.

By its component of type `operating-system`; without one, by the `distro` qualifiers of its
packages. Names are other tools' own: Trivy's are those of its drivers, not os-release's.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from sidelight.advisories import ecosystems
from sidelight.model import OperatingSystem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.purls import PackageUrl
    from sidelight.sbom_import.bill_contents import ListedComponent

# Other names of os-release's IDs: Trivy's families, and those of Grype and Docker Scout.
_IDS: Final = {
    "redhat": "rhel", "red hat enterprise linux": "rhel", "amazon": "amzn", "amazonlinux": "amzn",
    "alma": "almalinux", "oracle": "ol", "oraclelinux": "ol", "rockylinux": "rocky",
    "cbl-mariner": "mariner", "opensuse.leap": "opensuse-leap",
    "opensuse leap": "opensuse-leap", "opensuse.tumbleweed": "opensuse-tumbleweed",
    "opensuse tumbleweed": "opensuse-tumbleweed", "suse linux enterprise server": "sles",
    "suse linux enterprise micro": "sle-micro", "slem": "sle-micro", "suse": "sles",
    "archlinux": "arch",
}  # fmt: skip
# Namespaces of purls of one system's packages.
_BY_NAMESPACE: Final = {
    "alpine": "alpine", "wolfi": "wolfi", "chainguard": "chainguard", "debian": "debian",
    "ubuntu": "ubuntu", "amazon": "amzn", "amzn": "amzn", "fedora": "fedora", "redhat": "rhel",
    "centos": "centos", "almalinux": "almalinux", "alma": "almalinux", "rocky": "rocky",
    "oracle": "ol", "photon": "photon", "azurelinux": "azurelinux", "cbl-mariner": "mariner",
    "mariner": "mariner", "arch": "arch",
}  # fmt: skip
# Releases by their code names, which some documents have in place of numbers.
_CODENAMES: Final = {
    ("debian", "buster"): "10", ("debian", "bullseye"): "11", ("debian", "bookworm"): "12",
    ("debian", "trixie"): "13", ("debian", "forky"): "14",
    ("ubuntu", "xenial"): "16.04", ("ubuntu", "bionic"): "18.04", ("ubuntu", "focal"): "20.04",
    ("ubuntu", "jammy"): "22.04", ("ubuntu", "noble"): "24.04", ("ubuntu", "resolute"): "26.04",
}  # fmt: skip
_BEFORE_VERSION: Final = re.compile(r"[-@:](?=v?[0-9])")
_AMAZON: Final = re.compile(r"(20[2-9][0-9]|2)(?:\..*)?")
_LONG_TERM: Final = re.compile(r"([0-9.]+)[ -]\(?(LTS(?:[ -]SP[0-9]+)?)\)?")
_LONGEST: Final = 128  # characters of a name or version


def system_of(component: ListedComponent) -> OperatingSystem:
    """Return the system that a component names; Syft's properties are os-release's own."""
    properties = component.properties
    name = properties.get("syft:distro:id") or component.name
    version = properties.get("syft:distro:versionID") or component.version
    pretty = properties.get("syft:distro:prettyName") or component.description
    named = named_system(name, version, pretty)
    codename = properties.get("syft:distro:versionCodename", "")
    codename = properties.get("sidelight:codename") or codename
    return OperatingSystem(
        named.id, named.version_id, named.pretty_name, codename[:_LONGEST],
        properties.get("sidelight:id_like", "")[:_LONGEST],
    )  # fmt: skip


def named_system(name: str, version: str, pretty: str = "") -> OperatingSystem:
    """Return a system by a name and version of any tool, in os-release's form."""
    lower = name.strip()[:_LONGEST].lower()
    identity = _IDS.get(lower, lower)
    number = version.strip()[:_LONGEST]
    number = _CODENAMES.get((identity, number.lower()), number)
    shown = pretty.strip()[:_LONGEST]
    if identity == "amzn":
        match = _AMAZON.fullmatch(number.partition(" ")[0])
        number = match[1] if match else number.partition(" ")[0]
    elif identity == "openeuler" and (match := _LONG_TERM.fullmatch(number)):
        number, shown = match[1], shown or f"openEuler {match[1]} ({match[2]})"
    return OperatingSystem(identity, number, shown)


def of_distro(purl: PackageUrl) -> OperatingSystem | None:
    """Return the system that a package's `distro` names: `debian-12`, `3.18.5`, `bookworm`."""
    distro = purl.qualifier("distro")
    if purl.type not in ecosystems.OS_TYPES or not distro:
        return None
    own = _BY_NAMESPACE.get(purl.namespace.lower(), "")
    if distro[:1].isdigit():
        return named_system(own, distro) if own else None
    for (identity, codename), number in _CODENAMES.items():
        if distro.lower() in {codename, f"{identity}-{codename}"}:
            return OperatingSystem(identity, number)
    found = _BEFORE_VERSION.search(distro, 1)
    if found is None:
        return named_system(distro, "")
    return named_system(distro[: found.start()], distro[found.end() :])


def chosen(
    listed: Sequence[OperatingSystem], purls: Iterable[PackageUrl]
) -> tuple[OperatingSystem, str]:
    """Return the machine's system, and what is doubtful in the choice, "" if nothing."""
    named = [system for system in listed if system.id]
    if named:
        others = {ecosystems.of_machine(item) for item in named[1:]}
        others.discard(ecosystems.of_machine(named[0]))
        if not others:
            return named[0], ""
        return named[0], f"it names {len(others) + 1} operating systems; the first is taken"
    counts = Counter(filter(None, map(of_distro, purls)))
    if not counts:
        return OperatingSystem(), ""
    return counts.most_common(1)[0][0], ""
