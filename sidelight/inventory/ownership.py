"""Which files the distribution's packages own, by the names that they and the tree give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.inventory.protocol import Extraction


class Ownership:
    """The paths of one root that installed packages own, among those that somebody asks about.

    Nothing is kept of owned paths that nobody asks about, so memory is bounded by what the walk
    found and not by what a package database claims.

    dpkg may say lib/x86_64-linux-gnu/libc.so.6 where the tree has usr/lib/…, since /lib is a link
    to usr/lib; and a package made after the merge says usr/lib/….

    The file that names a package's vendor and the one that lists its paths may come in any order:
    `settle` decides whose paths count.
    """

    def __init__(self, merged: Sequence[tuple[str, str]], paths: Iterable[str]) -> None:
        """`merged`: (directory, the link that stands for it), both ending in a slash.

        `paths`: those of the walk, without a leading slash, that will be looked up.
        """
        self._merged = merged
        self._looked_up: set[str] = set()
        for path in paths:
            self._looked_up.update(self._names(path))
        self._owned: set[str] = set()
        self._claims: dict[str, set[str]] = {}
        self._installed: set[str] = set()
        self._diverted: dict[str, str] = {}

    def take(self, found: Extraction) -> None:
        """Note what one file of a package manager says: owned paths, owners, diverted paths."""
        self._installed |= found.installed
        self._diverted.update(found.diverted)
        if not found.owned:
            return
        owned = self._looked_up & found.owned
        if not found.owner:
            self._owned |= owned
        elif owned:
            self._claims.setdefault(found.owner, set()).update(owned)

    def settle(self) -> None:
        """Make owned what installed packages claim. Call it when all databases were taken."""
        for owner, paths in self._claims.items():
            if owner in self._installed:
                self._owned.update(path for path in paths if self._is_at(path, owner))
        self._claims.clear()

    def _is_at(self, path: str, owner: str) -> bool:
        """Whether the owner's file lies there. One that was diverted lies elsewhere; it is read."""
        diverter = self._diverted.get(path)
        return diverter is None or (bool(diverter) and owner.partition(":")[0] == diverter)

    def __contains__(self, path: str) -> bool:
        """Whether a path of the walk (which meets no links) is owned under any of its names."""
        return any(name in self._owned for name in self._names(path))

    def _names(self, path: str) -> list[str]:
        names = [path]
        for real, link in self._merged:
            if path.startswith(real):
                names.append(link + path[len(real) :])
        return names
