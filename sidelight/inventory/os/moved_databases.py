"""Configuration that moves a package manager's database: what is read elsewhere is then a decoy.

Only the usual places are read. A database that is configured to be somewhere else is a Problem, so
that an empty one at the usual place does not look like a clean machine.

Sources: dpkg(1) ("admindir", "root", CONFIGURATION FILE), rpm's macro `_dbpath`, pacman.conf(5).
"""

from __future__ import annotations

import re
from posixpath import normpath
from typing import TYPE_CHECKING

from sidelight.inventory.protocol import MAX_PATH, Extraction, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.protocol import Machine, WantedFile

_DPKG, _RPM, _PACMAN = "etc/dpkg/dpkg.cfg", "etc/rpm", "etc/pacman.conf"
# dpkg's options are one a line, without the dashes of the command line.
_DPKG_OPTION = re.compile(r"[ \t]*(?:--)?(admindir|root)(?:[ \t]*=[ \t]*|[ \t]+)(\S.*)")
_RPM_MACRO = re.compile(r"[ \t]*%(?:define[ \t]+|global[ \t]+)?_dbpath[ \t]+(\S.*)")
_PACMAN_OPTION = re.compile(r"[ \t]*(DBPath|RootDir)[ \t]*=[ \t]*(\S.*)")
_MACROS = {
    "%{_usr}": "/usr", "%{_prefix}": "/usr", "%{_var}": "/var", "%{_localstatedir}": "/var",
    "%{_sharedstatedir}": "/var/lib", "%{_datadir}": "/usr/share",
}  # fmt: skip
_USUAL = {
    "dpkg": frozenset({"/var/lib/dpkg"}),
    "rpm": frozenset({"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"}),
    "pacman": frozenset({"/var/lib/pacman"}),
}
_SHOWN = 200  # characters of a path in a Problem


class MovedDatabases:
    """The configuration files of dpkg, rpm and pacman. Gives Problems alone."""

    name = "os/moved-databases"
    wants = Wants(
        paths=frozenset((_DPKG, _PACMAN)),
        directories=frozenset((f"{_DPKG}.d", _RPM)),
        limit=1 << 20,
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """A Problem for each line that names another place than the usual ones."""
        found = Extraction()
        manager, places = _places(file.path, file.read().decode("utf-8", "surrogateescape"))
        for place in places:
            if place[:MAX_PATH] not in _USUAL[manager]:
                what = f"{manager} keeps its database in {place[:_SHOWN]}, which is not read"
                found.note(f"/{file.path}", what)
        return found


def _places(path: str, text: str) -> tuple[str, Iterator[str]]:
    if path.startswith(_DPKG):
        return "dpkg", _under(_DPKG_OPTION, text, "root", "/var/lib/dpkg")
    if path == _PACMAN:
        return "pacman", _under(_PACMAN_OPTION, text, "RootDir", "/var/lib/pacman")
    return "rpm", (_expanded(match[1]) for match in _matches(_RPM_MACRO, text))


def _under(pattern: re.Pattern[str], text: str, root: str, usual: str) -> Iterator[str]:
    for match in _matches(pattern, text):
        name, value = match[1], match[2].strip()
        yield _normal(f"{value}{usual}" if name == root else value)


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    for line in text.split("\n"):
        if match := pattern.match(line):
            yield match


def _expanded(value: str) -> str:
    for macro, meaning in _MACROS.items():
        value = value.replace(macro, meaning)
    return _normal(value.strip())


def _normal(path: str) -> str:
    """`/var/lib/dpkg` for `//var/lib/./dpkg/`; a long one is cut: no usual place is long."""
    path = normpath(path[: MAX_PATH + 1])
    return f"/{path.lstrip('/')}" if path.startswith("/") else path
