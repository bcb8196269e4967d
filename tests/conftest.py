"""What all tests share: fixtures, profiles, an environment without settings, a report of skips."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests import skips
from tests.fixtures import hypothesis_profiles

if TYPE_CHECKING:
    import pytest

# The fixtures of all folders; the heavier ones are in the folders' own conftest.py.
pytest_plugins = (
    "tests.fixtures.publishers",
    "tests.fixtures.shared_data",
    "tests.fixtures.quick_garbage",
    "tests.fixtures.quick_schemas",
    "tests.fixtures.quick_stores",
    "tests.fixtures.whole_system",
)
hypothesis_profiles.register()

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
# A database that the user of this machine updates is not the tests' own.
os.environ["XDG_DATA_HOME"] = "/nonexistent"
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
