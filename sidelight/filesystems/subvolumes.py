"""Which subvolume a machine mounts where: `subvol=` and `subvolid=` of fstab (btrfs(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.filesystems.protocol import HasSubvolumes
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sidelight.filesystems.protocol import Filesystem, Subvolume

# So many subvolumes are looked at for a root filesystem, those with the shortest paths first.
MOST_ROOTS = 64


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
    """The subvolumes that no mounted directory leads to; read-only ones, old snapshots, excepted.

    `shown` are the directories mounted so far. What the top level holds beside subvolumes is a
    Problem where nothing shows it.
    """
    if not isinstance(fs, HasSubvolumes):
        return []
    reached = {one.path for one in fs.subvolumes if one.root in shown}
    left = []
    for one in sorted(fs.subvolumes, key=lambda one: one.path):
        above = [b"", *_above(one.path)]
        if one.path in reached or (one.path and reached.intersection(above)):
            continue
        if not one.path:
            _note_own(fs, one)
        elif not one.read_only:
            left.append(one)
            reached.add(one.path)
    return left


def _above(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]


def _note_own(fs: Filesystem, top: Subvolume) -> None:
    assert isinstance(fs, HasSubvolumes)  # noqa: S101 -- the caller looked
    roots = {one.root for one in fs.subvolumes}
    for _, entries in fs.directories([top.root]):
        own = [entry for entry in entries if entry[1] not in roots]
        if own:
            what = f"{len(own)} entries of the top-level subvolume are not shown"
            fs.problems.append(Problem(fs.source_name, what))
