"""`pip install .` into an empty environment gives a command that works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.commands import ALL

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.services
def test_an_installation_without_extras_has_every_command(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PYTHON", "SIDELIGHT_", "VIRTUAL_ENV"))}  # fmt: skip
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    scripts = tmp_path / "venv" / "bin"
    installed = subprocess.run(
        [scripts / "python", "-m", "pip", "install", "--quiet", str(ROOT)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip(f"no package index: {installed.stderr.strip().splitlines()[-1]}")

    def sidelight(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [scripts / "sidelight", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    for path, _, _ in ALL:
        assert sidelight(*path, "--help").returncode == 0, path
    done = sidelight("local", "up", "--port", "0")
    assert done.returncode == 2
    assert f"{scripts}/python" in done.stderr
    assert f"-m pip install '{ROOT}[local]'" in done.stderr
