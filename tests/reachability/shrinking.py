"""Make a network smaller while it still shows something: a difference, most of the time."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Lists = dict[str, list[dict[str, Any]]]


def shrunk(answers: Lists, shows: Callable[[Lists], bool]) -> Lists:
    """Return answers without the objects, and the members of their lists, that do not matter.

    `shows` says whether answers still show it; an error that answers cause counts as not.
    """
    smallest = copy.deepcopy(answers)
    progress = True
    while progress:
        progress = False
        for container, index in list(_members(smallest)):
            if index >= len(container):
                continue
            removed = container.pop(index)
            if _holds(shows, smallest):
                progress = True
            else:
                container.insert(index, removed)
    return {name: objects for name, objects in smallest.items() if objects}


def _holds(shows: Callable[[Lists], bool], answers: Lists) -> bool:
    try:
        return shows(answers)
    except (KeyError, IndexError, ValueError, StopIteration):
        return False


def _members(value: Any) -> Iterator[tuple[list[Any], int]]:
    """Yield each list's members from the last, the outermost lists first."""
    if isinstance(value, list):
        yield from ((value, index) for index in reversed(range(len(value))))
        for item in value:
            yield from _members(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _members(item)
