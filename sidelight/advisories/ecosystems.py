"""The names of ecosystems: as feeds write them, as machines say them, as the database keeps them.

The database keeps one name for what one machine draws its packages from, and puts the part of the
distribution that a feed names beside it into the row's stream: `Red Hat:rhel_eus:9.2::baseos` is
`Red Hat:9`, stream `eus:9.2`; `SUSE:Linux Enterprise Module for Basesystem 15 SP5` is `SUSE:15.5`;
`Ubuntu:Pro:22.04:LTS` is `Ubuntu:22.04`, stream `pro`. Names that are of no such form stay.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.model import OperatingSystem

_RED_HAT_MAIN = re.compile(r"enterprise_linux:(\d+)(?:\.\d+)?(?:::.*)?")
_RED_HAT_LONG = re.compile(r"(?:rhel|enterprise_linux)_(\w+):(\d+)(\.\d+)?(?:::.*)?")
_RED_HAT_ADDED = re.compile(r"(\w+):([\w.]+)::el(\d+)")
_SUSE = re.compile(
    r"(?:SUSE )?Linux Enterprise (?!Micro).*?\b(\d{2})(?:(?:[ -]SP|\.)(\d+))?(?:-(\w+))?"
)
_SUSE_MICRO = re.compile(r"(?:SUSE )?Linux(?: Enterprise)? Micro (\d+\.\d+)")
_UBUNTU = re.compile(
    r"(?:Pro:)?(?:(FIPS[\w-]*|Realtime\w*):)?(\d+\.\d+)(?::LTS)?(?::.*)?", re.IGNORECASE
)

_BACKPORTED_TO = re.compile(r"([0-9]{1,2})\+")

_ENTERPRISE = {"Red Hat", "AlmaLinux", "Rocky Linux", "Oracle Linux"}
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
}
OS_TYPES = frozenset({"deb", "rpm", "apk", "alpm"})


@lru_cache(maxsize=4096)
def canonical(name: str) -> tuple[str, str]:
    """The database's (ecosystem, stream) of a feed's ecosystem name."""
    distribution, colon, rest = name.partition(":")
    if not colon:
        return name, ""
    if distribution == "Red Hat":
        return _red_hat(name, rest)
    if distribution == "SUSE":
        return _suse(name, rest)
    if distribution == "Ubuntu":
        return _ubuntu(name, rest)
    if distribution == "Alpine" and rest[:1].isdigit():
        return f"Alpine:v{rest}", ""
    return (name.removesuffix(" NonFree") if distribution == "openSUSE" else name), ""


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
    if match := _SUSE_MICRO.fullmatch(rest):
        return f"SUSE Micro:{match[1]}", ""
    if match := _SUSE.fullmatch(rest):
        # Long-term channels carry on the same line of versions: no stream of their own.
        return f"SUSE:{match[1]}.{match[2] or 0}", ""
    return name, ""


def _major(version: str) -> str:
    return version.partition(".")[0]


def of_machine(os: OperatingSystem) -> str:
    """The database's ecosystem of a machine's own packages, or "" where os-release does not say.

    The answer names the system also where no feed is known for it.
    """
    version = os.version_id
    if not os.id:
        return ""
    if os.id in _WHOLE_VERSION:
        return f"{_WHOLE_VERSION[os.id]}{version}"
    if os.id in _MAJOR_VERSION:
        return f"{_MAJOR_VERSION[os.id]}:{_major(version)}"
    if os.id == "alpine":
        parts = version.split(".")
        return "Alpine:edge" if "_" in version else f"Alpine:v{'.'.join(parts[:2])}"
    if os.id in {"sles", "sled", "sles_sap", "sle_hpc"}:
        return f"SUSE:{version if '.' in version else version + '.0'}"
    return _ROLLING.get(os.id, f"{os.id}:{version}")


_ROLLING = {
    "bottlerocket": "Bottlerocket",  # one list for all its versions
    "chainguard": "Chainguard",
    "opensuse-tumbleweed": "openSUSE:Tumbleweed",
    "wolfi": "Wolfi",
}
_WHOLE_VERSION = {
    "ubuntu": "Ubuntu:",
    "amzn": "Amazon Linux:",
    "fedora": "Fedora:",
    "opensuse-leap": "openSUSE:Leap ",
    "sle-micro": "SUSE Micro:",
    "sl-micro": "SUSE Micro:",
}
_MAJOR_VERSION = {
    "debian": "Debian",
    "almalinux": "AlmaLinux",
    "rocky": "Rocky Linux",
    "rhel": "Red Hat",
    "centos": "Red Hat",
    "ol": "Oracle Linux",
}


def of_package(
    package_type: str, os: OperatingSystem, vendor: str = "", backported_to: str = ""
) -> str:
    """The database's ecosystem of a package, or "" for a type that no feed speaks of.

    Packages that Fedora built for another distribution are EPEL's; `backported_to` is the release
    that `backport` tells of a version: such a build is of the release after it.
    """
    if package_type not in OS_TYPES:
        return LANGUAGES.get(package_type, "")
    own = of_machine(os)
    name, _colon, major = own.partition(":")
    if backported_to and name == "Debian":
        return f"Debian:{int(backported_to) + 1}"
    if vendor == "Fedora Project" and name in _ENTERPRISE:
        return f"EPEL:{major}"
    return "EPEL:7" if vendor == "Fedora Project" and own == "Amazon Linux:2" else own


def backport(version: str) -> tuple[str, str]:
    """What a build of Debian's backports was built from, and the release that it was built for.

    `6.5.10-1~bpo12+1` is 6.5.10-1 for Debian 12; the release is "" of any other version.
    """
    built_from, mark, rest = version.partition("~bpo")
    match = _BACKPORTED_TO.match(rest) if mark else None
    return (version, "") if match is None else (built_from, match[1])


def normal_name(ecosystem: str, name: str) -> str:
    """A package's name as its ecosystem compares names: PEP 503, NuGet's and Composer's case."""
    if ecosystem == "PyPI":
        return re.sub(r"[-_.]+", "-", name).lower()
    if ecosystem in {"NuGet", "Packagist"}:
        return name.lower()
    if ecosystem == "crates.io":
        return name.replace("_", "-")
    return name
