"""The names of ecosystems in feeds, in os-release, and in the database.

The database has one name for the source of a machine's packages. The part of the distribution that
a feed names in addition is the row's stream: `Red Hat:rhel_eus:9.2::baseos` is `Red Hat:9`, stream
`eus:9.2`; `SUSE:Linux Enterprise Module for Basesystem 15 SP5` is `SUSE:15.5`;
`Ubuntu:Pro:22.04:LTS` is `Ubuntu:22.04`, stream `pro`. Names of another form are not changed.

A system with an unlisted ID is not matched with the advisories of its parent (ID_LIKE), whose
builds it may have changed: its packages are reported as without advisories (docs/decisions/0013).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sidelight import vendors
from sidelight.errors import UnsupportedError
from sidelight.versions import scheme_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.model import OperatingSystem

_RED_HAT_MAIN = re.compile(r"enterprise_linux:(\d+)(?:\.\d+)?(?:::.*)?")
_RED_HAT_LONG = re.compile(r"(?:rhel|enterprise_linux)_(\w+):(\d+)(\.\d+)?(?:::.*)?")
_RED_HAT_ADDED = re.compile(r"(\w+):([\w.]+)::el(\d+)")
_SUSE = re.compile(
    r"(?:SUSE )?Linux Enterprise (?!Micro).*?\b(\d{2})(?:(?:[ -]SP|\.)(\d+))?(?:-(\w+))?"
)
_SUSE_MICRO = re.compile(r"(?:SUSE )?Linux(?: Enterprise)? Micro (?:for Rancher )?(\d+\.\d+)")
# Modules of SUSE Linux Enterprise without its name in their products.
_SUSE_ADDED = re.compile(r"(?:SUSE )?(?:Package Hub|Real Time Module) (\d{2})(?: SP(\d+))?")
_UBUNTU = re.compile(
    r"(?:Pro:)?(?:(FIPS[\w-]*|Realtime\w*):)?(\d+\.\d+)(?::LTS)?(?::.*)?", re.IGNORECASE
)

_BACKPORTED_TO = re.compile(r"([0-9]{1,2})\+")

_ENTERPRISE = {"Red Hat", "AlmaLinux", "Rocky Linux", "Oracle Linux"}
# Distributions on which EPEL's builds (Fedora's for Red Hat's distribution) are installed too.
_BESIDE_EPEL = {*_ENTERPRISE, "Amazon Linux", "Fedora"}
_AS_RED_HAT = {"Amazon Linux:2": "7"}
_MADE_FOR = re.compile(r"\.el([0-9]+)(?![0-9a-z])")
# Language ecosystems by purl type.
LANGUAGES = {
    "pypi": "PyPI",
    "npm": "npm",
    "golang": "Go",
    "cargo": "crates.io",
    "gem": "RubyGems",
    "maven": "Maven",
    "nuget": "NuGet",
    "composer": "Packagist",
    "hex": "Hex",
    "pub": "Pub",
    "swift": "SwiftURL",
    "cran": "CRAN",
    "hackage": "Hackage",
    "julia": "Julia",
    "opam": "opam",
}
# Ecosystems of OSV's schema (1.8.0) that are never looked up for a package, and the reason. A
# feed's rows of these are not stored.
NOT_LOOKED_FOR: Final = {
    "Android": "no EC2 instance runs it",
    "ConanCenter": "Conan leaves nothing with the programs that it built",
    "Docker Hardened Images": "their packages are known by the image, not by its files",
    "FreeBSD": "its filesystems and package database are not read",
    "GIT": "commits of repositories, no packages",
    "Linux": "the kernel's own releases; distributions' builds have their own advisories",
    "OSS-Fuzz": "commits of repositories, no packages",
    "Root": "its replacement packages are parts of container images that it sells",
    "TuxCare": "its records do not name the release of a distribution in a stated form",
    "vcpkg": "vcpkg leaves nothing with the programs that it built",
}
# Systems that are one package, by purl type (sidelight/inventory/ssm): Windows Server and macOS.
WHOLE_SYSTEMS: Final = {"macos": "macOS", "windows": "Windows"}
# By the order of a distribution's versions, the type of its packages.
_PACKAGES: Final = {"dpkg": "deb", "apk": "apk", "rpm": "rpm", "rpm-without-epoch": "rpm"}
OS_TYPES = frozenset({"deb", "rpm", "apk", "alpm"})


@lru_cache(maxsize=4096)
def canonical(name: str) -> tuple[str, str]:
    """Return the database's (ecosystem, stream) for a feed's ecosystem name."""
    distribution, colon, rest = name.partition(":")
    if not colon:
        return name, ""
    if distribution in _CANONICAL:
        return _CANONICAL[distribution](name, rest)
    if distribution in _ONE_LIST or distribution in LANGUAGES.values():
        return distribution, ""  # for a language, the rest is the address of a registry
    return name, ""


def _alpine(name: str, rest: str) -> tuple[str, str]:
    return (f"Alpine:v{rest}" if rest[:1].isdigit() else name), ""


def _by_major(name: str, rest: str) -> tuple[str, str]:
    return f"{name.partition(':')[0]}:{_major(rest)}", ""


def _opensuse(name: str, _rest: str) -> tuple[str, str]:
    return name.removesuffix(" NonFree"), ""


def _ubuntu(name: str, rest: str) -> tuple[str, str]:
    match = _UBUNTU.fullmatch(rest)
    if match is None:
        return name, ""
    stream = (match[1] or "").lower() or ("pro" if rest.lower().startswith("pro:") else "")
    return f"Ubuntu:{match[2]}", stream


def _red_hat(name: str, rest: str) -> tuple[str, str]:
    if match := _RED_HAT_MAIN.fullmatch(rest):
        return f"Red Hat:{match[1]}", ""
    if match := _RED_HAT_ADDED.fullmatch(rest):
        return f"Red Hat:{match[3]}", f"{match[1]}:{match[2]}"
    if match := _RED_HAT_LONG.fullmatch(rest):
        return f"Red Hat:{match[2]}", f"{match[1]}:{match[2]}{match[3] or ''}"
    return name, ""


def _suse(name: str, rest: str) -> tuple[str, str]:
    if match := _SUSE_ADDED.fullmatch(rest):
        return f"SUSE:{match[1]}.{match[2] or 0}", ""
    if match := _SUSE_MICRO.fullmatch(rest):
        return f"SUSE Micro:{match[1]}", ""
    if match := _SUSE.fullmatch(rest):
        # Long-term channels continue the same line of versions: they have no separate stream.
        return f"SUSE:{match[1]}.{match[2] or 0}", ""
    return name, ""


def is_looked_for(ecosystem: str) -> bool:
    """Return whether a machine's packages may be of this ecosystem, by its database name."""
    return ecosystem.partition(":")[0] not in NOT_LOOKED_FOR


