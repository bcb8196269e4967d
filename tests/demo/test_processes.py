"""The demo's processes, ended at any time after their start."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from processes import SIDELIGHT, child

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("milliseconds", range(0, 120, 5))
def test_an_interrupted_command_prints_no_traceback_however_early(
    tmp_path: Path, milliseconds: int
) -> None:
    log = tmp_path / "log"
    with (
        log.open("wb") as errors,
        child(
            [*SIDELIGHT, "--help"], number=signal.SIGINT, stdout=subprocess.DEVNULL, stderr=errors
        ),
    ):
        time.sleep(milliseconds / 1000)  # the subject: an interruption at this time
    assert "Traceback" not in log.read_text()
