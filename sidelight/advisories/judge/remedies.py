"""The command that fixes a finding, by package manager.

Names come from the scanned machine and are quoted for a shell: no name can become a command. A name
cannot become an option, a path or a pattern of the package manager either: for such a name, which
no real package has, there is no command.
"""

from __future__ import annotations

import re
from functools import lru_cache
from shlex import quote
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Package

_YUM = ("Amazon Linux:2", "Red Hat:6", "Red Hat:7", "Amazon Linux:2018.03")
_BY_SUBSCRIPTION = ("esm", "pro")
_OS_TYPES = ("deb", "apk", "rpm")
_OS_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_+.-]*[A-Za-z0-9_+.])?")  # apt removes `name-`


class Fixed(Protocol):
    """The members of a verdict that a remedy needs."""

    @property
    def vulnerability(self) -> str: ...  # noqa: D102 - the id
    @property
    def fixed(self) -> str: ...  # noqa: D102 - the fixed version, empty where there is none
    @property
    def advisories(self) -> tuple[str, ...]: ...  # noqa: D102 - their ids
    @property
    def stream(self) -> str: ...  # noqa: D102 - the product's, empty where it has none


def remedy(package: Package, ecosystem: str, verdict: Fixed) -> str:
    """Return the command that fixes this package, "" if there is none."""
    if not verdict.fixed:
        return ""
    if package.type == "deb" and verdict.stream.startswith(_BY_SUBSCRIPTION):
        return f"pro fix {quote(verdict.vulnerability)}"
    return command(package.type, package.name, ecosystem, verdict.fixed, verdict.advisories)


@lru_cache(maxsize=1 << 12)  # many vulnerabilities of a package have the same command
def command(kind: str, name: str, ecosystem: str, fixed: str, advisories: tuple[str, ...]) -> str:
    """Return a shell command for the machine itself, by the fixed version and its errata.

    For a language package the command changes the project that contains it, not the file found.
    """
    if kind == "swift":
        name = name.rpartition("/")[2]  # SwiftPM knows a package by the end of its address
    if not _is_a_name(kind, name):
        return ""
    if kind == "deb":
        return f"apt-get install --only-upgrade {quote(name)}"
    if kind == "macos":
        return "softwareupdate --install --all --restart"
    if kind == "apk":
        return f"apk add --upgrade {quote(name)}"
    if kind == "rpm":
        return _rpm(quote(name), ecosystem, advisories)
    return _language(kind, name, fixed)


def _is_a_name(kind: str, name: str) -> bool:
    if kind in _OS_TYPES:
        return _OS_NAME.fullmatch(name) is not None
    return not name.startswith("-")


def _rpm(name: str, ecosystem: str, advisories: Sequence[str]) -> str:
    if ecosystem.startswith(("SUSE", "openSUSE")):
        return f"zypper update {name}"
    if ecosystem in _YUM:
        return f"yum update {name}"
    errata = [item for item in advisories if not item.startswith("CVE-")]
    if len(errata) == 1:
        return f"dnf upgrade --advisory {quote(errata[0])} {name}"
    return f"dnf upgrade {name}"


# By purl type: {name}, {version} and {both}; {both} is one word of the shell.
_LANGUAGES = {
    "pypi": ("pip install --upgrade {both}", "{0}>={1}"),
    "npm": ("npm install {both}", "{0}@{1}"),
    "golang": ("go get {both}", "{0}@v{1}"),
    "cargo": ("cargo update --package {name} --precise {version}", ""),
    "gem": ("bundle update {name}", ""),
    "nuget": ("dotnet add package {name} --version {version}", ""),
    "composer": ("composer require {both}", "{0}:^{1}"),
    "hex": ("mix deps.update {name}", ""),
    "pub": ("dart pub upgrade {name}", ""),
    "swift": ("swift package update {name}", ""),
    "cran": ("Rscript -e 'install.packages(commandArgs(TRUE))' {name}", ""),
    "hackage": ("cabal freeze --constraint {both}", "{0}>={1}"),
    "julia": ("julia -e 'using Pkg; Pkg.update(ARGS)' {name}", ""),
    "opam": ("opam upgrade {name}", ""),
    "maven": ("mvn versions:use-dep-version -Dincludes={name} -DdepVersion={version}", ""),
}


def _language(kind: str, name: str, fixed: str) -> str:
    template, pair = _LANGUAGES.get(kind, ("", ""))
    version = fixed.removeprefix("v")
    return template.format(
        name=quote(name), version=quote(version), both=quote(pair.format(name, version))
    )
