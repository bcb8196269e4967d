"""Which of two systems boots: Bottlerocket's partition sets, Flatcar's /usr."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.disk import volumes
from sidelight.disk.volume_slice import VolumeSlice
from sidelight.filesystems.machine import ab_slots
from sidelight.filesystems.machine.mount_table import assemble, open_slices
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fakes.sources import MemorySource

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.filesystems.machine.tree import MachineTree
    from sidelight.model import Problem

BOOT, ROOT = ab_slots.BOTTLEROCKET_BOOT, ab_slots.BOTTLEROCKET_ROOT


def attributes(priority: int, tries: int, *, successful: bool) -> int:
    return priority << 48 | tries << 52 | successful << 56


FRESH = attributes(1, 0, successful=True)
UNUSED = 0
STAGED = attributes(2, 1, successful=False)
SPENT = attributes(2, 0, successful=False)
RUNS = attributes(2, 1, successful=True)


def sets(first: int, second: int, disk: int = 0) -> list[VolumeSlice]:
    kinds = [(BOOT, first), (ROOT, 0), (BOOT, second), (ROOT, 0)]
    return [
        VolumeSlice(MemorySource(b""), f"d{disk}p{n}", disk, n, parttype=kind, attributes=bits)
        for n, (kind, bits) in enumerate(kinds, 1)
    ]


@pytest.mark.parametrize(
    ("first", "second", "idle"),
    [
        (FRESH, UNUSED, ["d0p4"]),
        (FRESH, STAGED, ["d0p2"]),
        (FRESH, SPENT, ["d0p4"]),
        (FRESH, RUNS, ["d0p2"]),
        (RUNS, FRESH, ["d0p4"]),
        (FRESH, FRESH, ["d0p4"]),
        (UNUSED, FRESH, ["d0p2"]),
        (UNUSED, UNUSED, []),
        (SPENT, UNUSED, []),
    ],
)
def test_the_set_that_boots_is_signposts_next(first: int, second: int, idle: list[str]) -> None:
    assert [volume_slice.name for volume_slice in ab_slots.idle_roots(sets(first, second))] == idle


def test_each_disk_has_sets_of_its_own_and_halves_are_none() -> None:
    both = sets(FRESH, RUNS) + sets(RUNS, FRESH, disk=1)
    assert {volume_slice.name for volume_slice in ab_slots.idle_roots(both)} == {"d0p2", "d1p4"}
    assert ab_slots.idle_roots(sets(FRESH, RUNS)[:1]) == []
    assert ab_slots.idle_roots([]) == []


def flatcar(first: int, second: int) -> MachineTree:
    trees: list[dict[str, object]] = [
        {"etc": {"os-release": "../usr/lib/os-release"}, "usr": {}},
        {"lib": {"os-release": b"VERSION_ID=1\n"}},
        {"lib": {"os-release": b"VERSION_ID=2\n"}},
    ]
    parts = [("", "ROOT", 0), (ab_slots.FLATCAR_USR, "USR-A", first)]
    parts.append((ab_slots.FLATCAR_USR, "USR-B", second))
    opened = []
    for number, (files, (kind, label, bits)) in enumerate(zip(trees, parts, strict=True), 1):
        fs = MemoryFilesystem(files, f"disk/p{number}")
        volume_slice = VolumeSlice(
            MemorySource(b""), fs.source_name, 0, number, f"uuid-{number}", label, kind, bits,
            kind="ext4",
        )  # fmt: skip
        opened.append((volume_slice, fs))
    return assemble([volume_slice for volume_slice, _ in opened], opened)


def test_flatcars_usr_is_that_which_boots() -> None:
    assert flatcar(FRESH, UNUSED).read("/etc/os-release") == b"VERSION_ID=1\n"
    assert flatcar(FRESH, STAGED).read("/etc/os-release") == b"VERSION_ID=2\n"
    assert flatcar(RUNS, FRESH).read("/etc/os-release") == b"VERSION_ID=1\n"


@pytest.mark.images
@pytest.mark.usefixtures("whole_system_sync")
@pytest.mark.skipif(
    not all(map(shutil.which, ("sgdisk", "mkfs.ext4"))), reason="needs sgdisk, mkfs.ext4"
)
@pytest.mark.parametrize(("active", "version"), [("A", "1.19.0"), ("B", "1.20.1")])
def test_a_real_disk_with_two_systems_is_the_one_that_boots(
    tmp_path: Path, active: str, version: str
) -> None:
    mib = 1 << 20
    disk = tmp_path / "os.img"
    with disk.open("wb") as file:
        file.truncate(70 * mib)
    bits = {"A": ("48", "56"), "B": ("49", "52")}[active]  # the first system, or an update
    number = {"A": 1, "B": 3}[active]
    words = ["-A1:set:48", "-A1:set:56", *(f"-A{number}:set:{bit}" for bit in bits)]
    for n, (at, size, kind) in enumerate(
        ((1, 8, BOOT), (9, 16, ROOT), (25, 8, BOOT), (33, 16, ROOT)), 1
    ):
        words += [f"-n{n}:{at}M:+{size}M", f"-t{n}:{kind}"]
    # Partitions before what is said of them.
    words.sort(key=lambda word: word.startswith("-A"))
    subprocess.run(["sgdisk", *words, str(disk)], check=True, capture_output=True)
    for at, own in ((9, "1.19.0"), (33, "1.20.1")):
        tree, part = tmp_path / own, tmp_path / f"{own}.img"
        (tree / "usr/lib").mkdir(parents=True)
        (tree / "usr/lib/os-release").write_text(f"ID=bottlerocket\nVERSION_ID={own}\n")
        with part.open("wb") as file:
            file.truncate(16 * mib)
        command = ["mkfs.ext4", "-q", "-F", "-d", str(tree), str(part)]
        subprocess.run(command, check=True, capture_output=True)
        with disk.open("r+b") as file:
            file.seek(at * mib)
            file.write(part.read_bytes())
    problems: list[Problem] = []
    with ImageFile(str(disk)) as source:
        slices = volumes([source], problems)
        machine = assemble(slices, open_slices(slices, problems))
        assert machine.read("/usr/lib/os-release").endswith(f"={version}\n".encode())
        # The other one is there, under its own name, and no fault of the machine's.
        assert [name for name, _, _ in machine.listdir("/") if name.startswith(b"[")]
        assert machine.problems == problems == []
