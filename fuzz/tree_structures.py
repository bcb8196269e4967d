"""Mutated words of a machine about itself: fstab, mount units, links; assembled and walked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fuzz.choices import scramble
from sidelight.disk import VolumeSlice
from sidelight.errors import SidelightError
from sidelight.filesystems.machine import fstab
from sidelight.filesystems.machine.fstab import MAX_LINES
from sidelight.filesystems.machine.mount_table import assemble
from sidelight.filesystems.machine.systemd_units import LEAST, MOST_BYTES, escape, parse_mount
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fakes.sources import MemorySource

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
MOST_READ_BESIDES = 16  # files: fstab, os-release
NAMES = ("a-*.mount", "*.mount", "var.mount", "a-a.automount", "*.service", "-.mount")
PULLS = (".wants", ".requires", ".upholds", ".d", ".mount.d")
DEEP = (b"a/", b"../", b"link/", b"./", b"a", b"%%")
MANY = (0, 1, 1, 2, 50, 50, 5000)


class Targets:
    """Each target makes a number of mutated texts, and assembles a machine that holds them."""

    def __init__(self) -> None:
        self.all: dict[str, Callable[[random.Random], int]] = {
            "tree-fstab": self.fstab,
            "tree-machines": self.machines,
            "tree-units": self.units,
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
        slices, opened = [], []
        for index, (label, files) in enumerate((("root", root), ("data", data))):
            fs = MemoryFilesystem(files, label)
            names = ("/dev/sdb1",) if index else ()
            volume_slice = VolumeSlice(
                MemorySource(b"", label), label, index, label=label, uuid="d" * index, kind="ext4",
                device_names=names,
            )  # fmt: skip
            slices.append(volume_slice)
            opened.append((volume_slice, fs))
        tree = assemble(slices, opened)
        paths = sum(len(entries) + 1 for level in tree.walk() for *_, entries in level)
        if paths > MOST_PATHS:
            raise AssertionError(f"{paths} paths of a dozen")
        for path in ("/link/link/var", "/data/log/link/../x", "/var/log/../../link"):
            with suppress(SidelightError):
                tree.locate(path)
        return 2

    def units(self, chance: random.Random) -> int:
        """Very many units, drop-ins and directories that pull them in, and very deep paths."""
        folders: list[dict[str, object]] = [{}, {}]
        for _ in range(chance.randrange(1, 6)):
            folder, name = chance.choice(folders), chance.choice(NAMES)
            path = chance.choice(DEEP) * chance.choice(MANY)
            text = self._unit(chance, b"/" + path[: chance.choice((100, 5000, 50_000))])
            text *= chance.choice((1, 1, 500))
            for number in range(chance.choice(MANY)):
                folder[name.replace("*", str(number))] = text
            pulled = {name.replace("*", str(number)): "x" for number in range(chance.choice(MANY))}
            for number in range(chance.choice((0, 1, 1, 60))):
                folder[f"t{number}.target{chance.choice(PULLS)}"] = pulled
            below = {f"{number}.conf": text for number in range(chance.choice(MANY))}
            folder[name.replace("*", "0") + ".d"] = below
        fstab_text = b"".join(self._lines(chance) for _ in range(chance.choice((0, 1, 200))))
        root: dict[str, object] = {
            "etc": {"os-release": b"", "fstab": fstab_text, "systemd": {"system": folders[0]}},
            "usr": {"lib": {"systemd": {"systemd": b"", "system": folders[1]}}},
            "lib": chance.choice(("usr/lib", "lib", "/lib/lib")),
            "a": {"a": {"a": {}}, "link": chance.choice(LINKS)},
            "var": {},
        }
        fs = MemoryFilesystem(root, "root")
        volume_slice = VolumeSlice(MemorySource(b"", "root"), "root", 0, label="root", kind="ext4")
        tree = assemble([volume_slice], [(volume_slice, fs)])
        reads = sum(what == "read" for what, _ in fs.requests)
        if reads > MOST_BYTES // LEAST + MOST_READ_BESIDES:
            raise AssertionError(f"{reads} reads")
        if len(tree.problems) > MOST_PATHS + MAX_LINES:
            raise AssertionError(f"{len(tree.problems)} problems")
        return 1
