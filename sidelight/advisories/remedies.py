"""The command that mends a finding, by package manager.

Names come from the scanned machine and go through a shell's quoting: no name can become a command.
Nor can one become an option, a path or a pattern of the package manager's: for such a name, which
no real package has, there is no command.
"""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Package

_YUM = ("Amazon Linux:2", "Red Hat:6", "Red Hat:7", "Amazon Linux:2018.03")
_BY_SUBSCRIPTION = ("esm", "pro")
_OS_TYPES = ("deb", "apk", "rpm")
_OS_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_+.-]*[A-Za-z0-9_+.])?")  # apt removes `name-`


class Remedies(dict[tuple[str, tuple[str, ...]], str]):
    """The commands for one package by (version that mends, errata that bring it).

    Each is a shell command for the machine itself, made when it is first asked for: many
    vulnerabilities have the same. For a language package it changes the project that holds it, not
    the file found.
    """

    def __init__(self, package: Package, ecosystem: str) -> None:
        super().__init__()
        self._package = package
        self._ecosystem = ecosystem

    def __missing__(self, key: tuple[str, tuple[str, ...]]) -> str:
        made = self[key] = self._made(*key)
        return made

    def in_stream(
        self, fixed: str, advisories: tuple[str, ...], vulnerability: str, stream: str
    ) -> str:
        """The command where the version that mends is not in the distribution's main stream."""
        if self._package.type == "deb" and stream.startswith(_BY_SUBSCRIPTION):
            return f"pro fix {quote(vulnerability)}"
        return self[fixed, advisories]

    def _made(self, fixed: str, advisories: tuple[str, ...]) -> str:
        name = quote(self._package.name)
        if not self._is_a_name():
            return ""
        if self._package.type == "deb":
            return f"apt-get install --only-upgrade {name}"
        if self._package.type == "apk":
            return f"apk add --upgrade {name}"
        if self._package.type == "rpm":
            return _rpm(name, self._ecosystem, advisories)
        return _language(self._package, fixed)

    def _is_a_name(self) -> bool:
        if self._package.type in _OS_TYPES:
            return _OS_NAME.fullmatch(self._package.name) is not None
        return not self._package.name.startswith("-")


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
