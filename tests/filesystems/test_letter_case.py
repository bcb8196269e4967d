"""Directories that ignore the case of letters: what programs find there is found."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.letter_case import fold_ascii, fold_unicode, renamed
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.filesystems.xfs.reader import XfsFilesystem
from sidelight.inventory.collect import collect
from tests.images.ext.recipes import debugfs
from tests.inventory.collected_machine import DPKG_STATUS, package_names, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.filesystems.protocol import Filesystem

pytestmark = pytest.mark.images
FOLDED = ("/", "/VAR", "/VAR/Lib", "/VAR/Lib/DPKG", "/VAR/Lib/DPKG/info", "/Usr", "/Usr/lib")
CASEFOLD = 0x40000000
EXTENTS = 0x80000


def populate(tree: Path) -> None:
    write_file(tree, "VAR/Lib/DPKG/Status", DPKG_STATUS)
    write_file(
        tree, "VAR/Lib/DPKG/info/python3-six.list", "/usr/lib/p/six-1.0.dist-info/METADATA\n"
    )
    write_file(tree, "Usr/lib/OS-Release", 'ID=debian\nVERSION_ID="12"\n')
    write_file(tree, "Usr/lib/p/six-1.0.dist-info/METADATA", "Name: six\nVersion: 1.0\n")
    (tree / "etc").mkdir()
    (tree / "etc/os-release").symlink_to("../usr/lib/os-release")


def ext4(folder: Path, *, folded: bool) -> Filesystem:
    """An ext4 with the feature, whose directories have the flag or lack it."""
    populate(folder / "tree")
    image = folder / "disk.img"
    options = ["-O", "casefold", "-E", "encoding=utf8", "-d", str(folder / "tree")]
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", *options, str(image), "8M"], check=True)
    if folded:
        flags = CASEFOLD | EXTENTS
        debugfs(image, *(f"set_inode_field {path} flags {flags:#x}" for path in FOLDED))
    return ExtFilesystem(ImageFile(str(image)))


def xfs(folder: Path, *, folded: bool) -> Filesystem:
    """An XFS whose names are in any letter case, or not."""
    lines = ["/nothing", "0 0", "d--755 0 0"]

    def describe(directory: Path) -> None:
        for path in sorted(directory.iterdir()):
            if path.is_symlink():
                lines.append(f"{path.name} l--777 0 0 {path.readlink()}")
            elif path.is_dir():
                lines.append(f"{path.name} d--755 0 0")
                describe(path)
                lines.append("$")
            else:
                lines.append(f"{path.name} ---644 0 0 {path}")

    populate(folder / "tree")
    describe(folder / "tree")
    lines.append("$")
    proto = write_file(folder, "proto", "\n".join(lines) + "\n")
    image = folder / "disk.img"
    naming = ["-n", "version=ci"] if folded else []
    command = ["mkfs.xfs", "-q", *naming, "-d", f"name={image},file=1,size=300m", "-p", str(proto)]
    subprocess.run(command, check=True, capture_output=True)
    return XfsFilesystem(ImageFile(str(image)))


KINDS = [
    pytest.param(
        ext4, id="ext4", marks=pytest.mark.skipif(not shutil.which("mke2fs"), reason="needs mke2fs")
    ),
    pytest.param(
        xfs,
        id="xfs",
        marks=pytest.mark.skipif(not shutil.which("mkfs.xfs"), reason="needs mkfs.xfs"),
    ),
]


@pytest.mark.parametrize("make", KINDS)
def test_what_programs_find_in_any_letter_case_is_read(tmp_path: Path, make: object) -> None:
    fs = make(tmp_path, folded=True)  # type: ignore[operator]  # one of the two above
    found = collect(MachineTree(fs))
    assert (found.os.id, found.os.version_id) == ("debian", "12")
    assert package_names(found) == ["bash", "python3-six"]
    assert found.owned == 1
    assert found.problems == []


@pytest.mark.parametrize("make", KINDS)
def test_elsewhere_names_of_another_case_are_other_names(tmp_path: Path, make: object) -> None:
    fs = make(tmp_path, folded=False)  # type: ignore[operator]  # one of the two above
    assert package_names(collect(MachineTree(fs))) == ["six"]


@pytest.mark.parametrize("make", KINDS)
def test_a_path_is_looked_up_in_any_case_and_shown_as_it_is_stored(
    tmp_path: Path, make: object
) -> None:
    tree = MachineTree(make(tmp_path, folded=True))  # type: ignore[operator]  # as above
    assert tree.read("/var/lib/dpkg/status") == DPKG_STATUS.encode()
    assert {name for name, *_ in tree.listdir("/var/lib/dpkg")} == {b"Status", b"info"}


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ("STATUS", "status"),
        ("pac\N{KELVIN SIGN}age.json", "package.json"),
        ("STRASSE", "stra\N{LATIN SMALL LETTER SHARP S}e"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}", "E\N{COMBINING ACUTE ACCENT}"),
    ],
)
def test_ext4_compares_names_by_unicode(stored: str, wanted: str) -> None:
    assert fold_unicode(stored.encode()) == fold_unicode(wanted.encode())


def test_what_is_no_utf_8_is_compared_by_its_bytes_and_xfs_knows_ascii_alone() -> None:
    assert fold_unicode(b"A\xff") == b"A\xff"
    assert fold_ascii("A\N{LATIN CAPITAL LETTER E WITH ACUTE}".encode()) == (
        "a\N{LATIN CAPITAL LETTER E WITH ACUTE}".encode()
    )


def test_an_entry_of_the_very_name_is_not_covered_by_another() -> None:
    entries = [(b"STATUS", 11, 1), (b"status", 12, 1)]
    assert renamed(entries, [b"status"], fold_ascii) == [[entry] for entry in entries]


def test_an_entry_that_is_found_by_several_names_has_each() -> None:
    names = [b"metadata", b"METADATA"]
    assert renamed([(b"Metadata", 11, 1)], names, fold_ascii) == [
        [(b"METADATA", 11, 1), (b"metadata", 11, 1)]
    ]
    assert (b"METADATA", 11, 1) in renamed([(b"METADATA", 11, 1)], names, fold_ascii)[0]
