"""Homebrew's formulae; and package managers that are not read never look clean."""

from __future__ import annotations

import pytest

from sidelight.inventory.file_matcher import WantedTable
from sidelight.inventory.os.other_managers import HomebrewReceipts, UnreadStores
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile

MACHINE = Machine(OperatingSystem(id="ubuntu", version_id="22.04"))
KEG = "home/linuxbrew/.linuxbrew/Cellar/openssl@3/3.0.1_1/INSTALL_RECEIPT.json"


def test_a_formula_is_named_by_its_directory() -> None:
    (package,) = HomebrewReceipts().extract(MemoryFile(b"{}", KEG), MACHINE).packages
    assert (package.type, package.name, package.version) == ("brew", "openssl@3", "3.0.1_1")
    assert package.purl == "pkg:brew/openssl%403@3.0.1_1"


@pytest.mark.parametrize("path", ["INSTALL_RECEIPT.json", "Cellar/a/INSTALL_RECEIPT.json"])
def test_a_receipt_elsewhere_is_none(path: str) -> None:
    confirm = HomebrewReceipts.wants.confirm
    assert confirm is not None
    assert not confirm(path)
    assert confirm(KEG)


@pytest.mark.parametrize(
    ("path", "manager"),
    [
        ("nix/var/nix/db/db.sqlite", "Nix"),
        ("home/a/.local/share/nix/root/nix/var/nix/db/db.sqlite", "Nix"),
        ("home/a/.nix-portable/nix/var/nix/db/db.sqlite", "Nix"),
        ("var/guix/db/db.sqlite", "Guix"),
        ("opt/spack/opt/spack/.spack-db/index.json", "Spack"),
        ("var/lib/extensions/tools.raw", "system extension"),
        ("var/lib/extensions/tools.raw.v/tools_2.raw", "system extension"),
        ("etc/extensions/tools.raw", "system extension"),
        ("var/lib/portables/service.raw", "system extension"),
    ],
)
def test_a_database_that_is_not_read_is_a_problem(path: str, manager: str) -> None:
    directory, _, name = path.encode().rpartition(b"/")
    wanted: list[tuple[tuple[bytes, int, int], tuple[int, ...]]] = []
    WantedTable([UnreadStores()]).match(directory, [(name, 12, 1), (b"index.jso", 13, 1)], wanted)
    assert [entry[0] for entry, _ in wanted] == [name]
    (problem,) = UnreadStores().extract(MemoryFile(b"", path), MACHINE).problems
    assert problem.where == f"/{path}"
    assert manager in problem.what
