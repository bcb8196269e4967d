"""systemd's mount units that a machine has enabled (systemd.unit(5), systemd.mount(5)).

A unit is enabled by a link in a `.wants` or `.requires` directory of what is started at boot. Of
files with one name that in /etc rules; drop-ins add to it; a link to /dev/null masks it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.errors import FormatError, PathError, SourceError
from sidelight.filesystems.fstab import Line, mountable
from sidelight.filesystems.namespace import shown_path
from sidelight.filesystems.protocol import Kind
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.errors import SidelightError
    from sidelight.filesystems.tree import MachineTree

ADMINISTRATOR = b"etc/systemd/system"
# The second is the first but on distributions without a merged /usr.
VENDOR = (b"usr/lib/systemd/system", b"lib/systemd/system")
PULLS = (b".wants", b".requires", b".upholds")
# What is started only on the way up or down, or for repairs.
NOT_AT_BOOT = re.compile(
    rb"(initrd.*|emergency|rescue|shutdown|umount|final|poweroff|halt|reboot|kexec|suspend"
    rb"|hibernate|sleep|systemd-.*)\.(target|service)\Z"
)
LONGEST = 1 << 16  # bytes of a unit that are read
MOST_UNITS = 4096
MASKED = b"/dev/null"


def enabled_mounts(tree: MachineTree) -> tuple[list[Line], list[Line]]:
    """Mounts of units under /etc, which rule over fstab, and of the vendor's, over which it rules.

    The first list also holds units that fstab alone pulls in. Damage is noted in the tree.
    """
    pulled = set(_pulled(tree))
    above: list[Line] = []
    below: list[Line] = []
    for name in sorted(set(_names(tree, ADMINISTRATOR)) | pulled):
        found = _unit(tree, name)
        if found is None:
            continue
        line, by_administrator = found
        if name in pulled:
            (above if by_administrator else below).append(line)
        elif by_administrator:
            above.append(line.only_with_fstab())
    return above, below


def escape(path: bytes) -> bytes:
    """A mount point as a unit's name without its suffix (as `systemd-escape --path` has it)."""
    if not path:
        return b"-"
    out = bytearray()
    for at, byte in enumerate(path):
        if byte == ord("/"):
            out += b"-"
        elif (chr(byte).isalnum() and byte < 0x80) or byte in b":_" or (byte in b"." and at):
            out.append(byte)
        else:
            out += b"\\x%02x" % byte
    return bytes(out)


def _pulled(tree: MachineTree) -> Iterator[bytes]:
    """The names of mount units that something wants; an automount wants its mount."""
    for folder in (ADMINISTRATOR, *VENDOR):
        for directory, kind in _listed(tree, folder):
            owner, _, pull = directory.rpartition(b".")
            if kind != Kind.DIRECTORY or b"." + pull not in PULLS or NOT_AT_BOOT.match(owner):
                continue
            for name, _ in _listed(tree, folder + b"/" + directory):
                stem, _, suffix = name.rpartition(b".")
                if suffix in {b"mount", b"automount"} and not _masked(tree, name):
                    yield stem + b".mount"


def _names(tree: MachineTree, folder: bytes) -> Iterator[bytes]:
    return (name for name, _ in _listed(tree, folder) if name.endswith(b".mount"))


def _listed(tree: MachineTree, folder: bytes) -> list[tuple[bytes, int]]:
    """Names and kinds in a directory; none where it is none, or cannot be read."""
    place = tree.find(folder)
    if place is None or place.kind != Kind.DIRECTORY:
        return []
    return [(name, kind) for name, _, kind in tree.listdir(folder)][:MOST_UNITS]


def _file(tree: MachineTree, name: bytes) -> tuple[bytes, bool] | None:
    """The path of the file that rules, and whether it is the administrator's."""
    for folder in (ADMINISTRATOR, *VENDOR):
        path = folder + b"/" + name
        if tree.find(path, follow=False) is not None:
            return path, folder == ADMINISTRATOR
    return None


def _masked(tree: MachineTree, name: bytes) -> bool:
    found = _file(tree, name)
    if found is None:
        return False
    try:
        return tree.readlink(found[0]) == MASKED
    except PathError:
        return False
    except (FormatError, SourceError) as error:
        tree.note(_damaged(found[0], error))
        return False


def _unit(tree: MachineTree, name: bytes) -> tuple[Line, bool] | None:
    """A unit's mount, and whether the administrator wrote it; None where it mounts no disk."""
    found = _file(tree, name)
    if found is None or _masked(tree, name):
        return None
    path, by_administrator = found
    texts = [_read(tree, path)]
    drop_ins = {}
    for folder in (*reversed(VENDOR), ADMINISTRATOR):
        for entry, _ in _listed(tree, folder + b"/" + name + b".d"):
            if entry.endswith(b".conf"):
                drop_ins[entry] = folder + b"/" + name + b".d/" + entry
    texts += [_read(tree, drop_ins[entry]) for entry in sorted(drop_ins)]
    fields: dict[bytes, bytes] = {}
    for text in texts:
        fields |= parse_mount(text)
    where = "/" + path.decode("utf-8", "backslashreplace")
    line = mountable(
        fields.get(b"What", b""),
        fields.get(b"Where", b""),
        fields.get(b"Type", b"auto"),
        fields.get(b"Options", b""),
        where,
    )
    if line is None or escape(line.target) + b".mount" != name:
        return None
    return line, by_administrator


def _read(tree: MachineTree, path: bytes) -> bytes:
    try:
        return tree.read(path, 0, LONGEST)
    except PathError:
        return b""
    except (FormatError, SourceError) as error:
        tree.note(_damaged(path, error))
        return b""


def _damaged(path: bytes, error: SidelightError) -> Problem:
    return Problem(shown_path(path), error.what)


def parse_mount(text: bytes) -> dict[bytes, bytes]:
    """The settings of the section [Mount], the last of each; any bytes are accepted."""
    section, fields = b"", {}
    for raw in re.sub(rb"\\\r?\n[ \t]*", b" ", text).split(b"\n"):
        line = raw.strip()
        if line.startswith(b"[") and line.endswith(b"]"):
            section = line
        elif section == b"[Mount]" and line[:1] not in {b"", b"#", b";"}:
            key, _, value = line.partition(b"=")
            fields[key.rstrip()] = value.lstrip().replace(b"%%", b"%")
    return fields
