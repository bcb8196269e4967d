"""What is reached from a lock file's roots: the difference between shipped and development."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def reachable(roots: Iterable[str], edges: Callable[[str], Iterable[str]]) -> set[str]:
    """All keys reached from `roots`, themselves included.

    `edges` may name keys that do not exist: they are reached too.
    """
    seen = set(roots)
    waiting = list(seen)
    while waiting:
        for key in edges(waiting.pop()):
            if key not in seen:
                seen.add(key)
                waiting.append(key)
    return seen
