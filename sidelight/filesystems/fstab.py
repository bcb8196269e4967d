"""/etc/fstab: its lines, and which region a line's device is (fstab(5), systemd.mount(5))."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.disk import Region

LIMIT = 1 << 20  # bytes of fstab that are read
MAX_LINES = 4096

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


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `device` and `type` as text, `target` as bytes without slashes at its ends."""

    number: int
    device: str
    target: bytes
    type: str
    options: tuple[str, ...]

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
        texts = [_decode(_unescape(field)) for field in fields[:4]]
        device, kind = texts[0], texts[2] if len(texts) > 2 else "auto"
        options = tuple(texts[3].split(",")) if len(texts) > 3 else ()
        target = _unescape(fields[1])
        if not target.startswith(b"/") or b"\0" in target:
            continue
        line = Line(number, device, _clean(target), kind, options)
        if line.bind:
            if device.startswith("/"):
                yield line
        elif _on_a_disk(device, kind):
            yield line


def matches(device: str, regions: Sequence[Region]) -> list[Region]:
    """The regions that an fstab device can mean."""
    tag, _, value = device.partition("=")
    link, _, name = device.removeprefix("/dev/disk/").partition("/")
    if device.startswith("/dev/disk/") and link in _LINKS:
        # udev writes what a file name cannot hold as \x and two digits.
        tag, value = _LINKS[link], _HEX.sub(lambda match: chr(int(match.group(1), 16)), name)
    elif tag not in _TAGS:
        return [region for region in regions if device in region.device_names]
    value = value.strip("\"'")
    return [region for region in regions if value and _has(region, tag, value)]


def _has(region: Region, tag: str, value: str) -> bool:
    """UUIDs whatever their case, labels exactly, as libblkid compares them."""
    if tag == "UUID":
        return region.uuid.lower() == value.lower()
    if tag == "PARTUUID":
        return region.partuuid.lower() == value.lower()
    return value == (region.label if tag == "LABEL" else region.partlabel)


def _on_a_disk(device: str, kind: str) -> bool:
    if kind in ELSEWHERE or kind.startswith("fuse") or device.startswith("//"):
        return False
    return device.startswith("/") or device.partition("=")[0] in _TAGS


def _unescape(field: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match.group(1), 8)]), field)


def _decode(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")


def _clean(path: bytes) -> bytes:
    return b"/".join(part for part in path.split(b"/") if part not in (b"", b"."))
