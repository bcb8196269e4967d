"""Programs that are zip archives: known by mode and contents, under any name."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import collect
from tests.fakes.host_directory import HostDirectory

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.inventory.collect import Collected

SHEBANG = b"#!/usr/bin/env python3\n"
LAUNCHER = b"#!/bin/bash\n" + b"# Spring Boot Startup Script\n" * 400
PADDING = bytes(range(256)) * 256  # programs of less than 32 KiB are not looked at
METADATA = b"Metadata-Version: 2.1\nName: requests\nVersion: 2.25.1\n"
POM = b"groupId=org.yaml\nartifactId=snakeyaml\nversion=1.26\n"
PYTHON = {"__main__.py": b"", "site-packages/requests-2.25.1.dist-info/METADATA": METADATA}
JAVA = {"META-INF/MANIFEST.MF": b"", "META-INF/maven/org.yaml/snakeyaml/pom.properties": POM}


def archive(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, text in {**members, "padding": PADDING}.items():
            file.writestr(name, text)
    return data.getvalue()


def found(root: Path, name: str, data: bytes, mode: int = 0o755) -> Collected:
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=debian\n")
    (root / "srv").mkdir()
    (root / "srv" / name).write_bytes(data)
    (root / "srv" / name).chmod(mode)
    return collect(MachineTree(HostDirectory(root)))


@pytest.mark.parametrize("name", ["http", "http.pyz", "http.png", "my.tool"])
def test_a_python_program_is_read_once_under_any_name(tmp_path: Path, name: str) -> None:
    packages = found(tmp_path, name, SHEBANG + archive(PYTHON)).packages
    assert [(item.name, item.version) for item in packages] == [("requests", "2.25.1")]


@pytest.mark.parametrize("first", [LAUNCHER, b""])
@pytest.mark.parametrize("name", ["service", "service.run", "service.jar"])
def test_a_java_program_is_read_once_under_any_name(
    tmp_path: Path, name: str, first: bytes
) -> None:
    packages = found(tmp_path, name, first + archive(JAVA)).packages
    assert [item.name for item in packages] == ["org.yaml:snakeyaml"]


def test_scripts_and_archives_of_neither_language_give_nothing(tmp_path: Path) -> None:
    scripts = [b"#!/bin/sh\n" + b"echo\n" * 9000, SHEBANG + archive({"a": b""})]
    for number, data in enumerate(scripts):
        folder = tmp_path / str(number)
        folder.mkdir()
        collected = found(folder, "tool", data)
        assert collected.packages == []
        assert [item.where for item in collected.problems] == ["/"]  # no package database


def test_what_cannot_be_run_is_no_program(tmp_path: Path) -> None:
    assert found(tmp_path, "data", SHEBANG + archive(PYTHON), 0o644).packages == []
