"""Version orderings: one module each, version -> sortable bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from sidelight.errors import UnsupportedError
from sidelight.versions import (
    apk,
    apple,
    composer,
    dpkg,
    gem,
    maven,
    nuget,
    numbers,
    pep440,
    rpm,
    semver,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _rpm_without_epoch(version: str) -> bytes:
    return rpm.key(rpm.without_epoch(version))


_ORDERS: dict[str, Callable[[str], bytes]] = {
    "dpkg": dpkg.key,
    "rpm": rpm.key,
    # Feeds of SUSE, Photon, openEuler and their like state no epoch, so none is compared.
    "rpm-without-epoch": _rpm_without_epoch,
    "apk": apk.key,
    "pep440": pep440.key,
    "semver": semver.key,
    "go": semver.go_key,
    "maven": maven.key,
    "gem": gem.key,
    "nuget": nuget.key,
    "composer": composer.key,
    "cran": numbers.key,
    "hackage": numbers.key,
    "pub": semver.pub_key,
    "apple": apple.key,
    "windows-build": numbers.key,
}

# By the first part of an advisory ecosystem's name, and by purl type; lower case. Every ecosystem
# of OSV's schema is here or in advisories/ecosystems.py among those that no machine here has.
_SCHEMES = {
    "debian": "dpkg",
    "ubuntu": "dpkg",
    "deb": "dpkg",
    "echo": "dpkg",
    "alpine": "apk",
    "alpaquita": "apk",
    "bellsoft hardened containers": "apk",
    "chainguard": "apk",
    "cleanstart": "apk",
    "minimos": "apk",
    "wolfi": "apk",
    "almalinux": "rpm",
    "amazon linux": "rpm",
    "bottlerocket": "rpm",
    "epel": "rpm",
    "fedora": "rpm",
    "oracle linux": "rpm",
    "red hat": "rpm",
    "rocky linux": "rpm",
    "azure linux": "rpm-without-epoch",
    "mageia": "rpm-without-epoch",
    "openeuler": "rpm-without-epoch",
    "photon os": "rpm-without-epoch",
    "suse": "rpm-without-epoch",
    "suse micro": "rpm-without-epoch",
    "opensuse": "rpm-without-epoch",
    "pypi": "pep440",
    "npm": "semver",
    "bitnami": "semver",
    "crates.io": "semver",
    "cargo": "semver",
    "github actions": "semver",
    "hex": "semver",
    "julia": "semver",
    "kubernetes": "go",
    "swifturl": "semver",
    "swift": "semver",
    "vscode": "semver",
    "golang": "go",
    "rubygems": "gem",
    "packagist": "composer",
    "bioconductor": "cran",
    "ghc": "hackage",
    "opam": "dpkg",
    "macos": "apple",
    "windows": "windows-build",
}


def scheme_of(ecosystem: str) -> str:
    """The ordering of an advisory ecosystem (`Debian:12`), a purl type or a scheme's own name.

    Raises UnsupportedError for one that has none here.
    """
    if ecosystem in _ORDERS:
        return ecosystem
    first = ecosystem.partition(":")[0].lower()
    scheme = _SCHEMES.get(first, first)
    if scheme not in _ORDERS:
        raise UnsupportedError("no order of versions is known for it", where=ecosystem)
    return scheme


def end_key(ecosystem_or_scheme: str, version: str) -> bytes:
    """The key of an end that is included: of the last build that the version stands for.

    Raises as `sort_key`.
    """
    scheme = scheme_of(ecosystem_or_scheme)
    return pep440.last_build(version) if scheme == "pep440" else sort_key(scheme, version)


@lru_cache(maxsize=1 << 17)
def sort_key(ecosystem_or_scheme: str, version: str) -> bytes:
    """Bytes that order versions as their ecosystem does: equal versions have equal bytes.

    Raises FormatError where the ecosystem refuses the version, UnsupportedError where the
    ecosystem is not known.
    """
    return _ORDERS[scheme_of(ecosystem_or_scheme)](version)
