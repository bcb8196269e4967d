"""What all tests share: where the real-world data is."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import skips

# Two busy cores are slow now and then, which is no fault of the code. In CI the examples are the
# same each time, so that a red run can be repeated; elsewhere each run tries new ones.
COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "derandomize": "CI" in os.environ,
}
settings.register_profile("sidelight", max_examples=40, **COMMON)
settings.register_profile("quick", max_examples=10, **COMMON)
settings.register_profile("thorough", max_examples=100, **COMMON)
settings.load_profile("sidelight")

# A shell that starts us in the background has SIGINT ignored, and so would the processes have that
# tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

# Debian keeps mkfs and initdb where an ordinary user's PATH does not look.
POSTGRESQL = sorted(
    Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
)
SYSTEM_DIRECTORIES = ["/usr/sbin", "/sbin", *map(str, POSTGRESQL[-1:])]
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_DIRECTORIES])
# The tests' services are on loopback, and their settings are their own.
for name in [name for name in os.environ if name.startswith(("AWS_", "SIDELIGHT_"))]:
    if name != "SIDELIGHT_SHARED_DATA":
        del os.environ[name]
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skip-report", type=Path, help="write what was skipped to this file, too")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many tests were skipped for want of what."""
    lines = skips.summary(skips.reasons(terminalreporter.stats.get("skipped", [])))
    for line in lines:
        terminalreporter.write_line(line)
    report: Path | None = config.getoption("skip_report")
    if report is not None and not hasattr(config, "workerinput"):
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text("".join(f"{report.name}: {line}\n" for line in lines))


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
