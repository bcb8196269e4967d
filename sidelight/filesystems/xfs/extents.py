"""Extents of a file in bytes, and the changes of them that the log promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.blocks import Extent


class Remap(NamedTuple):
    """A change of a file's map that the log promises and the disk does not have yet, in bytes."""

    logical: int
    length: int
    physical: int  # -1: a hole


def remap(extents: list[Extent], changes: Iterable[Remap]) -> list[Extent]:
    """Extents after these changes, in their order."""
    for change in changes:
        end = change.logical + change.length
        kept: list[Extent] = []
        for logical, physical, length in extents:
            if logical < change.logical:
                kept.append((logical, physical, min(length, change.logical - logical)))
            if logical + length > end:
                skip = max(0, end - logical)
                kept.append((logical + skip, physical + skip, length - skip))
        if change.physical >= 0:
            kept.append((change.logical, change.physical, change.length))
        kept.sort()
        extents = kept
    return extents
