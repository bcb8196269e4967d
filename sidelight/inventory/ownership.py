"""Which files OS packages own, by the names that the packages and the tree give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Ownership:
    """A set of owned paths (no leading slash) that knows which directories were merged.

    dpkg may say lib/x86_64-linux-gnu/libc.so.6 where the tree has usr/lib/…, since /lib is a link
    to usr/lib; and a package made after the merge says usr/lib/….
    """

    def __init__(self, merged: Sequence[tuple[str, str]]) -> None:
        """`merged`: (directory, the link that stands for it), both ending in a slash."""
        self._paths: set[str] = set()
        self._merged = merged

    def add(self, paths: Iterable[str]) -> None:
        """Note owned paths as a package manager writes them."""
        self._paths.update(paths)

    def __contains__(self, path: str) -> bool:
        """Whether a path of the walk (which meets no links) is owned under any of its names."""
        if path in self._paths:
            return True
        return any(
            link + path[len(real) :] in self._paths
            for real, link in self._merged
            if path.startswith(real)
        )

    def __len__(self) -> int:
        return len(self._paths)
