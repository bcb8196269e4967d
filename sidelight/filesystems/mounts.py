"""Assembly of a machine: its regions, mounted into one tree as its own /etc/fstab says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.disk.signatures import READABLE
from sidelight.errors import FormatError, PathError, SidelightError, SourceError
from sidelight.filesystems import discoverable, fstab, slots
from sidelight.filesystems.nothing import NoFilesystem
from sidelight.filesystems.opening import open_filesystem
from sidelight.filesystems.protocol import HasSubvolumes, Kind
from sidelight.filesystems.subvolumes import chosen_directory, root_directories, unshown
from sidelight.filesystems.tree import MachineTree
from sidelight.filesystems.units import enabled_mounts
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.disk import Region
    from sidelight.filesystems.protocol import Filesystem

__all__ = ["MachineTree", "assemble", "open_regions"]

OS_RELEASE = (b"etc/os-release", b"usr/lib/os-release")
# What tells a root filesystem that has no os-release: distributions from before 2012.
OLD_ROOT = (b"etc/fstab", b"etc/passwd")
SYSTEMD = (b"usr/lib/systemd/systemd", b"lib/systemd/systemd")

Opened = tuple["Region", "Filesystem"]


class Root(NamedTuple):
    """The machine's root: a directory of a filesystem, which but on btrfs is its own root."""

    region: Region
    fs: Filesystem
    directory: int


def open_regions(
    regions: Sequence[Region], problems: list[Problem], reader: str = "own"
) -> list[Opened]:
    """The regions whose filesystem can be read; for the others a Problem. Raises UsageError."""
    opened = []
    for region in regions:
        if region.kind not in READABLE:
            continue
        try:
            opened.append((region, open_filesystem(region.source, reader)))
        except (FormatError, SourceError) as error:
            problems.append(Problem(region.name, error.what))
    return opened


def assemble(regions: Sequence[Region], opened: Sequence[Opened]) -> MachineTree:
    """The machine's tree. `regions` are all of its regions, `opened` those that can be read.

    The root is the filesystem with an os-release; of several, the one whose fstab names itself,
    else the one whose GPT type says root, else the first in the order of the disks. The root of a
    set of partitions that does not boot is none of them. A single filesystem is the root whatever
    it holds. What is mounted where, fstab says, and systemd's
    enabled mount units, and its rule for GPT types. What nothing mounts is shown in `/` under its
    region's name in brackets, slashes as colons: `[vg0:data]`.
    """
    idle = slots.idle_roots(regions)
    root = _root(regions, [item for item in opened if item[0] not in idle])
    if root is None:
        tree = MachineTree(NoFilesystem())
        if opened:
            what = "no filesystem with an os-release; none is the root"
            tree.note(Problem(opened[0][0].name, what))
    else:
        tree = MachineTree(root.fs, root.directory)
        _mount_all(tree, root, regions, opened)
    for region, fs in opened:
        shown = {mount.root for mount in tree.mounts if mount.fs is fs}
        name = (region.lv or region.name).replace("/", ":").encode("utf-8", "surrogateescape")
        if not shown:
            if root and region not in idle and _has_any(MachineTree(fs), OS_RELEASE):
                what = f"a second root filesystem; the machine's is {root.region.name}"
                tree.note(Problem(region.name, what))
            tree.add_extra(name, fs)
            shown = {fs.root}
        for subvolume in unshown(fs, shown):
            tree.add_extra(name + b":" + subvolume.path.replace(b"/", b":"), fs, subvolume.root)
    return tree


def _root(regions: Sequence[Region], opened: Sequence[Opened]) -> Root | None:
    every = [Root(region, fs, at) for region, fs in opened for at in root_directories(fs)]
    for signs in (OS_RELEASE, OLD_ROOT):
        found = [item for item in every if _has_any(MachineTree(item.fs, item.directory), signs)]
        for item in found:
            if _names_itself(item, regions):
                return item
        typed = (item for item in found if item.region.parttype in discoverable.ROOTS)
        if found:
            return next(typed, found[0])
    return Root(*opened[0], opened[0][1].root) if len(opened) == 1 else None


def _names_itself(root: Root, regions: Sequence[Region]) -> bool:
    """Whether its own fstab puts it at `/`."""
    lines = _lines(MachineTree(root.fs, root.directory))
    own = next((line for line in lines if line.target == b"" and not line.bind), None)
    if own is None or root.region not in fstab.matches(own.device, regions):
        return False
    try:
        return chosen_directory(root.fs, own.options) == root.directory
    except SidelightError:
        return False


def _has_any(tree: MachineTree, paths: Sequence[bytes]) -> bool:
    """Whether one of these paths is there; a link counts, wherever it leads."""
    return any(tree.find(path, follow=False) is not None for path in paths)


