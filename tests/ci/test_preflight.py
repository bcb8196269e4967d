"""Before any download, all that is missing is reported, with the command that installs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PREFLIGHT = Path(__file__).resolve().parents[2] / ".ci" / "preflight.sh"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory that is the whole PATH: what the script itself uses."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("id", "readlink", "basename"):
        found = shutil.which(name)
        assert found is not None
        (directory / name).symlink_to(found)
    return directory


def program(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def preflight(programs: Path, python: str = "python3") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", PREFLIGHT, python], env={"PATH": str(programs)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_a_machine_that_has_all_hears_nothing(programs: Path) -> None:
    (programs / "python3").symlink_to(sys.executable)
    done = preflight(programs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_python_is_reported(programs: Path) -> None:
    done = preflight(programs)
    assert done.returncode == 1
    assert "Python 3.11 or newer: there is no python3 on PATH" in done.stderr
    assert "Install it" in done.stderr


def test_an_old_python_is_reported_with_its_version(programs: Path) -> None:
    program(programs, "python3", '[ "$1" = --version ] && echo Python 3.9.2 || exit 1')
    done = preflight(programs)
    assert done.returncode == 1
    assert "python3 is Python 3.9.2" in done.stderr


def test_a_python_without_venv_is_reported(programs: Path) -> None:
    program(programs, "python3", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    done = preflight(programs)
    assert done.returncode == 1
    assert "venv module" in done.stderr
    if Path("/etc/debian_version").exists():
        assert "apt-get install python3-venv" in done.stderr


def test_uv_needs_neither_python_nor_its_venv(programs: Path) -> None:
    program(programs, "uv", "exit 0")
    assert preflight(programs).returncode == 0