def _major(version: str) -> str:
    return version.partition(".")[0]


def of_machine(os: OperatingSystem) -> str:
    """Return the database's ecosystem of a machine's own packages, "" if os-release has no ID.

    The result names the system even if no feed is known for it.
    """
    version = os.version_id
    if not os.id:
        return ""
    if os.id in _WHOLE_VERSION:
        return f"{_WHOLE_VERSION[os.id]}{version}"
    if os.id in _MAJOR_VERSION:
        return f"{_MAJOR_VERSION[os.id]}:{_major(version)}"
    if os.id in _SPECIAL:
        return _SPECIAL[os.id](os)
    return ROLLING.get(os.id, f"{os.id}:{version}" if version else os.id)


def _alpine_of(os: OperatingSystem) -> str:
    parts = os.version_id.split(".")
    return "Alpine:edge" if "_" in os.version_id else f"Alpine:v{'.'.join(parts[:2])}"


def _suse_of(os: OperatingSystem) -> str:
    return f"SUSE:{os.version_id if '.' in os.version_id else os.version_id + '.0'}"


def _openeuler_of(os: OperatingSystem) -> str:
    """Return `24.03-LTS-SP1`, the advisories' form of os-release's `24.03 (LTS-SP1)`."""
    match = _LONG_TERM.search(os.pretty_name)
    return f"openEuler:{os.version_id}" + (f"-{match[0].replace(' ', '-')}" if match else "")


