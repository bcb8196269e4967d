"""The command that fixes, for each package manager; no name of a machine's becomes another one."""

from __future__ import annotations

import shlex
from typing import NamedTuple

import pytest

from sidelight.advisories.ecosystems import LANGUAGES
from sidelight.advisories.judge.remedies import command


class Case(NamedTuple):
    """A package, the version that fixes it, the errata that bring it, and the command."""

    kind: str
    ecosystem: str
    name: str
    fixed: str
    errata: tuple[str, ...]
    words: str

    def command(self) -> str:
        return command(self.kind, self.name, self.ecosystem, self.fixed, self.errata)


COMMANDS = [
    Case("deb", "Debian:12", "g++", "12-1", (), "apt-get install --only-upgrade g++"),
    Case("deb", "Ubuntu:22.04", "sed", "2-1", ("USN-1",), "apt-get install --only-upgrade sed"),
    Case("apk", "Alpine:v3.19", "libcrypto3", "3-r1", (), "apk add --upgrade libcrypto3"),
    Case("rpm", "AlmaLinux:9", "bind", "9-1", ("ALSA-1",), "dnf upgrade --advisory ALSA-1 bind"),
    Case("rpm", "Red Hat:9", "bind", "9", ("CVE-1", "R-1"), "dnf upgrade --advisory R-1 bind"),
    Case("rpm", "Rocky Linux:8", "bind", "9-1", ("RLSA-1", "RLSA-2"), "dnf upgrade bind"),
    Case("rpm", "Amazon Linux:2023", "bind", "9-1", (), "dnf upgrade bind"),
    Case("rpm", "Fedora:43", "bind", "9-1", ("F-1",), "dnf upgrade --advisory F-1 bind"),
    Case("rpm", "Amazon Linux:2", "bind", "9-1", ("ALAS2-1",), "yum update bind"),
    Case("rpm", "Red Hat:7", "bind", "9-1", ("RHSA-1",), "yum update bind"),
    Case("rpm", "SUSE:15.5", "libzypp", "9-1", ("SUSE-SU-1",), "zypper update libzypp"),
    Case("rpm", "openSUSE:Leap 15.6", "libzypp", "9-1", (), "zypper update libzypp"),
    Case("pypi", "PyPI", "Django", "4.2", (), "pip install --upgrade 'Django>=4.2'"),
    Case("npm", "npm", "@a/b", "1.2.6", (), "npm install @a/b@1.2.6"),
    Case("golang", "Go", "golang.org/x/net", "v0.17.0", (), "go get golang.org/x/net@v0.17.0"),
    Case("cargo", "crates.io", "time", "0.2", (), "cargo update --package time --precise 0.2"),
    Case("gem", "RubyGems", "rack", "2.2.3", (), "bundle update rack"),
    Case("nuget", "NuGet", "A.B", "2.0", (), "dotnet add package A.B --version 2.0"),
    Case("composer", "Packagist", "a/b", "2.0", (), "composer require 'a/b:^2.0'"),
    Case("hex", "Hex", "plug", "1.2.0", (), "mix deps.update plug"),
    Case("pub", "Pub", "http", "1.2.0", (), "dart pub upgrade http"),
    Case("swift", "SwiftURL", "swift-nio", "2.0", (), "swift package update swift-nio"),
    Case("cran", "CRAN", "readxl", "1.3.2", (),
         "Rscript -e 'install.packages(commandArgs(TRUE))' readxl"),
    Case("hackage", "Hackage", "aeson", "2.1.0", (), "cabal freeze --constraint 'aeson>=2.1.0'"),
    Case("julia", "Julia", "HTTP", "1.10.17", (), "julia -e 'using Pkg; Pkg.update(ARGS)' HTTP"),
    Case("opam", "opam", "cohttp", "5.0", (), "opam upgrade cohttp"),
    Case("maven", "Maven", "g:a", "2.0", (),
     "mvn versions:use-dep-version -Dincludes=g:a -DdepVersion=2.0"),
]  # fmt: skip
HOSTILE = ["x; reboot", "$(reboot)", "`reboot`", "a' b", 'a" b', "a\nreboot", "a b", "a|b", "a&b",
           "a>b", "*", "~root", "\udcff", "#", "\\"]  # fmt: skip


@pytest.mark.parametrize("case", COMMANDS)
def test_each_package_manager_has_its_command(case: Case) -> None:
    assert case.command() == case.words


def test_swift_knows_a_package_by_the_end_of_its_address() -> None:
    case = Case("swift", "SwiftURL", "github.com/apple/swift-nio", "2.0", (), "")
    assert case.command() == "swift package update swift-nio"
    assert case._replace(name="github.com/x/-y").command() == ""


def test_every_kind_of_package_of_which_advisories_speak_has_one() -> None:
    assert {case.kind for case in COMMANDS} == {"deb", "apk", "rpm", *LANGUAGES}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("case", COMMANDS)
def test_a_hostile_name_is_one_word_or_there_is_no_command(case: Case, hostile: str) -> None:
    command_line = case._replace(name=hostile).command()
    if case.kind not in LANGUAGES:
        assert command_line == ""
        return
    assert shlex.split(command_line) == [
        w.replace(case.name, hostile) for w in shlex.split(case.words)
    ]


@pytest.mark.parametrize("name", ["-y", "--allow-downgrades", "-oDPkg::Pre-Invoke::=reboot"])
@pytest.mark.parametrize("case", COMMANDS)
def test_no_name_is_an_option(case: Case, name: str) -> None:
    assert case._replace(name=name).command() == ""


@pytest.mark.parametrize("name", ["systemd-", "./a.deb", "bash/unstable", "lib.*", "a=1"])
def test_no_name_is_a_removal_a_path_or_a_pattern(name: str) -> None:
    assert COMMANDS[0]._replace(name=name).command() == ""


@pytest.mark.parametrize("case", COMMANDS)
def test_hostile_errata_and_versions_are_one_word(case: Case) -> None:
    command_line = case._replace(fixed="1; reboot", errata=("A; reboot",)).command()
    assert "reboot" not in shlex.split(command_line)
