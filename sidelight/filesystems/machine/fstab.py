"""/etc/fstab: its lines, and which volume slice a line's device is (fstab(5), systemd.mount(5))."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.disk import VolumeSlice

LIMIT = 1 << 20  # bytes of fstab that are read
MAX_LINES = 4096
# No path or options of this many bytes reach the kernel (PATH_MAX; mount(2) takes one page).
TOO_LONG = 4096

# Types whose contents are on no disk of this machine.
ELSEWHERE = frozenset(
    {
        *(
            "9p",
            "ceph",
            "cifs",
            "efs",
            "glusterfs",
            "lustre",
            "ncpfs",
            "nfs",
            "nfs4",
            "smb3",
            "smbfs",
        ),
        *(
            "autofs",
            "bpf",
            "cgroup",
            "cgroup2",
            "configfs",
            "debugfs",
            "devpts",
            "devtmpfs",
            "efivarfs",
        ),
        *("fusectl", "hugetlbfs", "mqueue", "nfsd", "none", "overlay", "proc", "pstore", "ramfs"),
        *("rpc_pipefs", "securityfs", "swap", "sysfs", "tmpfs", "tracefs", "usbfs", "virtiofs"),
    }
)
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
_HEX = re.compile(r"\\x([0-9a-fA-F]{2})")
_LINKS = {
    "by-uuid": "UUID",
    "by-label": "LABEL",
    "by-partuuid": "PARTUUID",
    "by-partlabel": "PARTLABEL",
}
_TAGS = frozenset(_LINKS.values())
_ANY_CASE = frozenset({"UUID", "PARTUUID"})
_AUTOMOUNT = frozenset({"x-systemd.automount", "comment=systemd.automount"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `device` and `type` as text, `target` as bytes without slashes at its ends.

    `unit` is the path of the mount unit that says so instead of a line of fstab; `dormant` that
    the unit is started only where fstab has a line for its target.
    """

    number: int
    device: str
    target: bytes
    type: str
    options: tuple[str, ...]
    unit: str = ""
    dormant: bool = False

    @property
    def where(self) -> str:
        """For Problems."""
        place = self.unit or f"/etc/fstab: line {self.number}"
        return f"{place} (/{self.target.decode('utf-8', 'backslashreplace')})"

    @property
    def at_boot(self) -> bool:
        """Whether it is mounted at boot, or as soon as somebody looks."""
        if "noauto" not in self.options:
            return True
        return not _AUTOMOUNT.isdisjoint(self.options)

    @property
    def may_be_absent(self) -> bool:
        """Whether a machine is whole without it, as with an instance's own ephemeral disks."""
        return "nofail" in self.options

    def only_with_fstab(self) -> Line:
        """The same, dormant."""
        return replace(self, dormant=True)

    @property
    def bind(self) -> bool:
        """Whether it shows a directory of the tree at a second place."""
        return "bind" in self.options or "rbind" in self.options

    @property
    def recursive(self) -> bool:
        """Whether a bind mount takes the mounts below it along."""
        return "rbind" in self.options

    @property
    def subdirectory(self) -> bytes:
        """The directory of the filesystem to show (util-linux's X-mount.subdir), or empty."""
        for option in self.options:
            if option.startswith("X-mount.subdir="):
                return option.partition("=")[2].encode("utf-8", "surrogateescape").strip(b"/")
        return b""


def parse(data: bytes) -> Iterator[Line]:
    """The lines that put a filesystem of a disk, or a directory, somewhere.

    Comments, swap, network and virtual filesystems are left out, as is what has no two fields.
    Any bytes are accepted.
    """
    for number, raw in enumerate(data[:LIMIT].split(b"\n")[:MAX_LINES], 1):
        fields = raw.split()
        if len(fields) < 2 or fields[0].startswith(b"#"):
            continue
        plain = [_unescape(field) for field in fields[:4]] + [b"auto", b""][len(fields[:4]) - 2 :]
        line = mountable(plain[0], plain[1], plain[2], plain[3])
        if line is not None:
            yield replace(line, number=number)


def mountable(
    device: bytes, target: bytes, kind: bytes, options: bytes, unit: str = ""
) -> Line | None:
    """These words as a line; None where they put nothing of a disk anywhere.

    So do words too long for the kernel: no machine mounts what they say.
    """
    if not target.startswith(b"/") or b"\0" in target:
        return None
    if max(map(len, (device, target, kind, options))) >= TOO_LONG:
        return None
    words = tuple(_decode(options).split(",")) if options else ()
    line = Line(0, _decode(device), _clean(target), _decode(kind), words, unit)
    on_disk = line.device.startswith("/") if line.bind else _on_a_disk(line.device, line.type)
    return line if on_disk else None


class Devices:
    """Slices by what an fstab can call them. Looking one up costs the same for any number."""

    def __init__(self, slices: Sequence[VolumeSlice]) -> None:
        self._by_name: dict[tuple[str, str], list[VolumeSlice]] = {}
        for volume_slice in slices:
            for name in dict.fromkeys(volume_slice.device_names):
                self._by_name.setdefault(("", name), []).append(volume_slice)
            for tag in _TAGS:
                self._by_name.setdefault((tag, _value(volume_slice, tag)), []).append(volume_slice)

    def matching(self, device: str) -> list[VolumeSlice]:
        """The slices that an fstab device can mean."""
        tag, name = _named(device)
        return self._by_name.get((tag, name), []) if name else []


def matches(device: str, slices: Sequence[VolumeSlice]) -> list[VolumeSlice]:
    """The slices that an fstab device can mean."""
    return Devices(slices).matching(device)


def _named(device: str) -> tuple[str, str]:
    """The tag and the value that a device is looked up by; without a tag its path."""
    tag, _, value = device.partition("=")
    link, _, name = device.removeprefix("/dev/disk/").partition("/")
    if device.startswith("/dev/disk/") and link in _LINKS:
        # udev writes what a file name cannot hold as \x and two digits.
        tag, value = _LINKS[link], _HEX.sub(lambda match: chr(int(match.group(1), 16)), name)
    elif tag == "ID":
        return "", f"/dev/disk/by-id/{value}"
    elif tag not in _TAGS:
        return "", device
    value = value.strip("\"'")
    return tag, value.lower() if tag in _ANY_CASE else value


def _value(volume_slice: VolumeSlice, tag: str) -> str:
    """UUIDs whatever their case, labels exactly, as libblkid compares them."""
    if tag == "UUID":
        return volume_slice.uuid.lower()
    if tag == "PARTUUID":
        return volume_slice.partuuid.lower()
    return volume_slice.label if tag == "LABEL" else volume_slice.partlabel


def _on_a_disk(device: str, kind: str) -> bool:
    if kind in ELSEWHERE or kind.startswith("fuse") or device.startswith("//"):
        return False
    return device.startswith("/") or device.partition("=")[0] in _TAGS | {"ID"}


def _unescape(field: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match.group(1), 8)]), field)


def _decode(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")


def _clean(path: bytes) -> bytes:
    return b"/".join(part for part in path.split(b"/") if part not in (b"", b"."))
