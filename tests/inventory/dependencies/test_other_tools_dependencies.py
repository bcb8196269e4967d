"""Trivy and Syft find the same dependencies in the same tree, where they read them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import collect
from sidelight.sbom_import.sbom_files import inventory_of
from tests.fakes.host_directory import HostDirectory
from tests.fixtures.other_readers import program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from sidelight.model import Package

    Edges = set[tuple[str, str]]

pytestmark = pytest.mark.slow

RELEASE = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n'


def _stanza(name: str, **fields: str) -> str:
    usual = {"Package": name, "Status": "install ok installed", "Architecture": "amd64",
             "Version": "1.0-1", "Maintainer": "Debian <a@debian.org>"}  # fmt: skip
    members = usual | {key.replace("_", "-"): value for key, value in fields.items()}
    return "".join(f"{key}: {value}\n" for key, value in members.items()) + "\n"


DEBIAN = {
    "etc/os-release": RELEASE,
    "etc/debian_version": "12.5\n",
    "var/lib/dpkg/status": _stanza("bash", Depends="base-files (>= 1)", Pre_Depends="libc6")
    + _stanza("base-files", Pre_Depends="awk")
    + _stanza("mawk", Provides="awk", Depends="libc6 (>= 2.36)")
    + _stanza("libc6", Depends="libgcc-s1")
    + _stanza("libgcc-s1", Depends="libc6")
    + _stanza("cron", Depends="exim4 | mawk, absent"),
}


def edges(packages: Sequence[Package], dependencies: Iterable[tuple[int, ...] | None]) -> Edges:
    return {
        (packages[own].name, packages[other].name)
        for own, others in enumerate(dependencies)
        for other in others or ()
    }


def edges_of_tree(tree: Path) -> Edges:
    found = collect(MachineTree(HostDirectory(tree)))
    return edges(found.packages, found.dependencies)


def edges_of_tool(*command: str | Path) -> Edges:
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=120,
        env=os.environ | {"SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = inventory_of(done.stdout)
    return edges(read.packages, read.dependencies)


@pytest.fixture
def tree(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = tmp_path / "machine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "machine"


@pytest.mark.parametrize("files", [DEBIAN], ids=["debian"])
@pytest.mark.parametrize("form", ["cyclonedx-json", "spdx-json"])
def test_syft_finds_the_same_dependencies(tree: Path, form: str) -> None:
    found = edges_of_tool(program("syft"), "scan", f"dir:{tree}", "-o", form, "-q")
    assert found == edges_of_tree(tree)
    assert found


@pytest.mark.parametrize(
    ("files", "left_out"), [(DEBIAN, {("bash", "libc6"), ("base-files", "mawk")})], ids=["debian"]
)
@pytest.mark.parametrize("form", ["cyclonedx", "spdx-json"])
def test_trivy_finds_the_same_dependencies(
    tree: Path, form: str, tmp_path: Path, left_out: Edges
) -> None:
    """`left_out` are those that it does not read: those of Pre-Depends."""
    found = edges_of_tool(
        program("trivy"), "rootfs", "--quiet", "--offline-scan", "--skip-version-check",
        "--cache-dir", tmp_path / "cache", "--format", form, tree,
    )  # fmt: skip
    assert found
    assert found == edges_of_tree(tree) - left_out
    assert left_out <= edges_of_tree(tree)
