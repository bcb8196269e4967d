"""Mutated words of a machine about itself: fstab, mount units, links; assembled and walked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fuzz.choices import scramble
from sidelight.disk import Region
from sidelight.errors import SidelightError
from sidelight.filesystems import fstab
from sidelight.filesystems.mounts import assemble
from sidelight.filesystems.units import escape, parse_mount
from tests.images.disk.sources import MemorySource
from tests.images.memory_filesystem import MemoryFilesystem

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

DEVICES = (
    b"LABEL=root", b"LABEL=data", b"UUID=d", b"/dev/sdb1", b"/dev/disk/by-label/data", b"/var",
    b"/", b"tmpfs", b"PARTUUID=", b"ID=x", b"/data/../..", b"LABEL=\\040",
)  # fmt: skip
TARGETS = (b"/", b"/var", b"/var/log", b"/data", b"/usr", b"/link", b"/var/..", b"none", b"/x\\040")
KINDS = (b"ext4", b"xfs", b"auto", b"none", b"tmpfs", b"nfs", b"swap")
OPTIONS = (
    b"defaults", b"bind", b"rbind", b"noauto", b"nofail", b"x-systemd.automount", b"subvol=@",
    b"X-mount.subdir=lib",
)  # fmt: skip
LINKS = ("/", "..", ".", "var", "/var/log", "link", "../link/var", "/data/x", "")
MOST_PATHS = 5000


class Targets:
    """Each target makes a number of mutated texts, and assembles a machine that holds them."""

    def __init__(self) -> None:
        self.all: dict[str, Callable[[random.Random], int]] = {
            "tree-fstab": self.fstab,
            "tree-machines": self.machines,
        }

    def _lines(self, chance: random.Random) -> bytes:
        lines = []
        for _ in range(chance.randrange(6)):
            words = (DEVICES, TARGETS, KINDS)
            options = b",".join(chance.choice(OPTIONS) for _ in range(chance.randrange(1, 3)))
            lines.append(b" ".join([*(chance.choice(some) for some in words), options]))
        text = b"\n".join(lines) + b"\n"
        return scramble(chance, text, 3) if chance.random() < 0.4 else text

    def _unit(self, chance: random.Random, target: bytes) -> bytes:
        text = b"[Mount]\nWhat=" + chance.choice(DEVICES) + b"\nWhere=" + target
        text += b"\nOptions=" + chance.choice(OPTIONS) + b"\n"
        return scramble(chance, text, 3) if chance.random() < 0.4 else text

    def fstab(self, chance: random.Random) -> int:
        """The texts alone."""
        for line in fstab.parse(self._lines(chance)):
            if b"\0" in line.target or line.target != line.target.strip(b"/"):
                raise AssertionError(f"a target that cannot be: {line.target!r}")
        parse_mount(self._unit(chance, b"/var"))
        return 2

    def machines(self, chance: random.Random) -> int:
        """Two disks, mounted as the texts say; every path of the tree, and some through links."""
        system: dict[str, object] = {"local-fs.target.wants": {}}
        wants: dict[str, object] = {}
        for _ in range(chance.randrange(3)):
            target = chance.choice(TARGETS)
            name = escape(target.strip(b"/")).decode("latin-1") + ".mount"
            system[name] = self._unit(chance, target)
            wants[name] = "x"
        system["local-fs.target.wants"] = wants
        etc: dict[str, object] = {
            "os-release": b"",
            "fstab": self._lines(chance),
            "systemd": {"system": system},
        }
        root: dict[str, object] = {
            "etc": etc,
            "var": {"log": {}, "lib": {}},
            "data": {},
            "link": chance.choice(LINKS),
            "usr": {"lib": {"systemd": {"systemd": b""}}},
        }
        data: dict[str, object] = {
            "x": b"",
            "log": {"link": chance.choice(LINKS)},
            "lib": {"y": b""},
            "etc": {},
        }
        regions, opened = [], []
        for index, (label, files) in enumerate((("root", root), ("data", data))):
            fs = MemoryFilesystem(files, label)
            names = ("/dev/sdb1",) if index else ()
            region = Region(
                MemorySource(b"", label), label, index, label=label, uuid="d" * index, kind="ext4",
                device_names=names,
            )  # fmt: skip
            regions.append(region)
            opened.append((region, fs))
        tree = assemble(regions, opened)
        paths = sum(len(entries) + 1 for level in tree.walk() for *_, entries in level)
        if paths > MOST_PATHS:
            raise AssertionError(f"{paths} paths of a dozen")
        for path in ("/link/link/var", "/data/log/link/../x", "/var/log/../../link"):
            with suppress(SidelightError):
                tree.place(path)
        return 2
