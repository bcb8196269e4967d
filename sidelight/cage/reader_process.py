"""One zygote and its reader, from the worker's side."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.cage.frames import MOST_MESSAGE, STOP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.cage.seal import Bounds

PROGRAM: Final = ("-m", "sidelight.cage.zygote")
_PASSED: Final = ("LD_LIBRARY_PATH", "PYTHONHOME", "TZ")
_ENVIRONMENT: Final = {
    "LC_ALL": "C.UTF-8",
    "PYTHONUTF8": "1",
    # The library of numpy that multiplies matrices would start threads.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
_ENDS_WITHIN: Final = 10.0  # seconds, of a process that was killed


class ReaderEnd(NamedTuple):
    """How a reader ended: its exit code or minus its signal, CPU seconds, most KiB of memory."""

    code: int
    cpu_seconds: float
    most_kib: int


class ReaderProcess:
    """A zygote with at most one reader at a time. Not safe for several threads."""

    def __init__(self, program: Sequence[str] = PROGRAM) -> None:
        """Start the zygote; its imports go on while this process does other things.

        `program` are Python's arguments.
        """
        self._control, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its_end:
            # A session of its own: Ctrl-C is for the command, which then ends it.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", *program],
                stdin=its_end.fileno(),
                stdout=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        self._control.settimeout(_ENDS_WITHIN)
        self._is_reading = False

    @property
    def is_usable(self) -> bool:
        """Whether it lives and has no reader."""
        return not self._is_reading and self._process.poll() is None

    def start(self, bounds: Bounds) -> socket.socket:
        """Start a reader; return the channel to it. Raises EOFError where the zygote has ended."""
        channel, its_end = socket.socketpair()
        message = json.dumps([bounds.memory, bounds.cpu_seconds]).encode()
        try:
            with its_end:
                socket.send_fds(self._control, [message], [its_end.fileno()])
        except OSError as error:
            channel.close()
            raise EOFError("the zygote has ended") from error
        self._is_reading = True
        return channel

    def end(self, *, within: float = 0.0) -> ReaderEnd | None:
        """End the reader, by force if it does not within these seconds; None if nobody knows how.

        Then the zygote is ended too.
        """
        with suppress(OSError, ValueError):
            answer = self._answer(within) if within else None
            if answer is None:
                self._control.send(STOP)
                answer = self._answer(_ENDS_WITHIN)
            if answer is not None:
                self._is_reading = False
                return answer
        self.close()
        return None

    def close(self) -> None:
        """End the zygote, and its reader with it."""
        self._control.close()
        try:
            self._process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Let go of it in a forked process: it belongs to the one that started it."""
        self._control.close()
        self._process.returncode = 0

    def _answer(self, within: float) -> ReaderEnd | None:
        """Return the zygote's answer; None where it does not come within the seconds."""
        self._control.settimeout(within)
        try:
            message = self._control.recv(MOST_MESSAGE)
        except TimeoutError:
            return None
        if not message:
            raise OSError("the zygote has ended")
        code, cpu_seconds, most_kib = json.loads(message)
        return ReaderEnd(code, cpu_seconds, most_kib)


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**_ENVIRONMENT, **passed, "PYTHONPATH": path}
