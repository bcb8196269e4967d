"""What a walk will need, fetched before a machine is assembled.

To assemble a machine, paths are looked up one after the other, and over a network each waits for
its blocks. All of these are read by the walk too. So filesystems of which all will be walked are
read ahead first, and the look-ups find their blocks at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.filesystems.protocol import InodeKind, ReadsAhead
from sidelight.inventory.containers import RUNTIME_PATHS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.filesystems.protocol import Filesystem

# Bytes of inodes, of one filesystem: of a machine with 180,000 files on ext4, with 90,000 on XFS.
# Of a host with containers most may be theirs, which the walk passes over, and this much is read
# before that is known.
MOST_INODES: Final = 48 << 20
# A runtime's path as it is in a filesystem for all of a machine, for /var, and for /var/lib.
_MOUNT_POINTS: Final = (b"", b"var/", b"var/lib/")
_RUNTIMES: Final = frozenset(
    path.removeprefix(above)
    for path in RUNTIME_PATHS
    for above in _MOUNT_POINTS
    if path.startswith(above)
)
_ABOVE: Final = frozenset(
    path[:at] for path in _RUNTIMES for at, byte in enumerate(path) if byte == ord("/")
)


def read_ahead_early(filesystems: Iterable[Filesystem], *, include_containers: bool) -> None:
    """Fetch what a walk of these filesystems needs, but for those with containers, or large ones.

    Where blocks come by calls; elsewhere nothing is read. Changes only the time that a scan takes.
    """
    for fs in filesystems:
        if (
            isinstance(fs, ReadsAhead)
            and fs.read_inodes_ahead(MOST_INODES)
            and (include_containers or not _may_have_runtimes(fs))
        ):
            fs.read_ahead()


def _may_have_runtimes(fs: Filesystem) -> bool:
    """Whether something is at a container runtime's path, or a link in /var on the way to one.

    `/lib` is a link on most machines, and that of a filesystem for /var a directory.
    """
    level = {fs.root: b""}
    while level:
        below: dict[int, bytes] = {}
        for number, entries in fs.directories(list(level)):
            prefix = level[number] + b"/" if level[number] else b""
            for name, inode, kind in entries:
                path = prefix + name
                if path in _RUNTIMES:
                    return True
                if path in _ABOVE:
                    if kind == InodeKind.DIRECTORY:
                        below[inode] = path
                    elif path.startswith(b"var"):
                        return True
        level = below
    return False
