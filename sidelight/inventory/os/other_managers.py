"""Package managers except the distribution's: Homebrew is read; Nix, Guix and Spack are Problems.

No feed has advisories for what Homebrew installs, so a scan lists it as not covered. The databases
of Nix, Guix and Spack are not read, and each is a Problem. So are images that systemd merges into
the system or attaches to it.
Sources: systemd-sysext(8), portablectl(1), Homebrew's documentation ("Cellar"), Nix' manual ("Local
Store"), Guix' ("The Store"), Spack's ("Database").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.protocol import Extraction, Wants, unfit
from sidelight.inventory.purl import format_purl
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Machine, WantedFile

_RECEIPT: Final = "INSTALL_RECEIPT.json"
_KEG: Final = re.compile(r"(?:.*/)?Cellar/([^/]+)/([^/]+)/INSTALL_RECEIPT\.json")
_PATH_LIMIT: Final = 4096  # characters
# By the end of the database's path: a store may be a user's own (`~/.local/share/nix/root`).
_STORES: Final = {
    "nix/var/nix/db/db.sqlite": "Nix",
    "var/guix/db/db.sqlite": "Guix",
    ".spack-db/index.json": "Spack",
}


_IMAGES: Final = re.compile(
    r"(?:var/lib|etc|usr/lib|usr/local/lib)/(?:extensions|confexts|portables)"
    r"/(?:[^/]+\.raw\.v/)?[^/]+\.raw"
)


def _is_keg(path: str) -> bool:
    return len(path) <= _PATH_LIMIT and _KEG.fullmatch(path) is not None


def _manager(path: str) -> str:
    """The package manager whose database is at a path, else empty."""
    if _IMAGES.fullmatch(path):
        return "a system extension"
    ends = (manager for end, manager in _STORES.items() if f"/{path}".endswith(f"/{end}"))
    return next(ends, "")


class HomebrewReceipts:
    """Homebrew's formulae, by the receipt in the directory of each: Cellar/NAME/VERSION."""

    name = "os/homebrew"
    wants = Wants(names=frozenset((_RECEIPT,)), confirm=_is_keg, limit=8 << 20)

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """One package; the revision (`_1`) is a part of the version."""
        found = Extraction()
        match = _KEG.fullmatch(file.path)
        if match is None:
            return found
        name, version, where = match[1], match[2], f"/{file.path}"
        if fault := unfit(name, version):
            found.note(where, fault)
            return found
        purl = format_purl("brew", "", name, version)
        found.packages.append(Package("brew", name, version, where, purl))
        return found


class UnreadStores:
    """Package managers whose databases are not read. Gives Problems alone."""

    name = "os/unread-stores"
    wants = Wants(
        names=frozenset(("db.sqlite", "index.json")),
        suffixes=frozenset((".raw",)),
        confirm=lambda path: bool(_manager(path)),
        limit=4 << 30,
        random_access=True,
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """A Problem for each database."""
        found = Extraction()
        manager = _manager(file.path)
        found.note(f"/{file.path}", f"{manager}'s packages are not in the inventory")
        return found
