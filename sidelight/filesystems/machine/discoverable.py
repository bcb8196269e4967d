"""What systemd mounts without configuration, by the types of GPT partitions.

Source: the Discoverable Partitions Specification, and systemd-gpt-auto-generator(8).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING
from uuid import UUID

from sidelight.errors import FormatError, PathError, SourceError
from sidelight.filesystems.machine.ab_slots import FLATCAR_USR, standing
from sidelight.filesystems.machine.fstab import Line
from sidelight.filesystems.machine.namespace import shown_path
from sidelight.filesystems.protocol import InodeKind
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sidelight.disk import VolumeSlice
    from sidelight.filesystems.machine.tree import MachineTree

GENERATORS = (
    b"usr/lib/systemd/system-generators/systemd-gpt-auto-generator",
    b"lib/systemd/system-generators/systemd-gpt-auto-generator",
)
ROOTS = frozenset(
    {
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",  # x86-64
        "b921b045-1df0-41c3-af44-4c6f280d3fae",  # arm64
    }
)
USR_TYPES = frozenset(
    {
        "8484680c-9521-48c6-9c11-b0720656f69e",  # x86-64
        "b0e01050-ee5f-4390-949a-9101b17104e9",  # arm64
        FLATCAR_USR,
    }
)
USR = b"usr"
VAR = "4d21b016-b534-45c2-a9fb-5c16e091fd2d"
# Type -> mount point, those above others first.
TARGETS = {
    "bc13c2ff-59e6-4262-a352-b275fd6f7172": b"boot",
    "933ac7e1-2eb4-4f13-b844-0e14e2aef915": b"home",
    "3b8f8425-20e0-4f3b-907f-1a25a76f98e8": b"srv",
    VAR: b"var",
    "7ec6f557-3bc5-4aca-b293-16ef5df639d1": b"var/tmp",
}
NO_AUTO = 1 << 63  # attribute
MACHINE_ID = b"etc/machine-id"


def discovered(
    tree: MachineTree, root: VolumeSlice, slices: Sequence[VolumeSlice], taken: Collection[bytes]
) -> list[Line]:
    """Partitions other than the root's, as lines; `taken` are the mount points that others say.

    The generator must be on the machine. A mount point that is not empty is left alone, and /var
    is taken only with the UUID that its machine's id gives.
    """
    if not any(tree.find(path) for path in GENERATORS):
        return []
    lines = []
    for kind, target in TARGETS.items():
        found = next((r for r in slices if r.disk == root.disk and r.parttype == kind), None)
        if found is None or found.attributes & NO_AUTO or target in taken:
            continue
        if kind == VAR and found.partuuid != variable_uuid(_machine_id(tree)):
            continue
        if _is_empty(tree, target):
            lines.append(_line(found, target))
    return lines


def discovered_usr(
    tree: MachineTree, root: VolumeSlice, slices: Sequence[VolumeSlice]
) -> list[Line]:
    """The root disk's partition of /usr's type, as a line, where the root's own is empty.

    The initramfs mounts it, or the machine does not start: it is looked for without a generator,
    which would lie in it. Of several (an update leaves the last system beside the new one) that
    whose label is the newest version, as systemd takes it, or on Flatcar that which boots.
    """
    found = [
        volume_slice
        for volume_slice in slices
        if volume_slice.disk == root.disk
        and volume_slice.parttype in USR_TYPES
        and not volume_slice.attributes & NO_AUTO
    ]
    if not found or not _is_empty(tree, USR):
        return []
    chosen = max(found, key=_precedence)
    return [_line(chosen, USR)]


def _precedence(volume_slice: VolumeSlice) -> tuple[tuple[bool, int], list[tuple[bool, int, str]]]:
    slot = standing(volume_slice.attributes) if volume_slice.parttype == FLATCAR_USR else (False, 0)
    return slot, _version(volume_slice.partlabel)


def variable_uuid(machine_id: bytes) -> str:
    """The UUID that a machine's own /var has: its id's HMAC over the type, as UUID version 4."""
    raw = bytearray(hmac.digest(machine_id, UUID(VAR).bytes, hashlib.sha256)[:16])
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(raw)))


def _line(volume_slice: VolumeSlice, target: bytes) -> Line:
    unit = f"{volume_slice.name}: GPT type {volume_slice.parttype}"
    return Line(0, f"PARTUUID={volume_slice.partuuid}", target, "auto", (), unit)


def _version(label: str) -> list[tuple[bool, int, str]]:
    """What orders labels as versions: numbers by their value, and above letters."""
    runs = re.findall(r"[0-9]+|[A-Za-z]+", label)
    return [(run.isdigit(), int(run) if run.isdigit() else 0, run) for run in runs]


def _machine_id(tree: MachineTree) -> bytes:
    try:
        return bytes.fromhex(tree.read(MACHINE_ID, 0, 64).decode("ascii").strip())
    except (PathError, ValueError):
        return b""
    except (FormatError, SourceError) as error:
        tree.note(Problem(shown_path(MACHINE_ID), error.what))
        return b""


def _is_empty(tree: MachineTree, path: bytes) -> bool:
    place = tree.find(path)
    if place is None or place.kind != InodeKind.DIRECTORY:
        return False
    try:
        return not tree.listdir(path)
    except (FormatError, SourceError) as error:
        tree.note(Problem(shown_path(path), error.what))
        return False
