"""Assembly of a machine: its volume slices, mounted into one tree as its own /etc/fstab says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sidelight.disk.signatures import READABLE
from sidelight.errors import FormatError, PathError, SidelightError, SourceError
from sidelight.filesystems.empty import NoFilesystem
from sidelight.filesystems.machine import (
    ab_slots,
    discoverable,
    fstab,
    mount_order,
    ostree,
    unread_fat,
)
from sidelight.filesystems.machine.subvolumes import (
    chosen_directory,
    root_directories,
    set_aside,
    unshown,
)
from sidelight.filesystems.machine.systemd_units import enabled_mounts
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.filesystems.open import open_filesystem
from sidelight.filesystems.protocol import HasSubvolumes, InodeKind
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.disk import VolumeSlice
    from sidelight.filesystems.protocol import Filesystem

__all__ = ["MachineTree", "assemble", "open_slices"]

OS_RELEASE = (b"etc/os-release", b"usr/lib/os-release")
# What identifies a root filesystem that has no os-release: distributions from before 2012.
OLD_ROOT = (b"etc/fstab", b"etc/passwd")
# snapd's own list says which snaps these are (inventory/os/snap.py).
_IMAGES_OF_SNAPS = re.compile(r"/var/lib/snapd/snaps/[^/]+\.snap\Z")
MOST_NAMED = 8  # slices in one Problem
SYSTEMD = (b"usr/lib/systemd/systemd", b"lib/systemd/systemd")

Opened = tuple["VolumeSlice", "Filesystem"]


class MachineRoot(NamedTuple):
    """The machine's root: a directory of a filesystem, mostly the filesystem's own root.

    On btrfs it may be a subvolume's, on OSTree it is a deployment's.
    """

    volume_slice: VolumeSlice
    fs: Filesystem
    directory: int
    deployed: ostree.Booted | None = None


def open_slices(
    slices: Sequence[VolumeSlice], problems: list[Problem], reader: str = "own"
) -> list[Opened]:
    """The slices whose filesystem can be read; for the others a Problem. Raises UsageError."""
    opened = []
    for volume_slice in slices:
        if volume_slice.kind not in READABLE:
            continue
        try:
            opened.append((volume_slice, open_filesystem(volume_slice.source, reader)))
        except (FormatError, SourceError) as error:
            problems.append(Problem(volume_slice.name, error.what))
    return opened


def assemble(slices: Sequence[VolumeSlice], opened: Sequence[Opened]) -> MachineTree:
    """The machine's tree. `slices` are all of its slices, `opened` those that can be read.

    The root is the filesystem with an os-release; of several, the one whose fstab names itself,
    else the one whose GPT type says root, else the first in the order of the disks. The root of a
    set of partitions that does not boot is none of them. A single filesystem is the root whatever
    it holds. What is mounted where, fstab says, and systemd's
    enabled mount units, and its rule for GPT types. What nothing mounts is shown in `/` under its
    volume slice's name in brackets, slashes as colons: `[vg0:data]`; what a mount hides, as
    `[covered:var:log]`.
    """
    idle = ab_slots.idle_roots(slices)
    root = _root(slices, [item for item in opened if item[0] not in idle])
    if root is None:
        tree = MachineTree(NoFilesystem())
        if opened:
            what = "no filesystem with an os-release; none is the root"
            tree.note(Problem(opened[0][0].name, what))
    else:
        tree = MachineTree(root.fs, root.directory)
        if root.deployed is not None:
            _deploy(tree, root, root.deployed)
        with tree.limited_look_ups():
            _mount_all(tree, root, slices, opened)
        tree.show_hidden()
    for volume_slice, fs in opened:
        # A part that is shown (X-mount.subdir, a bind mount, what was covered) is not the whole.
        shown = {mount.root for mount in tree.mounts if mount.fs is fs}
        whole = isinstance(fs, HasSubvolumes) or fs.root in shown
        name = (
            (volume_slice.lv or volume_slice.name)
            .replace("/", ":")
            .encode("utf-8", "surrogateescape")
        )
        if not shown or not whole:
            if (
                not shown
                and root
                and volume_slice not in idle
                and _has_any(MachineTree(fs), OS_RELEASE)
            ):
                what = f"a second root filesystem; the machine's is {root.volume_slice.name}"
                tree.note(Problem(volume_slice.name, what))
            tree.add_extra(name, fs)
            shown = {fs.root}
        for subvolume in unshown(fs, shown):
            tree.add_extra(name + b":" + subvolume.path.replace(b"/", b":"), fs, subvolume.root)
        set_aside(tree, fs)
    return tree


def _deploy(tree: MachineTree, root: MachineRoot, deployed: ostree.Booted) -> None:
    """Put the physical root's /var and /boot into the deployment; set aside what does not run."""
    physical = MachineTree(root.fs)
    var, boot = ostree.shared_var(physical, deployed.chosen), physical.find(b"boot")
    for target, place in ((b"var", var), (b"boot", boot)):
        if (
            place is not None
            and place.kind == InodeKind.DIRECTORY
            and tree.find(target) is not None
        ):
            tree.mount(target, root.fs, place.inode)
            tree.set_aside(root.fs, place.inode)
    tree.set_aside(root.fs, root.directory)
    objects = physical.find(ostree.OBJECTS)
    if objects is not None:
        # Hard links of the deployments' files.
        tree.set_aside(root.fs, objects.inode)
    for other in deployed.others:
        path = other.path.decode("utf-8", "backslashreplace")
        tree.set_aside(root.fs, other.inode, f"{root.volume_slice.name}: deployment {path}")
    if not deployed.certain:
        path = deployed.chosen.path.decode("utf-8", "backslashreplace")
        what = f"no boot entry says which of its deployments boots; {path} is taken"
        tree.note(Problem(root.volume_slice.name, what))


