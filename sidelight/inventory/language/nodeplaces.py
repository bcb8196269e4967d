"""Where Node.js finds what a package requires: in `node_modules` of its directory, or above it.

Source: Node.js' documentation of CommonJS modules ("Loading from node_modules folders").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.protocol import MAX_PATH

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

MODULES: Final = "node_modules/"
_MOST_LEVELS: Final = 128  # of directories that are looked in


def needs_of(found: dict[str, object]) -> list[str]:
    """Return the names that a package.json, or an entry of a lock file, requires to run."""
    kinds = (found.get("dependencies"), found.get("optionalDependencies"))
    return [name for kind in kinds if isinstance(kind, dict) for name in kind]


def found_at(places: Container[str], place: str, names: Iterable[str]) -> Iterator[str]:
    """Yield the places of a lock file at which a package finds names; those not there are left out.

    `place` is the package's: `node_modules/a/node_modules/b`, or `packages/app` of a workspace.
    """
    directories = list(_directories(place))
    for name in names:
        tried = (f"{directory}{MODULES}{name}" for directory in directories)
        found = next((item for item in tried if item in places), None)
        if found is not None:
            yield found


def _directories(place: str) -> Iterator[str]:
    """Yield a place and the directories above it, each with a slash, the root as an empty text."""
    if len(place) > MAX_PATH:
        return
    for _ in range(_MOST_LEVELS):
        if not place:
            break
        if place.rpartition("/")[2] != MODULES[:-1]:
            yield f"{place}/"
        place = place.rpartition("/")[0]
    yield ""
