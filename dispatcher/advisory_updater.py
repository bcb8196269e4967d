"""Update the advisory database from time to time, in a process of its own.

The process parses what publishers send, and holds Python's lock for minutes: neither belongs into
the dispatcher. It gets no address of the store or the broker, and AWS credentials of the
environment only for a bundle in S3.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from typing import IO, TYPE_CHECKING, Final

from sidelight.errors import DownloadError
from sidelight.process_guard import tethered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidelight.fleet.settings import Settings

log = logging.getLogger(__name__)

COMMAND: Final = (sys.executable, "-P", "-m", "dispatcher.cli", "advisories", "update")
PARTIAL: Final = 3  # as dispatcher.cli.exit_status
_BETWEEN: Final = 0.5  # seconds between two looks at the process
_SHOWN: Final = 4 << 10  # bytes of its messages
_NEEDED: Final = ("SIDELIGHT_ADVISOR", "SIDELIGHT_MIRRORS")
_FOR_S3: Final = ("AWS_", "SIDELIGHT_HUB_ROLE", "SIDELIGHT_EXTERNAL_ID", "SIDELIGHT_SESSION_TAGS")


class AdvisoryUpdater:
    """Runs `sidelight advisories update` with the settings of this process."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._settings = settings
        self._environment = dict(os.environ if environment is None else environment)
        self._command = command

    def environment(self) -> dict[str, str]:
        """Return the environment of the process: without what it does not need."""
        kept = _NEEDED + (_FOR_S3 if self._settings.updates.bundle.startswith("s3://") else ())
        whole = self._environment | self._settings.as_environment()
        return {
            name: value
            for name, value in whole.items()
            if not name.startswith(("SIDELIGHT_", "AWS_")) or name.startswith(kept)
        }

    def run(self, is_stopped: Callable[[], bool], wait: Callable[[float], object]) -> bool:
        """Update once; return False where it was stopped before the end. `wait` takes seconds.

        Raises DownloadError where the update failed; then the database is as it was.
        """
        with tempfile.TemporaryFile() as messages:
            with subprocess.Popen(
                tethered(self._command, signal.SIGKILL), env=self.environment(),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=messages,
            ) as process:  # fmt: skip
                while process.poll() is None:
                    if is_stopped():
                        process.kill()  # it may be killed at any moment; downloads go on
                        process.wait()
                        return False
                    wait(_BETWEEN)
            text = _tail(messages)
        if process.returncode == PARTIAL:
            log.warning("advisories: some feeds were not updated: %s", text)
        elif process.returncode:
            raise DownloadError(text or f"exit status {process.returncode}", where="advisories")
        return True


def _tail(messages: IO[bytes]) -> str:
    """Return the end of what a process wrote, as one line."""
    size = messages.seek(0, os.SEEK_END)
    messages.seek(max(size - _SHOWN, 0))
    lines = messages.read().decode("utf-8", "replace").splitlines()
    return "; ".join(line for line in lines if line.strip())
