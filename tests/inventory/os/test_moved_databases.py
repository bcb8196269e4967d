"""A package database that is configured to be elsewhere is a Problem, not a clean machine."""

from __future__ import annotations

import pytest

from sidelight.inventory.os.moved_databases import MovedDatabases
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile


def problems(path: str, text: str) -> list[str]:
    found = MovedDatabases().extract(MemoryFile(text.encode(), path), Machine(OperatingSystem()))
    return [problem.what for problem in found.problems]


@pytest.mark.parametrize(
    ("path", "text", "place"),
    [
        ("etc/dpkg/dpkg.cfg", "no-debsig\nadmindir /opt/dpkg\n", "/opt/dpkg"),
        ("etc/dpkg/dpkg.cfg.d/x", "admindir=/opt/dpkg", "/opt/dpkg"),
        ("etc/dpkg/dpkg.cfg", "--admindir = /opt/dpkg", "/opt/dpkg"),
        ("etc/dpkg/dpkg.cfg", "root /srv/other\n", "/srv/other/var/lib/dpkg"),
        ("etc/rpm/macros", "%_dbpath /opt/rpm\n", "/opt/rpm"),
        ("etc/rpm/macros.local", "%define _dbpath\t%{_usr}/rpm", "/usr/rpm"),
        ("etc/pacman.conf", "[options]\nDBPath      = /opt/pacman/\n", "/opt/pacman"),
        ("etc/pacman.conf", "RootDir = /srv", "/srv/var/lib/pacman"),
    ],
)
def test_another_place_is_named(path: str, text: str, place: str) -> None:
    (problem,) = problems(path, text)
    assert f"in {place}, which is not read" in problem


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/dpkg/dpkg.cfg", "# admindir /opt/dpkg\nno-debsig\nlog /var/log/dpkg.log\n"),
        ("etc/dpkg/dpkg.cfg.d/docker", "path-exclude /usr/share/doc/*\nforce-unsafe-io\n"),
        ("etc/dpkg/dpkg.cfg", "admindir //var/lib/dpkg/\nroot /\n"),
        ("etc/rpm/macros.dist", "%rhel 9\n%dist .el9\n"),
        ("etc/rpm/macros", "%_dbpath %{_var}/lib/rpm\n# %_dbpath /opt\n"),
        ("etc/pacman.conf", "#RootDir = /\n#DBPath = /opt/\nDBPath = /var/lib/pacman/\n"),
    ],
)
def test_the_default_paths_of_databases_are_no_problem(path: str, text: str) -> None:
    assert not problems(path, text)