def _lines(tree: MachineTree) -> list[fstab.Line]:
    try:
        return list(fstab.parse(tree.read(b"etc/fstab", 0, fstab.LIMIT)))
    except PathError:
        return []
    except (FormatError, SourceError) as error:
        tree.note(Problem("/etc/fstab", f"cannot be read: {error.what}"))
        return []


def _mount_all(
    tree: MachineTree,
    root: Root,
    regions: Sequence[Region],
    opened: Sequence[Opened],
) -> None:
    """Do what the machine says: /usr first, as the initramfs does, since units lie in it."""
    usr = [line for line in _lines(tree) if line.target == discoverable.USR and line.at_boot][:1]
    usr = usr or discoverable.discovered_usr(tree, root.region, regions)
    _perform(tree, usr, root, regions, opened)
    said = _said(tree, root.region, regions)
    later = [line for line in said if line.target != discoverable.USR or not usr]
    _perform(tree, later, root, regions, opened)


def _perform(
    tree: MachineTree,
    lines: Sequence[fstab.Line],
    root: Root,
    regions: Sequence[Region],
    opened: Sequence[Opened],
) -> None:
    """Mount in the order in which lines need each other."""
    pending = list(lines)
    while pending:
        line = next((item for item in pending if not _needs(item, pending)), pending[0])
        pending.remove(line)
        try:
            if line.bind:
                source = line.device.encode("utf-8", "surrogateescape")
                tree.bind(source, line.target, recursive=line.recursive)
            else:
                _mount(tree, line, root, regions, opened)
        except SidelightError as error:
            if not (line.bind and line.may_be_absent):
                tree.note(Problem(line.where, error.what))


def _said(tree: MachineTree, root: Region, regions: Sequence[Region]) -> list[fstab.Line]:
    """All that is mounted at boot.

    A unit under /etc rules over fstab's line for its target, that over a vendor's unit, as in the
    order of systemd's unit paths; and all of them over what it discovers by itself.
    """
    lines = [line for line in _lines(tree) if line.target]
    if _has_any(tree, SYSTEMD):
        # Of two lines for one place systemd takes the first, where `mount -a` stacks them.
        lines = list({line.target: line for line in reversed(lines)}.values())[::-1]
    above, below = enabled_mounts(tree)
    in_fstab = {line.target for line in lines}
    units = {line.target: line for line in above if not line.dormant or line.target in in_fstab}
    said = [line for line in lines if line.target not in units] + list(units.values())
    taken = {line.target for line in said}
    said += [line for line in below if line.target not in taken]
    said += discoverable.discovered(tree, root, regions, {line.target for line in said})
    return [line for line in said if line.at_boot]


def _needs(line: fstab.Line, pending: Sequence[fstab.Line]) -> bool:
    """Whether another line must come first: it mounts above this one's target or bind source."""
    source = line.device.encode("utf-8", "surrogateescape").strip(b"/") if line.bind else None
    for other in pending:
        if other is line:
            continue
        above = other.target + b"/"
        if line.target.startswith(above):
            return True
        if source is not None and (source + b"/").startswith(above):
            return True
    return False


def _mount(
    tree: MachineTree,
    line: fstab.Line,
    root: Root,
    regions: Sequence[Region],
    opened: Sequence[Opened],
) -> None:
    found = [
        region
        for region in fstab.matches(line.device, regions)
        if _may_be(line.type, region.kind)
        and (region != root.region or isinstance(root.fs, HasSubvolumes))
    ]
    if not found:
        if not line.may_be_absent:
            tree.note(Problem(line.where, f"{line.device} is not among the volumes"))
        return
    if len(found) > 1:
        names = ", ".join(region.name for region in found)
        tree.note(Problem(line.where, f"{line.device} may be any of {names}; the first is taken"))
    fs = next((fs for region, fs in opened if region is found[0]), None)
    if fs is None:
        return  # what cannot be read has its Problem already, or holds no files
    directory = chosen_directory(fs, line.options)
    if line.subdirectory:
        place = MachineTree(fs, directory).place(line.subdirectory)
        directory = place.inode if place.kind == Kind.DIRECTORY else directory
    tree.mount(line.target, fs, directory)


def _may_be(wanted: str, kind: str) -> bool:
    """Whether a line of this type can mean a region of this kind.

    The names of disks are a guess where their attachments are not known; this finds some that are
    wrong. The kernel's ext4 mounts its ancestors too.
    """
    if wanted not in READABLE or kind not in READABLE:
        return True
    return wanted == kind or (wanted.startswith("ext") and kind.startswith("ext"))
