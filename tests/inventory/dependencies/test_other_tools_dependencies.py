"""Trivy and Syft find the same dependencies in the same tree, where they read them."""

from __future__ import annotations

import json
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
ALPINE = {
    "etc/os-release": 'ID=alpine\nVERSION_ID=3.18.5\nPRETTY_NAME="Alpine Linux v3.18"\n',
    "etc/alpine-release": "3.18.5\n",
    "lib/apk/db/installed": "P:busybox\nV:1.36.1-r5\nA:x86_64\nD:so:libc.musl-x86_64.so.1\n"
    "p:/bin/sh cmd:sh=1.36.1-r5\n\nP:musl\nV:1.2.4-r2\nA:x86_64\n"
    "p:so:libc.musl-x86_64.so.1=1\n\nP:ssl_client\nV:1.36.1-r5\nA:x86_64\n"
    "D:so:libc.musl-x86_64.so.1 busybox=1.36.1-r5 so:absent.so.1\n\n",
}
NODE = {
    "package.json": '{"name": "app", "version": "1.0.0", "dependencies": {"a": "1", "b": "2"}}',
    "package-lock.json": json.dumps(
        {
            "name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
            "packages": {
                "": {"name": "app", "version": "1.0.0", "dependencies": {"a": "1", "b": "2"}},
                "node_modules/a": {"version": "1.0.0", "dependencies": {"b": "1", "c": "2"}},
                "node_modules/a/node_modules/b": {"version": "1.0.0", "dependencies": {"c": "2"}},
                "node_modules/b": {"version": "2.0.0", "dependencies": {"c": "2"}},
                "node_modules/c": {"version": "2.0.0"},
            },
        }
    ),
}  # fmt: skip
PYTHON = {
    "poetry.lock": '[[package]]\nname = "requests"\nversion = "2.0"\n[package.dependencies]\n'
    'certifi = ">=1"\n[[package]]\nname = "certifi"\nversion = "1.0"\n'
    '[metadata]\nlock-version = "2.0"\n',
}
PHP = {
    "composer.lock": json.dumps(
        {"packages": [{"name": "a/one", "version": "1.0", "require": {"php": "8", "b/two": "*"}},
                      {"name": "b/two", "version": "2.0"}], "packages-dev": []}
    ),
}  # fmt: skip
RUST = {
    "Cargo.lock": 'version = 3\n[[package]]\nname = "app"\nversion = "0.1.0"\ndependencies = '
    '["libc"]\n[[package]]\nname = "libc"\nversion = "0.2.1"\n'
    'source = "registry+https://github.com/rust-lang/crates.io-index"\n',
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


@pytest.mark.parametrize("files", [DEBIAN, ALPINE], ids=["debian", "alpine"])
@pytest.mark.parametrize("form", ["cyclonedx-json", "spdx-json"])
def test_syft_finds_the_same_dependencies(tree: Path, form: str) -> None:
    found = edges_of_tool(program("syft"), "scan", f"dir:{tree}", "-o", form, "-q")
    assert found == edges_of_tree(tree)
    assert found


@pytest.mark.parametrize(
    ("files", "left_out"),
    [
        (DEBIAN, {("bash", "libc6"), ("base-files", "mawk")}),
        (ALPINE, set()),
        (NODE, set()),
        (PYTHON, set()),
        (PHP, set()),
        (RUST, set()),
    ],
    ids=["debian", "alpine", "node", "python", "php", "rust"],
)
@pytest.mark.parametrize("form", ["cyclonedx", "spdx-json"])
def test_trivy_finds_the_same_dependencies(
    tree: Path, form: str, tmp_path: Path, left_out: Edges
) -> None:
    """`left_out` are those that it does not read: those of Pre-Depends."""
    kind = "rootfs" if (tree / "etc").exists() else "fs"
    found = edges_of_tool(
        program("trivy"), kind, "--quiet", "--offline-scan", "--skip-version-check",
        "--cache-dir", tmp_path / "cache", "--format", form, tree,
    )  # fmt: skip
    assert found
    assert found == edges_of_tree(tree) - left_out
    assert left_out <= edges_of_tree(tree)