def _root(slices: Sequence[VolumeSlice], opened: Sequence[Opened]) -> MachineRoot | None:
    every = [
        MachineRoot(volume_slice, fs, at)
        for volume_slice, fs in opened
        for at in root_directories(fs)
    ]
    devices = fstab.Devices(slices)
    for signs in (OS_RELEASE, OLD_ROOT):
        found = [item for item in every if _has_any(MachineTree(item.fs, item.directory), signs)]
        for item in found:
            if _names_itself(item, devices):
                return item
        typed = (item for item in found if item.volume_slice.parttype in discoverable.ROOTS)
        if found:
            return next(typed, found[0])
        if signs is OS_RELEASE and (deployed := _deployed(opened)):
            return deployed
    return MachineRoot(*opened[0], opened[0][1].root) if len(opened) == 1 else None


def _deployed(opened: Sequence[Opened]) -> MachineRoot | None:
    """The OSTree deployment that boots, of the first filesystem that has any."""
    every = [fs for _, fs in opened]
    for volume_slice, fs in opened:
        booted = ostree.booted(fs, every)
        if booted is not None:
            return MachineRoot(volume_slice, fs, booted.chosen.inode, booted)
    return None


def _names_itself(root: MachineRoot, devices: fstab.Devices) -> bool:
    """Whether its own fstab puts it at `/`."""
    lines = _lines(MachineTree(root.fs, root.directory))
    own = next((line for line in lines if line.target == b"" and not line.bind), None)
    if own is None or root.volume_slice not in devices.matching(own.device):
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
        text = tree.read(b"etc/fstab", 0, fstab.LIMIT + 1)
        if len(text) > fstab.LIMIT or text.count(b"\n") > fstab.MAX_LINES:
            what = f"more than {fstab.LIMIT} bytes or {fstab.MAX_LINES} lines: the rest is not read"
            tree.note(Problem("/etc/fstab", what))
        return list(fstab.parse(text))
    except PathError:
        return []
    except (FormatError, SourceError) as error:
        tree.note(Problem("/etc/fstab", f"cannot be read: {error.what}"))
        return []


def _mount_all(
    tree: MachineTree,
    root: MachineRoot,
    slices: Sequence[VolumeSlice],
    opened: Sequence[Opened],
) -> None:
    """Do what the machine says: /usr first, as the initramfs does, since units lie in it."""
    usr = [line for line in _lines(tree) if line.target == discoverable.USR and line.at_boot][:1]
    usr = usr or discoverable.discovered_usr(tree, root.volume_slice, slices)
    _perform(tree, usr, root, slices, opened)
    mounts = _boot_mounts(tree, root.volume_slice, slices)
    booting = [line for line in _lines(tree) if unread_fat.is_of_boot(line.target)]
    for problem in unread_fat.unexplained(slices, [*booting, *mounts], fstab.Devices(slices)):
        tree.note(problem)
    later = [line for line in mounts if line.target != discoverable.USR or not usr]
    _perform(tree, later, root, slices, opened)


