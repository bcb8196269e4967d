"""The command that mends a finding, by package manager.

Names come from the scanned machine and go through a shell's quoting: no name can become a command.
Nor can one become an option, a path or a pattern of the package manager's: for such a name, which
no real package has, there is no command.
"""

from __future__ import annotations

import re
from functools import lru_cache
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.advisories.verdicts import Verdict
    from sidelight.model import Package

_YUM = ("Amazon Linux:2", "Red Hat:6", "Red Hat:7", "Amazon Linux:2018.03")
_BY_SUBSCRIPTION = ("esm", "pro")
_OS_TYPES = ("deb", "apk", "rpm")
_OS_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_+.-]*[A-Za-z0-9_+.])?")  # apt removes `name-`


def remedy(package: Package, ecosystem: str, said: Verdict) -> str:
    """The command that mends this package, "" where there is none."""
    if not said.fixed:
        return ""
    if package.type == "deb" and said.stream.startswith(_BY_SUBSCRIPTION):
        return f"pro fix {quote(said.vulnerability)}"
    return command(package.type, package.name, ecosystem, said.fixed, said.advisories)


@lru_cache(maxsize=1 << 12)  # many vulnerabilities of a package have the same
def command(kind: str, name: str, ecosystem: str, fixed: str, advisories: tuple[str, ...]) -> str:
    """A shell command for the machine itself, by the version that mends and the errata that do.

    For a language package it changes the project that holds it, not the file found.
    """
    if not _is_a_name(kind, name):
        return ""
    if kind == "deb":
        return f"apt-get install --only-upgrade {quote(name)}"
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


# By purl type: {name}, {version} and {both}, where both are one word of the shell.
_LANGUAGES = {
    "pypi": ("pip install --upgrade {both}", "{0}>={1}"),
    "npm": ("npm install {both}", "{0}@{1}"),
    "golang": ("go get {both}", "{0}@v{1}"),
    "cargo": ("cargo update --package {name} --precise {version}", ""),
    "gem": ("bundle update {name}", ""),
    "nuget": ("dotnet add package {name} --version {version}", ""),
    "composer": ("composer require {both}", "{0}:^{1}"),
    "maven": ("mvn versions:use-dep-version -Dincludes={name} -DdepVersion={version}", ""),
}


def _language(kind: str, name: str, fixed: str) -> str:
    template, pair = _LANGUAGES.get(kind, ("", ""))
    version = fixed.removeprefix("v")
    return template.format(
        name=quote(name), version=quote(version), both=quote(pair.format(name, version))
    )
