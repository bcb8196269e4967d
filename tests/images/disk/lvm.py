"""Volume groups by the real lvm2, on loop devices, without the kernel's device-mapper.

With `activation=0` lvcreate makes linear, striped and raid0 volumes. Mirrors, raid1, snapshots and
thin volumes it refuses without the kernel: for those a text written here goes through vgcfgrestore,
so that the bytes on the disks are lvm2's own. Thin-pool metadata is thin_restore's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTENT = 4 << 20
PE_START = 1 << 20


def unavailable() -> str:
    """Why the tools cannot be used here, or empty."""
    if os.geteuid() != 0:
        return "needs root (loop devices)"
    missing = [tool for tool in ("pvcreate", "vgcfgrestore", "losetup") if not shutil.which(tool)]
    if missing:
        return f"needs {', '.join(missing)} (apt: lvm2)"
    if not Path("/dev/loop-control").exists():
        return "needs loop devices"
    return ""


class Lab:
    """lvm2 over some image files; `devices` are their loop devices, in order."""

    def __init__(self, devices: list[str]) -> None:
        self.devices = devices
        accepted = ",".join(f'"a|^{device}$|"' for device in devices)
        self.config = (
            "activation { udev_sync=0 udev_rules=0 monitoring=0 verify_udev_operations=0 } "
            f'devices {{ use_devicesfile=0 scan=["/dev"] filter=[{accepted},"r|.*|"] '
            'obtain_device_list_from_udev=0 external_device_info_source="none" '
            "md_component_detection=0 multipath_component_detection=0 } "
            "global { activation=0 use_lvmpolld=0 event_activation=0 } "
            "backup { backup=0 archive=0 }"
        )

    def run(self, tool: str, *words: str) -> str:
        done = subprocess.run(
            [tool, "--config", self.config, *words],
            text=True,
            capture_output=True,
            check=False,
            env={**os.environ, "LVM_SUPPRESS_FD_WARNINGS": "1", "LC_ALL": "C"},
        )
        assert done.returncode == 0, f"{tool} {words}: {done.stderr}"
        return done.stdout

    def group(self, name: str, *pvcreate: str) -> None:
        for device in self.devices:
            self.run("pvcreate", "-qq", "-y", *pvcreate, device)
        self.run("vgcreate", "-qq", name, *self.devices)

    def volume(self, group: str, name: str, extents: int, *words: str) -> None:
        size = ["-l", str(extents), "-n", name]
        self.run("lvcreate", "-an", "-Zn", "-Wn", "-y", *size, *words, group)

    def ranges(self, group: str) -> dict[str, list[tuple[int, int, int]]]:
        """lvm2's own account: volume -> (disk, first extent, last extent) of its segments."""
        found: dict[str, list[tuple[int, int, int]]] = {}
        options = ["--noheadings", "-o", "lv_name,seg_pe_ranges", "--separator", ";"]
        for line in self.run("lvs", *options, group).splitlines():
            name, _, text = line.strip().partition(";")
            for word in text.split():
                device, _, extents = word.rpartition(":")
                if device not in self.devices:
                    continue  # a part that is a volume itself
                first, _, last = extents.partition("-")
                place = (self.devices.index(device), int(first), int(last))
                found.setdefault(name, []).append(place)
        return found

    def restore(self, group: str, logical_volumes: str) -> None:
        """Give the group these volumes (`name { … }` in lvm2's text), by vgcfgrestore."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vg.txt"
            self.run("vgcfgbackup", "-f", str(path), group)
            text = path.read_text()
            head = re.split(r"\n\tlogical_volumes \{", text)[0]
            head = head.rstrip()
            # A group without volumes ends right after its members.
            if head.endswith("}") and "logical_volumes" not in text:
                head = head[:-1].rstrip()
            path.write_text(f"{head}\n\tlogical_volumes {{\n{logical_volumes}\n\t}}\n}}\n")
            self.run("vgcfgrestore", "--force", "-f", str(path), group)


@contextmanager
def lab(images: list[Path]) -> Iterator[Lab]:
    """Loop devices over the images, detached at the end."""
    devices: list[str] = []
    try:
        for image in images:
            done = subprocess.run(
                ["losetup", "-f", "--show", str(image)], text=True, capture_output=True, check=True
            )
            devices.append(done.stdout.strip())
        yield Lab(devices)
    finally:
        for device in devices:
            subprocess.run(["losetup", "-d", device], check=True)


def volume(name: str, segments: list[str], *, visible: bool = True) -> str:
    """One volume in lvm2's text. Its id is made of its name."""
    seed = "".join(c for c in name if c.isalnum()).ljust(32, "0")[:32]
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    uuid = "-".join(seed[a:b] for a, b in pairwise(cuts))
    flags = '"READ", "WRITE"' + (', "VISIBLE"' if visible else "")
    body = "\n".join(
        f"segment{number} {{ {segment} }}" for number, segment in enumerate(segments, 1)
    )
    return (
        f'{name} {{\nid = "{uuid}"\nstatus = [{flags}]\nflags = []\n'
        f"segment_count = {len(segments)}\n{body}\n}}\n"
    )


def linear(member: str, extent: int, count: int, start: int = 0) -> str:
    """A linear segment in lvm2's text."""
    return (
        f'start_extent = {start}\nextent_count = {count}\ntype = "striped"\n'
        f'stripe_count = 1\nstripes = [ "{member}", {extent} ]\n'
    )
