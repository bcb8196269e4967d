"""Kernels' images without a number in their names."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import collect
from sidelight.inventory.os.kernel_images import EXTRACTOR
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.host_directory import HostDirectory
from tests.fakes.memory_file import MemoryFile
from tests.inventory.collected_machine import collect_root, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction

RELEASE = "6.9.1-custom"
KIND = "linux-kernel"


def bz_image(release: str = RELEASE) -> bytes:
    """The first sectors of an x86 image, as boot.rst has them."""
    data = bytearray(b"MZ" + bytes(0x3FFE))
    data[0x202:0x206] = b"HdrS"
    data[0x20E:0x210] = struct.pack("<H", 0x3000)
    text = f"{release} (root@host) #1 SMP\0".encode()
    data[0x3200 : 0x3200 + len(text)] = text
    return bytes(data)


def unified(sections: dict[str, bytes]) -> bytes:
    """A PE file of these sections."""
    header = bytearray(b"MZ" + bytes(0x3A) + struct.pack("<I", 0x80))
    header += bytes(0x80 - len(header))
    header += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, 240, 0x22E)
    header += struct.pack("<H", 0x20B) + bytes(238)
    offset, body = 0x1000, b""
    for name, data in sections.items():
        at = offset + len(body)
        header += struct.pack(
            "<8s6I2HI", name.encode(), len(data), at, len(data), at, 0, 0, 0, 0, 0
        )
        body += data
    return bytes(header) + bytes(offset - len(header)) + body


def read(path: str, data: bytes) -> Extraction:
    return EXTRACTOR.extract(MemoryFile(data, path), Machine(OperatingSystem()))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("boot/vmlinuz", True),
        ("boot/vmlinuz-linux", True),
        ("boot/bzImage", True),
        ("usr/lib/modules/6.9.1-custom/vmlinuz", True),
        ("lib/modules/6.9.1-custom/vmlinuz", True),
        ("boot/0123456789abcdef/6.9.1-custom/linux", True),
        ("boot/EFI/Linux/own.efi", True),
        ("boot/efi/EFI/LINUX/Own.efi", True),
        ("boot/vmlinuz-6.9.1-custom", False),  # judged by its name
        ("boot/vmlinuz-0-rescue-0123", False),
        ("boot/vmlinuz.old", False),
        ("boot/config", False),
        ("boot/efi/EFI/debian/grubx64.efi", False),
        ("opt/app/linux", False),
    ],
)
def test_images_are_wanted_where_machines_boot_from(path: str, wanted: bool) -> None:
    assert EXTRACTOR.wants.confirm is not None
    assert EXTRACTOR.wants.confirm(path) is wanted


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("boot/vmlinuz", bz_image()),
        ("usr/lib/modules/6.9.1-custom/vmlinuz", b""),
        ("boot/0123/6.9.1-custom/linux", b""),
        ("boot/EFI/Linux/own.efi", unified({".uname": RELEASE.encode() + b"\n"})),
        ("boot/EFI/Linux/own.efi", unified({".osrel": b"ID=x", ".linux": bz_image()})),
    ],
)
def test_the_release_is_the_directory_s_or_the_image_s(path: str, data: bytes) -> None:
    [found] = read(path, data).packages
    assert (found.purl, found.path) == (f"pkg:generic/{KIND}@{RELEASE}", f"/{path}")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ",
        b"\x1f\x8b" + bytes(8192),
        bz_image("no release"),
        bz_image()[:0x3000],
        unified({".uname": b""}),
        unified({".linux": unified({".linux": b""})}),
    ],
)
def test_an_image_of_no_known_release_is_a_problem(data: bytes) -> None:
    found = read("boot/vmlinuz", data)
    assert not found.packages
    assert [problem.where for problem in found.problems] == ["/boot/vmlinuz"]


def kernels(root: Path) -> list[tuple[str, str]]:
    found = collect_root(root)
    assert found.problems == []
    return [(item.version, item.path) for item in found.packages if item.name == KIND]


def test_a_kernel_is_listed_once_where_no_package_is_of_its_release(debian: Path) -> None:
    write_file(debian, "boot/vmlinuz", bz_image())
    write_file(debian, "boot/vmlinuz-6.9.1-custom", bz_image())
    write_file(debian, "usr/lib/modules/6.9.2-own/vmlinuz", b"")
    write_file(debian, "boot/vmlinuz-linux", bz_image("6.9.3-arch1"))
    assert kernels(debian) == [
        ("6.9.1-custom", "/boot/vmlinuz"),
        ("6.9.2-own", "/usr/lib/modules/6.9.2-own/vmlinuz"),
        ("6.9.3-arch1", "/boot/vmlinuz-linux"),
    ]


def test_the_image_of_an_installed_package_is_no_kernel_apart(debian: Path) -> None:
    status = debian / "var/lib/dpkg/status"
    package = "Package: linux-image-6.9.1-custom\nStatus: install ok installed\nVersion: 1\n"
    status.write_text(f"{status.read_text()}\n{package}Architecture: amd64\n")
    write_file(debian, "boot/vmlinuz", bz_image())
    write_file(debian, "usr/lib/modules/6.9.1-custom/vmlinuz", b"")
    assert kernels(debian) == []


def test_an_image_that_a_package_owns_is_no_kernel_apart(debian: Path) -> None:
    """Photon's package of the kernel is called linux, of which the image's name says nothing."""
    owned = ("boot/vmlinuz-6.9.1-custom", "boot/vmlinuz", "usr/lib/modules/6.9.1-custom/vmlinuz")
    with (debian / "var/lib/dpkg/info/python3-six.list").open("a") as listed:
        listed.writelines(f"/{path}\n" for path in owned)
    for path in owned:
        write_file(debian, path, bz_image())
    assert kernels(debian) == []


def test_a_link_to_an_image_with_a_number_is_not_read(debian: Path) -> None:
    write_file(debian, "boot/vmlinuz-6.9.1-custom", bz_image("6.9.9-other"))
    (debian / "boot/vmlinuz").symlink_to("vmlinuz-6.9.1-custom")
    fs = HostDirectory(debian)
    found = collect(MachineTree(fs))
    assert [item.version for item in found.packages if item.name == KIND] == ["6.9.1-custom"]
    assert "vmlinuz-6.9.1-custom" not in {fs.name_of(number) for number, _, _ in fs.reads}
