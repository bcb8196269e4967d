"""Which of two systems on one disk boots, where GPT attributes say so.

Bottlerocket keeps two sets of partitions, Flatcar two of /usr: an update writes those that are not
in use. Source: Bottlerocket's signpost (`next`), after ChromeOS's "Disk Format".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.disk import VolumeSlice

BOTTLEROCKET_BOOT = "6b636168-7420-6568-2070-6c616e657421"
BOTTLEROCKET_ROOT = "5526016a-1a97-4ea4-b39a-b7c8c6ca4502"
FLATCAR_USR = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"

# Of a partition's attributes: four bits each, and one.
_PRIORITY, _TRIES, _SUCCESSFUL = 48, 52, 56


def standing(attributes: int) -> tuple[bool, int]:
    """What orders slots: whether one boots at all, and its priority."""
    priority, tries = attributes >> _PRIORITY & 15, attributes >> _TRIES & 15
    boots = bool(priority and tries) or bool(attributes >> _SUCCESSFUL & 1)
    return boots, priority


def idle_roots(slices: Sequence[VolumeSlice]) -> list[VolumeSlice]:
    """The roots of Bottlerocket's sets that do not boot; none where no set does.

    The first boot partition and the first root are a set, and the second ones are. The boot
    partition has the attributes; of equal sets the first boots.
    """
    found: list[VolumeSlice] = []
    for disk in {
        volume_slice.disk for volume_slice in slices if volume_slice.parttype == BOTTLEROCKET_BOOT
    }:
        sets = list(
            zip(
                _typed(slices, disk, BOTTLEROCKET_BOOT),
                _typed(slices, disk, BOTTLEROCKET_ROOT),
                strict=False,
            )
        )
        best = max((standing(boot.attributes) for boot, _ in sets), default=(False, 0))
        if best[0]:
            chosen = next(root for boot, root in sets if standing(boot.attributes) == best)
            found += [root for _, root in sets if root is not chosen]
    return found


def _typed(slices: Sequence[VolumeSlice], disk: int, kind: str) -> Iterator[VolumeSlice]:
    return (
        volume_slice
        for volume_slice in slices
        if volume_slice.disk == disk and volume_slice.parttype == kind
    )
