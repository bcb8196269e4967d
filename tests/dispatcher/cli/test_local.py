"""`sidelight local up` as a shell or a script uses it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_what_is_not_a_recording_is_wrong_usage_and_nothing_serves(tmp_path: Path) -> None:
    recording = tmp_path / "probe.jsonl"
    recording.write_text("{}\n")
    command = [sys.executable, "-m", "dispatcher.cli", "local", "up", "--port", "0"]
    done = subprocess.run(
        [*command, "--directory", str(tmp_path / "cloud"), "--recorded", str(recording)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{recording}: line 1: not a recording" in done.stderr


@pytest.mark.services
@pytest.mark.enable_socket
def test_its_lines_reach_a_pipe_while_it_serves(tmp_path: Path) -> None:
    # As on a user's machine: images for containers set this.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "dispatcher.cli", "local", "up", "--port", "0"]
    with subprocess.Popen(
        [*command, "--directory", str(tmp_path / "cloud")],
        env=environment, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        assert all(line.startswith("export AWS_") for line in lines)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
