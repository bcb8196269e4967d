"""Which subvolume a machine mounts where: `subvol=` and `subvolid=` of fstab (btrfs(5))."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.filesystems.machine.mount_order import above_of_lengths
from sidelight.filesystems.protocol import HasSubvolumes
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sidelight.filesystems.machine.tree import MachineTree
    from sidelight.filesystems.protocol import Filesystem, Subvolume

# So many subvolumes are looked at for a root filesystem, those with the shortest paths first.
MOST_ROOTS = 64
# Where snapper and Timeshift keep copies of the root that may be written to.
_KEPT = re.compile(rb"(?:.*/)?(?:\.snapshots/[0-9]+/snapshot|timeshift-btrfs/snapshots/.+)")


def is_old(subvolume: Subvolume) -> bool:
    """Whether a subvolume that is not mounted is a copy kept from an earlier time."""
    if _KEPT.fullmatch(subvolume.path):
        return True
    return subvolume.read_only and subvolume.snapshot


def set_aside(tree: MachineTree, fs: Filesystem) -> None:
    """Keep snapshots out of the walk, and subvolumes that are mounted out of others' trees."""
    if not isinstance(fs, HasSubvolumes):
        return
    mounted = {mount.root for mount in tree.mounts if mount.fs is fs}
    for one in fs.subvolumes:
        if one.root in mounted:
            if one.path:
                tree.set_aside(fs, one.root)
        elif is_old(one):
            path = one.path.decode("utf-8", "backslashreplace")
            tree.set_aside(fs, one.root, f"{fs.source_name}: snapshot {path}")


def root_directories(fs: Filesystem) -> list[int]:
    """The directories that may be a machine's root: of a btrfs the default subvolume's first."""
    if not isinstance(fs, HasSubvolumes):
        return [fs.root]
    others = sorted(fs.subvolumes, key=lambda one: (one.read_only, one.path.count(b"/"), one.path))
    return list(dict.fromkeys([fs.root, *(one.root for one in others[:MOST_ROOTS])]))


def chosen_directory(fs: Filesystem, options: Sequence[str]) -> int:
    """The directory that a mount with these options shows. Raises SidelightError for none."""
    wanted = dict(option.partition("=")[::2] for option in options)
    if not isinstance(fs, HasSubvolumes) or not {"subvol", "subvolid"} & wanted.keys():
        return fs.root
    path = wanted.get("subvol", "").encode("utf-8", "surrogateescape").strip(b"/")
    for one in fs.subvolumes:
        if one.path == path if "subvol" in wanted else str(one.id) == wanted["subvolid"]:
            return one.root
    name = wanted.get("subvol") or wanted["subvolid"]
    raise SidelightError(f"there is no subvolume {name}", where=fs.source_name)


def unshown(fs: Filesystem, shown: Collection[int]) -> list[Subvolume]:
    """The subvolumes that no mounted directory leads to, without old snapshots.

    `shown` are the directories mounted so far. What the top level holds except subvolumes is a
    Problem where nothing shows it.
    """
    if not isinstance(fs, HasSubvolumes):
        return []
    reached = {one.path for one in fs.subvolumes if one.root in shown}
    lengths = sorted({len(one.path) for one in fs.subvolumes if one.path})
    left = []
    for one in sorted(fs.subvolumes, key=lambda one: one.path):
        above = [b"", *above_of_lengths(one.path, lengths)]
        if one.path in reached or (one.path and reached.intersection(above)):
            continue
        if not one.path:
            _note_own(fs, one)
        elif not is_old(one):
            left.append(one)
            reached.add(one.path)
    return left


def _note_own(fs: Filesystem, top: Subvolume) -> None:
    assert isinstance(fs, HasSubvolumes)  # noqa: S101 -- the caller looked
    roots = {one.root for one in fs.subvolumes}
    for _, entries in fs.directories([top.root]):
        own = [entry for entry in entries if entry[1] not in roots]
        if own:
            what = f"{len(own)} entries of the top-level subvolume are not shown"
            fs.problems.append(Problem(fs.source_name, what))