_SPECIAL: Final[dict[str, Callable[[OperatingSystem], str]]] = {
    "alpine": _alpine_of,
    "openeuler": _openeuler_of,
    **dict.fromkeys(("sles", "sled", "sles_sap", "sle_hpc"), _suse_of),
}
_CANONICAL: Final[dict[str, Callable[[str, str], tuple[str, str]]]] = {
    "Alpine": _alpine,
    "Azure Linux": _by_major,
    "Mageia": _by_major,
    "Red Hat": _red_hat,
    "SUSE": _suse,
    "Ubuntu": _ubuntu,
    "openSUSE": _opensuse,
}
_LONG_TERM = re.compile(r"LTS(?:[ -]SP[0-9]+)?")
# By ID: one list for all versions, independent of os-release's VERSION_ID.
ROLLING = {
    "bottlerocket": "Bottlerocket",
    "chainguard": "Chainguard",
    "cleanstart": "CleanStart",
    "echo": "Echo",
    "minimos": "MinimOS",
    "opensuse-tumbleweed": "openSUSE:Tumbleweed",
    "opensuse-microos": "openSUSE:Tumbleweed",
    "opensuse-aeon": "openSUSE:Tumbleweed",
    "opensuse-kalpa": "openSUSE:Tumbleweed",
    "wolfi": "Wolfi",
    "macos": "macOS",
    "windows-server": "Windows",
}
_ONE_LIST = frozenset({"Chainguard", "CleanStart", "Echo", "MinimOS", "Wolfi"})
_WHOLE_VERSION = {
    "ubuntu": "Ubuntu:",
    "alpaquita": "Alpaquita:",
    "amzn": "Amazon Linux:",
    "fedora": "Fedora:",
    "hardened-containers": "BellSoft Hardened Containers:",
    "opensuse-leap": "openSUSE:Leap ",
    "opensuse-leap-micro": "openSUSE:Leap Micro ",
    "photon": "Photon OS:",
    "sle-micro": "SUSE Micro:",
    "sle-micro-rancher": "SUSE Micro:",
    "sl-micro": "SUSE Micro:",
    "suse-microos": "SUSE Micro:",
}
_MAJOR_VERSION = {
    "debian": "Debian",
    "almalinux": "AlmaLinux",
    "azurelinux": "Azure Linux",
    "mariner": "Azure Linux",
    "mageia": "Mageia",
    "rocky": "Rocky Linux",
    "rhel": "Red Hat",
    "centos": "Red Hat",
    "ol": "Oracle Linux",
}


def of_package(
    package_type: str,
    own: str,
    vendor: str = "",
    version: str = "",
) -> str:
    """Return the database's ecosystem of a package, or "" for a type that no feed covers.

    `own` is the ecosystem of its operating system, by `of_machine`.
    A build of Red Hat's family is matched with its own builder's advisories: EPEL's packages with
    EPEL's, and on a converted machine the remaining old builds with those of the former
    distribution. A version backported to a release of Debian is of the next release. A build of
    EPEL names the release of Red Hat's distribution that it was built for (`.el9`). Of another
    manager's packages (rpm's database on Debian) a distribution's advisories say nothing.
    """
    if package_type in LANGUAGES:
        return LANGUAGES[package_type]
    if package_type not in OS_TYPES:
        # Windows for clients has no feed here, though it is of the same package type.
        return own if own == WHOLE_SYSTEMS.get(package_type) else ""
    if not _installs(own, package_type):
        return ""
    if package_type != "rpm":
        is_backport = "~bpo" in version and own.startswith("Debian:")
        backported_to = backport(version)[1] if is_backport else ""
        return f"Debian:{int(backported_to) + 1}" if backported_to else own
    return _of_rpm(own, vendor, version)


def of_whole_system(package_type: str, name: str) -> str:
    """Return the ecosystem of a package that is a system, by its own name, or "" without a feed.

    Windows for clients has none, though it is of the same package type.
    """
    if package_type == "windows" and not name.startswith("Windows Server"):
        return ""
    return WHOLE_SYSTEMS.get(package_type, "")


def _of_rpm(own: str, vendor: str, version: str) -> str:
    name, _colon, major = own.partition(":")
    builder = vendors.builder(vendor) if name in _BESIDE_EPEL else ""
    if builder == "EPEL":
        made_for = _MADE_FOR.search(version)
        if made_for or name in _ENTERPRISE or own in _AS_RED_HAT:
            return f"EPEL:{made_for[1] if made_for else _AS_RED_HAT.get(own, major)}"
        return own
    return f"{builder or name}:{major}" if name in _ENTERPRISE else own


@lru_cache(maxsize=1024)
def _installs(own: str, package_type: str) -> bool:
    """Return whether a distribution's packages are of this type; of an unlisted one all may be."""
    try:
        return _PACKAGES.get(scheme_of(own), package_type) == package_type
    except UnsupportedError:
        return True


def backport(version: str) -> tuple[str, str]:
    """Return the original version of a Debian backport, and the release that it was built for.

    `6.5.10-1~bpo12+1` is 6.5.10-1 for Debian 12; for any other version the release is "".
    """
    if "~bpo" not in version:
        return version, ""
    built_from, _mark, rest = version.partition("~bpo")
    match = _BACKPORTED_TO.match(rest)
    return (version, "") if match is None else (built_from, match[1])


def normal_name(ecosystem: str, name: str) -> str:
    """Normalize a package's name by its ecosystem's rules: PEP 503, NuGet's and Composer's case."""
    if ecosystem == "PyPI":
        return re.sub(r"[-_.]+", "-", name).lower()
    if ecosystem in {"NuGet", "Packagist"}:
        return name.lower()
    if ecosystem == "crates.io":
        return name.replace("_", "-")
    if ecosystem == "SwiftURL":  # some feeds have the repository's address with its scheme
        bare = re.sub(r"^[a-z+]+://", "", name.lower())
        return bare.rstrip("/").removesuffix(".git")
    return name
