"""OSTree's deployments: which one a machine boots, and what else lies in its physical root.

Source: ostree's manual ("Deployments", "Atomic Upgrades") and the Boot Loader Specification. The
kernel's command line names a link, `ostree=/ostree/boot.1/<os>/<checksum>/<n>`, that leads to the
directory of the deployment, which the initramfs makes the root; `/var` is one for all deployments.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sidelight.errors import FormatError, PathError, SourceError
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.filesystems.protocol import InodeKind
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.filesystems.machine.namespace import ResolvedPath
    from sidelight.filesystems.protocol import Filesystem

TOP = b"ostree/deploy"
OBJECTS = b"ostree/repo/objects"
# Where boot entries lie: in the physical root, or in a filesystem for /boot.
ENTRIES = (b"boot/loader/entries", b"loader/entries")
LONGEST_ENTRY = 64 << 10  # bytes
MOST_ENTRIES = 256
MOST_DEPLOYMENTS = 256

_OPTION = re.compile(rb"(?m)^options[ \t](?:.*[ \t])?ostree=(/\S+)")
_VERSION = re.compile(rb"(?m)^version[ \t]+([0-9]{1,9})\s*$")


class Deployment(NamedTuple):
    """One deployed tree: its path within the physical root, and its directory's inode."""

    path: bytes
    inode: int


class Booted(NamedTuple):
    """The deployment that boots, the others, and whether a boot entry names it."""

    chosen: Deployment
    others: list[Deployment]
    certain: bool


def booted(fs: Filesystem, all_filesystems: Sequence[Filesystem]) -> Booted | None:
    """What boots of the deployments in a physical root; None where it has none.

    Without a boot entry that leads to one, the first is taken. Raises nothing: what cannot be read
    is among the filesystems' Problems.
    """
    tree = MachineTree(fs)
    with tree.limited_look_ups():
        found = list(_deployments(tree))
        if not found:
            return None
        by_inode = {one.inode: one for one in found}
        named = [(version, one) for version, one in _named(tree, all_filesystems, by_inode)]
    chosen = max(named, key=lambda item: item[0])[1] if named else found[0]
    others = [one for one in found if one is not chosen]
    return Booted(chosen, others, bool(named) or not others)


def _deployments(tree: MachineTree) -> Iterator[Deployment]:
    count = 0
    for system in _folders(tree, TOP):
        for name in _folders(tree, b"%s/%s/deploy" % (TOP, system)):
            if count == MOST_DEPLOYMENTS:
                what = f"more than {MOST_DEPLOYMENTS} deployments; the others are not looked at"
                tree.root.problems.append(Problem(tree.root.source_name, what))
                return
            path = b"%s/%s/deploy/%s" % (TOP, system, name)
            place = tree.find(path)
            count += 1
            if place is not None:
                yield Deployment(path, place.inode)


def _folders(tree: MachineTree, path: bytes) -> list[bytes]:
    return sorted(name for name, _, kind in _listed(tree, path) if kind == InodeKind.DIRECTORY)


def _listed(tree: MachineTree, path: bytes) -> list[tuple[bytes, int, int]]:
    place = tree.find(path)
    if place is None or place.kind != InodeKind.DIRECTORY:
        return []
    try:
        return tree.listdir(path)
    except (FormatError, SourceError) as error:
        tree.root.problems.append(Problem(error.where or tree.root.source_name, error.what))
        return []


def _named(
    tree: MachineTree, all_filesystems: Sequence[Filesystem], by_inode: dict[int, Deployment]
) -> Iterator[tuple[int, Deployment]]:
    """The deployments that boot entries name, with the entries' versions: the highest boots."""
    for fs in all_filesystems:
        boot = tree if fs is tree.root else MachineTree(fs)
        for folder in ENTRIES:
            for name, _, _ in _listed(boot, folder)[:MOST_ENTRIES]:
                if not name.endswith(b".conf"):
                    continue
                text = _read(boot, folder + b"/" + name)
                option, version = _OPTION.search(text), _VERSION.search(text)
                place = tree.find(option[1]) if option else None
                if place is not None and place.inode in by_inode:
                    yield int(version[1]) if version else 0, by_inode[place.inode]


def _read(tree: MachineTree, path: bytes) -> bytes:
    try:
        return tree.read(path, 0, LONGEST_ENTRY)
    except (PathError, FormatError, SourceError):
        return b""


def shared_var(tree: MachineTree, deployment: Deployment) -> ResolvedPath | None:
    """The /var of a deployment's system, in the physical root that `tree` shows."""
    system = deployment.path.rpartition(b"/deploy/")[0]
    place = tree.find(system + b"/var")
    return place if place is not None and place.kind == InodeKind.DIRECTORY else None
