"""pacman's local database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import collect
from sidelight.inventory.os.pacman import PacmanLocal
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile
from tests.fakes.memory_filesystem import MemoryFilesystem

if TYPE_CHECKING:
    from pathlib import Path

_MACHINE = Machine(OperatingSystem(id="arch", version_id="20260101"))
_DESC = "var/lib/pacman/local/gawk-5.3.1-1/desc"


@pytest.mark.conformance
@pytest.mark.parametrize(
    "name", ["valid", "valid_no_dep", "valid_one_dep", "eof_after_dependencies"]
)
def test_real_files(shared_data: Path, name: str) -> None:
    data = (shared_data / "manifests/osv-scalibr/os/pacman/testdata" / name).read_bytes()
    (package,) = PacmanLocal().extract(MemoryFile(data, _DESC), _MACHINE).packages
    lines = data.decode().splitlines()
    assert package.name == lines[lines.index("%NAME%") + 1]
    assert package.version == lines[lines.index("%VERSION%") + 1]
    assert package.purl.startswith(f"pkg:alpm/arch/{package.name}@{package.version}?")
    assert package.purl.endswith("distro=arch")


@pytest.mark.parametrize(
    "data", [b"", b"%NAME%\ngawk\n\n%VERSION%", b"\xff\0", b"%NAME%\n\n%VERSION%\n1\n"]
)
def test_a_package_without_name_or_version_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedError):
        PacmanLocal().extract(MemoryFile(data, _DESC), _MACHINE)


def test_packages_require_each_other_by_names_and_libraries() -> None:
    def desc(name: str, depends: str = "", provides: str = "") -> dict[str, object]:
        text = f"%NAME%\n{name}\n\n%VERSION%\n1-1\n\n%DEPENDS%\n{depends}\n\n"
        return {"desc": f"{text}%PROVIDES%\n{provides}\n\n".encode()}

    local: dict[str, object] = {
        "curl-1-1": desc("curl", "glibc\nlibssl.so=3-64\nsh\nabsent>=1"),
        "openssl-1-1": desc("openssl", "glibc>=2.38", "libssl.so=3-64"),
        "glibc-1-1": desc("glibc"),
        "bash-1-1": desc("bash", "glibc", "sh"),
    }
    tree: dict[str, object] = {"var": {"lib": {"pacman": {"local": local}}},
                               "etc": {"os-release": b"ID=arch\n"}}  # fmt: skip
    found = collect(MachineTree(MemoryFilesystem(tree)))
    assert [item.name for item in found.packages] == ["bash", "curl", "glibc", "openssl"]
    assert found.dependencies == [(2,), (0, 2, 3), (), (2,)]


def test_files_are_owned() -> None:
    file = MemoryFile(b"%FILES%\nusr/\nusr/bin/gawk\n\n%BACKUP%\netc/x\t1\n", _DESC[:-4] + "files")
    assert PacmanLocal().extract(file, _MACHINE).owned == {"usr/", "usr/bin/gawk"}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [(_DESC, True), ("home/a/desc", False), ("var/lib/pacman/local/desc", False)],
)
def test_only_the_local_database_is_wanted(path: str, wanted: bool) -> None:
    confirm = PacmanLocal().wants.confirm
    assert confirm is not None
    assert confirm(path) is wanted
