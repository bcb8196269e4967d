"""Names in directories that ignore the case of letters, under the names by which programs ask.

A walk gives names as they are stored: `/VAR/Lib` where dpkg opens `var/lib`. Here each wanted name
is put in place of the stored one, on the way down too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.filesystems.letter_case import folding, renamed

if TYPE_CHECKING:
    from sidelight.filesystems.protocol import Entry, Filesystem
    from sidelight.inventory.file_matcher import WantedTable

# Directories that conditions of extractors on whole paths name, and release files' and mounts'.
_DIRECTORIES = frozenset(
    (
        b"node_modules", b"specifications", b"ebin", b"conda-meta", b"META-INF", b"EGG-INFO",
        b"maven", b"composer", b"wp-includes", b"wp-content", b"include", b"etc", b"usr", b"var",
    )
)  # fmt: skip


class LetterCases:
    """The stored paths of one walk that are known by other names."""

    def __init__(self, table: WantedTable) -> None:
        self._table = table
        self._known_as: dict[bytes, bytes] = {}  # a directory's stored path -> its wanted one

    def path(self, stored: bytes) -> bytes:
        """The path of a directory by the wanted names of those above it."""
        if not self._known_as:
            return stored
        at = len(stored)
        while at > 0:
            known = self._known_as.get(stored[:at])
            if known is not None:
                return known + stored[at:]
            at = stored.rfind(b"/", 0, at)
        return stored

    def entries(
        self, stored: bytes, inside: bytes, fs: Filesystem, number: int, entries: list[Entry]
    ) -> list[Entry]:
        """The entries of a directory by wanted names; `inside` is its path within its root."""
        fold = folding(fs, number)
        if fold is None:
            return entries
        found = renamed(entries, self._table.names_in(inside) | _DIRECTORIES, fold)
        above, prefix = self.path(stored), stored + b"/" if stored else b""
        for old, new in zip(entries, found, strict=True):
            if old not in new:
                first = new[0][0]
                self._known_as[prefix + old[0]] = above + b"/" + first if above else first
        return [entry for known_as in found for entry in known_as]
