"""All targets by name: each takes an input and returns the number of structures it decoded."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from fuzz.choices import Choices

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from types import FrameType

# CPU seconds for one input. The slowest takes a few hundredths.
DEADLINE = 5.0

STRUCTURES = {
    "fuzz.disk_structures": (
        "disk-mbr", "disk-gpt", "disk-signatures", "disk-volumes", "lvm-text", "lvm-runs",
        "lvm-labels", "lvm-groups", "lvm-thin",
    ),
    "fuzz.ext_structures": (
        "ext-superblocks", "ext-descriptors", "ext-inodes", "ext-extents", "ext-trees", "ext-maps",
        "ext-entries", "ext-lockstep", "ext-directories", "ext-inline",
    ),
    "fuzz.ext_journals": ("jbd2-superblocks", "jbd2-logs", "jbd2-fast-scans", "jbd2-fast-replays"),
    "fuzz.inventory_structures": (
        "rpm-headers", "rpm-berkeley", "rpm-ndb", "rpm-sqlite", "sqlite-logs", "dpkg-status",
        "dpkg-lists", "apk-installed", "kernel-names", "zip-directories",
        "java-archives", "os-release",
    ),
    "fuzz.tree_structures": ("tree-fstab", "tree-machines", "tree-units"),
    "fuzz.xfs_structures": (
        "xfs-superblocks", "xfs-inodes", "xfs-shortform", "xfs-blocks", "xfs-directories",
        "xfs-extents", "xfs-trees", "xfs-log-items", "xfs-log-rings",
    ),
}  # fmt: skip
IMAGES = {"ext-images": "fuzz.ext", "xfs-images": "fuzz.xfs"}
NAMES = (*(name for names in STRUCTURES.values() for name in names), *IMAGES)


class HungError(Exception):
    """An input took longer than the deadline."""


def target(name: str) -> Callable[[bytes], int]:
    """The target of a name, within the deadline."""
    from importlib import import_module

    signal.signal(signal.SIGVTALRM, _hung)
    if name in IMAGES:
        return import_module(IMAGES[name]).one  # type: ignore[no-any-return]
    module = next(module for module, names in STRUCTURES.items() if name in names)
    decode: Callable[[random.Random], int] = import_module(module).Targets().all[name]

    def one(data: bytes) -> int:
        signal.setitimer(signal.ITIMER_VIRTUAL, DEADLINE)
        try:
            return decode(Choices(data))
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    return one


def _hung(_signal: int, _frame: FrameType | None) -> None:
    raise HungError(f"more than {DEADLINE} s")
