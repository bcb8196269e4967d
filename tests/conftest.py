"""What all tests share: where the real-world data is."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Two busy cores are slow now and then, which is no fault of the code. In CI the examples are the
# same each time, so that a red run can be repeated; elsewhere each run tries new ones.
settings.register_profile(
    "sidelight",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize="CI" in os.environ,
)
settings.load_profile("sidelight")

# A shell that starts us in the background has SIGINT ignored, and so would the processes have that
# tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real advisories, rpm databases, vectors and images of the conformance tests."""
    path = Path(os.environ.get("SIDELIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"conformance data is absent: no {path} (set SIDELIGHT_SHARED_DATA)")
    return path


@pytest.fixture(scope="session")
def whole_system_sync() -> None:
    """For tests of tools that call sync(2), as sgdisk and fdisk do when they write.

    A stuck filesystem anywhere on the machine makes that call hang for ever, and the tool with it,
    unkillable: better a test that says why it was skipped.
    """
    # Not waited for: a process in such a call cannot be ended.
    probe = subprocess.Popen(
        [sys.executable, "-S", "-c", "import os; os.sync(); print('done', flush=True)"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert probe.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(probe.stdout, selectors.EVENT_READ)
        answered = bool(selector.select(timeout=30))
    if not answered:
        STUCK.append(probe)
        pytest.skip("sync(2) hangs on this machine: some filesystem on it is stuck")
    probe.communicate()


# Kept, so that no destructor waits for, or warns of, what cannot end.
STUCK: list[subprocess.Popen[bytes]] = []
