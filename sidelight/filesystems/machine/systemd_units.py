"""systemd's mount units that a machine has enabled (systemd.unit(5), systemd.mount(5)).

A unit is enabled by a link in a `.wants` or `.requires` directory of what is started at boot. Of
files with one name that in /etc rules; drop-ins add to it; a link to /dev/null masks it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sidelight.errors import FormatError, PathError, SourceError
from sidelight.filesystems.machine.fstab import Line, mountable
from sidelight.filesystems.machine.namespace import shown_path
from sidelight.filesystems.protocol import InodeKind
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sidelight.errors import SidelightError
    from sidelight.filesystems.machine.tree import MachineTree

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
# Of one machine. Real ones have some hundred mount units with some kilobytes each.
MOST_UNITS = 4096
MOST_BYTES = 4 << 20  # of units and drop-ins together
LEAST = 256  # bytes that even an empty one counts for
MASKED = b"/dev/null"


def enabled_mounts(tree: MachineTree) -> tuple[list[Line], list[Line]]:
    """Mounts of units under /etc, which rule over fstab, and of the vendor's, over which it rules.

    The first list also holds units that fstab alone pulls in. Damage is noted in the tree.
    """
    units = _Units(tree)
    pulled = units.pulled()
    own = (name for name in units.names(ADMINISTRATOR) if name.endswith(b".mount"))
    above: list[Line] = []
    below: list[Line] = []
    for name in units.bounded(sorted({*own, *pulled}), "mount units"):
        found = units.mount(name)
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


class _Folder(NamedTuple):
    """A directory of units: its path, and of those names that matter their kinds."""

    path: bytes
    kinds: dict[bytes, int]


class _Units:
    """One machine's units. Each directory is listed once; what is read has limits.

    Beyond a limit is a Problem: what the units left out mount is shown under its own name.
    """

    def __init__(self, tree: MachineTree) -> None:
        self._tree = tree
        self._bytes_left = MOST_BYTES
        self._folders: list[_Folder] = []
        places = set()
        for path in (ADMINISTRATOR, *VENDOR):
            place = tree.find(path)
            if place is not None and (id(place.mount), place.inode) not in places:
                places.add((id(place.mount), place.inode))
                self._folders.append(_Folder(path, self._listed(path, _matters)))

    def names(self, folder: bytes) -> Iterable[bytes]:
        """What a directory has of units, of their drop-ins and of what pulls them in."""
        return next((kinds.keys() for path, kinds in self._folders if path == folder), ())

    def bounded(self, names: list[bytes], what: str) -> list[bytes]:
        """The first of these names, and a Problem where there are more."""
        if len(names) > MOST_UNITS:
            text = f"{len(names)} {what}; {MOST_UNITS} of them are looked at"
            self._tree.note(Problem("/etc/systemd", text))
        return names[:MOST_UNITS]

    def pulled(self) -> set[bytes]:
        """The names of mount units that something wants; an automount wants its mount."""
        pulls = [
            folder.path + b"/" + directory
            for folder in self._folders
            for directory, kind in folder.kinds.items()
            if kind == InodeKind.DIRECTORY and _pulls_at_boot(directory)
        ]
        wanted: dict[bytes, None] = {}
        for path in self.bounded(pulls, "directories that pull units in"):
            wanted |= dict.fromkeys(self._listed(path, _is_mount))
            if len(wanted) > MOST_UNITS:
                break
        names = self.bounded(list(wanted), "mount units or more that are pulled in")
        return {name.rpartition(b".")[0] + b".mount" for name in names if not self._masked(name)}

    def mount(self, name: bytes) -> tuple[Line, bool] | None:
        """A unit's mount, and whether the administrator wrote it; None where it mounts no disk."""
        path = self._file(name)
        if path is None or self._masked(name):
            return None
        drop_ins = {}
        for folder in reversed(self._folders):
            if name + b".d" in folder.kinds:
                below = folder.path + b"/" + name + b".d"
                for entry in self._listed(below, _is_drop_in):
                    drop_ins[entry] = below + b"/" + entry
        entries = self.bounded(sorted(drop_ins), f"drop-ins of {_shown(name)}")
        fields: dict[bytes, bytes] = {}
        for one in (path, *(drop_ins[entry] for entry in entries)):
            fields |= parse_mount(self._read(one))
        line = mountable(
            fields.get(b"What", b""),
            fields.get(b"Where", b""),
            fields.get(b"Type", b"auto"),
            fields.get(b"Options", b""),
            "/" + _shown(path),
        )
        # No file's name is shorter than the target that it escapes.
        if line is None or len(line.target) > len(name) or escape(line.target) + b".mount" != name:
            return None
        return line, path.startswith(ADMINISTRATOR)

    def _listed(self, path: bytes, matters: Callable[[bytes], bool]) -> dict[bytes, int]:
        """Names that matter and their kinds; none for a file, or what cannot be read."""
        place = self._tree.find(path)
        if place is None or place.kind != InodeKind.DIRECTORY:
            return {}
        try:
            return {name: kind for name, _, kind in self._tree.listdir(path) if matters(name)}
        except (FormatError, SourceError) as error:
            self._tree.note(_damaged(path, error))
            return {}

    def _file(self, name: bytes) -> bytes | None:
        """The path of the file that rules."""
        for folder in self._folders:
            if name in folder.kinds:
                return folder.path + b"/" + name
        return None

    def _masked(self, name: bytes) -> bool:
        path = self._file(name)
        if path is None:
            return False
        try:
            return self._tree.readlink(path) == MASKED
        except PathError:
            return False
        except (FormatError, SourceError) as error:
            self._tree.note(_damaged(path, error))
            return False

    def _read(self, path: bytes) -> bytes:
        if self._bytes_left <= 0:
            what = f"more than {MOST_BYTES >> 20} MiB of mount units: the rest is not read"
            self._tree.note(Problem("/etc/systemd", what))
            return b""
        try:
            text = self._tree.read(path, 0, LONGEST + 1)
        except PathError:
            return b""
        except (FormatError, SourceError) as error:
            self._tree.note(_damaged(path, error))
            return b""
        if len(text) > LONGEST:
            what = f"more than {LONGEST} bytes: the rest is not read"
            self._tree.note(Problem(shown_path(path), what))
        self._bytes_left -= len(text) + LEAST
        return text[:LONGEST]


def _matters(name: bytes) -> bool:
    return _is_mount(name) or name.endswith((b".mount.d", *PULLS))


def _is_mount(name: bytes) -> bool:
    return name.endswith((b".mount", b".automount"))


def _is_drop_in(name: bytes) -> bool:
    return name.endswith(b".conf")


def _pulls_at_boot(directory: bytes) -> bool:
    owner, _, pull = directory.rpartition(b".")
    return b"." + pull in PULLS and not NOT_AT_BOOT.match(owner)


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


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