def _perform(
    tree: MachineTree,
    lines: Sequence[fstab.Line],
    root: MachineRoot,
    slices: Sequence[VolumeSlice],
    opened: Sequence[Opened],
) -> None:
    """Mount in the order in which lines need each other."""
    devices = fstab.Devices(slices)
    for line in mount_order.ordered(lines):
        try:
            if line.bind:
                source = line.device.encode("utf-8", "surrogateescape")
                tree.bind(source, line.target, recursive=line.recursive)
            else:
                _mount(tree, line, root, devices, opened)
        except SidelightError as error:
            if not (line.bind and line.may_be_absent and isinstance(error, PathError)):
                tree.note(Problem(line.where, error.what))


def _boot_mounts(
    tree: MachineTree, root: VolumeSlice, slices: Sequence[VolumeSlice]
) -> list[fstab.Line]:
    """All that is mounted at boot.

    A unit under /etc rules over fstab's line for its target, that over a vendor's unit, as in the
    order of systemd's unit paths; and all of them over what it discovers automatically.
    """
    lines = [line for line in _lines(tree) if line.target]
    if _has_any(tree, SYSTEMD):
        # Of two lines for one place systemd takes the first, where `mount -a` stacks them.
        lines = list({line.target: line for line in reversed(lines)}.values())[::-1]
    above, below = enabled_mounts(tree)
    in_fstab = {line.target for line in lines}
    units = {line.target: line for line in above if not line.dormant or line.target in in_fstab}
    mounts = [line for line in lines if line.target not in units] + list(units.values())
    taken = {line.target for line in mounts}
    mounts += [line for line in below if line.target not in taken]
    mounts += discoverable.discovered(tree, root, slices, {line.target for line in mounts})
    return [line for line in mounts if line.at_boot]


def _mount(
    tree: MachineTree,
    line: fstab.Line,
    root: MachineRoot,
    devices: fstab.Devices,
    opened: Sequence[Opened],
) -> None:
    matching = devices.matching(line.device)
    found = [
        volume_slice
        for volume_slice in matching
        if _may_be(line.type, volume_slice.kind)
        and (volume_slice is not root.volume_slice or isinstance(root.fs, HasSubvolumes))
    ]
    if not found:
        is_root = any(volume_slice is root.volume_slice for volume_slice in matching)
        if not is_root or not _certainly(line.device, root.volume_slice):
            _not_there(tree, line)
        return  # the root a second time: all of it is in the tree
    if len(found) > 1:
        names = ", ".join(volume_slice.name for volume_slice in found[:MOST_NAMED])
        names += f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        tree.note(Problem(line.where, f"{line.device} may be any of {names}; the first is taken"))
    fs = next((fs for volume_slice, fs in opened if volume_slice is found[0]), None)
    if fs is None:
        for problem in unread_fat.mounted(line, found[0]):
            tree.note(problem)
        return  # what cannot be read has its Problem already, or holds no files
    directory = chosen_directory(fs, line.options)
    if line.subdirectory:
        place = MachineTree(fs, directory).locate(line.subdirectory)
        directory = place.inode if place.kind == InodeKind.DIRECTORY else directory
    tree.mount(line.target, fs, directory)


def _certainly(device: str, root: VolumeSlice) -> bool:
    """Whether a name that matches the root means it: of later disks, names are guesses."""
    return root.disk == 0 or not device.startswith("/dev/") or device.startswith("/dev/disk/")


def _not_there(tree: MachineTree, line: fstab.Line) -> None:
    """A device that is not a slice: a file of the machine with a filesystem, or an absent one."""
    if not line.device.startswith("/dev/") and line.device.startswith("/"):
        place = tree.find(line.device.encode("utf-8", "surrogateescape"))
        if place is not None and place.kind == InodeKind.REGULAR:
            if not _IMAGES_OF_SNAPS.match(line.device):
                what = f"unsupported: {line.device} is a filesystem in a file; it is not read"
                tree.note(Problem(line.where, what))
            return
    if not line.may_be_absent:
        tree.note(Problem(line.where, f"{line.device} is not among the volumes"))


def _may_be(wanted: str, kind: str) -> bool:
    """Whether a line of this type can mean a volume slice of this kind.

    The names of disks are a guess where their attachments are not known; this finds some that are
    wrong. The kernel's ext4 mounts its ancestors too.
    """
    if wanted not in READABLE or kind not in READABLE:
        return True
    return wanted == kind or (wanted.startswith("ext") and kind.startswith("ext"))
