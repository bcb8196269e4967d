"""FAT holds no software where machines boot from it; elsewhere that it is not read is a Problem."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidelight.disk import VolumeSlice
from sidelight.disk.gpt_layout import EFI_SYSTEM
from sidelight.filesystems.machine.mount_table import assemble
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fakes.sources import MemorySource
from tests.fixtures.machine_trees import OS, USR

LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
FAT = VolumeSlice(
    MemorySource(b"", "disk0/p2"), "disk0/p2", 0, 2, label="DATA", kind="vfat", parttype=LINUX
)


def problems(fstab: str, fat: VolumeSlice) -> list[tuple[str, str]]:
    """Of a machine with an ext4 as its root and this FAT."""
    fs = MemoryFilesystem(
        {"etc": {**OS, "fstab": fstab.encode()}, "usr": USR, "opt": {}}, "disk0/p1"
    )
    source = MemorySource(b"", fs.source_name)
    root = VolumeSlice(source, fs.source_name, 0, 1, label="root", kind="ext4")
    tree = assemble([root, fat], [(root, fs)])
    return [(problem.where, problem.what) for problem in tree.problems]


@pytest.mark.parametrize(
    ("fstab", "fat"),
    [
        ("", replace(FAT, parttype=EFI_SYSTEM)),
        ("", replace(FAT, parttype="ef")),
        ("", replace(FAT, label="CIDATA")),
        ("LABEL=DATA /boot/efi vfat umask=0077 0 1\n", FAT),
        ("LABEL=DATA /efi vfat noauto,x-systemd.automount 0 1\n", FAT),
        ("LABEL=DATA /boot/firmware vfat noauto 0 1\n", FAT),
    ],
)
def test_what_machines_boot_from_is_no_problem(fstab: str, fat: VolumeSlice) -> None:
    assert problems(fstab, fat) == []


@pytest.mark.parametrize("options", ["defaults", "nofail,umask=0022", "noauto,x-systemd.automount"])
@pytest.mark.parametrize("parttype", [LINUX, EFI_SYSTEM, "0c", ""])
def test_fat_that_is_mounted_elsewhere_is_a_problem(options: str, parttype: str) -> None:
    found = problems(f"LABEL=DATA /opt vfat {options} 0 0\n", replace(FAT, parttype=parttype))
    assert found == [
        ("/etc/fstab: line 1 (/opt)", "disk0/p2: unsupported: vfat; its files are not read")
    ]


@pytest.mark.parametrize("fstab", ["", "LABEL=DATA /opt vfat noauto,user 0 0\n"])
def test_fat_that_nothing_explains_is_a_problem(fstab: str) -> None:
    assert problems(fstab, FAT) == [("disk0/p2", "unsupported: vfat; its files are not read")]
