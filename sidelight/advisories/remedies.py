"""The command that mends a finding, by package manager.

Names come from the scanned machine and go through a shell's quoting: no name can become a command.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Package

_YUM = ("Amazon Linux:2", "Red Hat:6", "Red Hat:7", "Amazon Linux:2018.03")


class Fix(NamedTuple):
    """What mends a vulnerability: a version, the errata that bring it, and their stream."""

    version: str
    advisories: Sequence[str]
    vulnerability: str
    stream: str = ""


def command(package: Package, ecosystem: str, fix: Fix) -> str:
    """A shell command for the machine itself, "" where no fix is known.

    For a language package it changes the project that holds it, not the file found.
    """
    if not fix.version:
        return ""
    name = quote(package.name)
    if package.type == "deb":
        if fix.stream.startswith(("esm", "pro")):
            return f"pro fix {quote(fix.vulnerability)}"
        return f"apt-get install --only-upgrade {name}"
    if package.type == "apk":
        return f"apk add --upgrade {name}"
    if package.type == "rpm":
        return _rpm(name, ecosystem, fix.advisories)
    return _language(package, fix.version)


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
    "pypi": ("pip install --upgrade {both}", "{0.name}>={1}"),
    "npm": ("npm install {both}", "{0.name}@{1}"),
    "golang": ("go get {both}", "{0.name}@v{1}"),
    "cargo": ("cargo update --package {name} --precise {version}", ""),
    "gem": ("bundle update {name}", ""),
    "nuget": ("dotnet add package {name} --version {version}", ""),
    "composer": ("composer require {both}", "{0.name}:^{1}"),
    "maven": ("mvn versions:use-dep-version -Dincludes={name} -DdepVersion={version}", ""),
}


def _language(package: Package, fixed: str) -> str:
    template, pair = _LANGUAGES.get(package.type, ("", ""))
    version = fixed.removeprefix("v")
    return template.format(
        name=quote(package.name),
        version=quote(version),
        both=quote(pair.format(package, version)),
    )
