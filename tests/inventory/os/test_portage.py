"""Gentoo's database of installed packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError
from sidelight.inventory.os.portage import PortageDatabase
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile

if TYPE_CHECKING:
    from pathlib import Path

_MACHINE = Machine(OperatingSystem(id="gentoo", version_id="2.15"))
_PATH = "var/db/pkg/perl-core/Getopt-Long-2.580.0/PF"


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        (b"Getopt-Long-2.580.0\n", "Getopt-Long", "2.580.0"),
        (b"openssl-3.0.13-r2\n", "openssl", "3.0.13-r2"),
        (b"foo-2-bar-1.2b_rc3_p4-r1", "foo-2-bar", "1.2b_rc3_p4-r1"),
    ],
)
def test_splits_name_and_version(text: bytes, name: str, version: str) -> None:
    (package,) = PortageDatabase().extract(MemoryFile(text, _PATH), _MACHINE).packages
    assert (package.name, package.version) == (f"perl-core/{name}", version)
    assert package.purl == f"pkg:ebuild/perl-core/{name}@{version}?distro=gentoo-2.15"


@pytest.mark.conformance
@pytest.mark.parametrize("name", ["empty", "invalid", "nopackage", "noversion"])
def test_real_files_without_a_version_are_damaged(shared_data: Path, name: str) -> None:
    data = (shared_data / "manifests/osv-scalibr/os/portage/testdata" / name).read_bytes()
    with pytest.raises(DamagedError):
        PortageDatabase().extract(MemoryFile(data, _PATH), _MACHINE)


def test_contents_are_owned() -> None:
    data = b"dir /usr\nobj /usr/a b 0123456789abcdef0123456789abcdef 17\nsym /usr/c -> d 17\nfoo\n"
    file = MemoryFile(data, _PATH[:-2] + "CONTENTS")
    assert PortageDatabase().extract(file, _MACHINE).owned == {"usr/a b", "usr/c"}
