"""Let processes end with the one that started them, also where that one is killed by -9.

The module is the program, too. `python tether.py with PARENT SIGNAL COMMAND…` asks Linux for the
signal at its parent's death and becomes the command: the request outlives execve (prctl(2)).
`python tether.py until-eof COMMAND…` runs the command until its own standard input ends: when all
who hold that pipe's other end are gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Isolated and without site: some 10 ms before the command.
START = (sys.executable, "-I", "-S", str(Path(__file__).resolve()))


def tethered(command: Sequence[str], number: signal.Signals = signal.SIGTERM) -> list[str]:
    """The command that gets the signal when this process ends, by whatever end.

    Linux goes by the thread that starts it: that has to live as long as it is wanted. Elsewhere
    than on Linux the command is as it was.
    """
    if sys.platform != "linux":
        return list(command)
    return [*START, "with", str(os.getpid()), str(int(number)), *command]


def until_eof(command: Sequence[str]) -> list[str]:
    """The command that gets SIGTERM when its standard input ends."""
    return [*START, "until-eof", *command]


def _become(parent: int, number: int, command: Sequence[str]) -> None:
    """Ask for the signal, and become the command; exit where the parent has ended already."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl(PR_SET_PDEATHSIG)")
    # It may have ended before that, and then no signal comes.
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(command[0], list(command))  # noqa: S606 - that is what it is for


def _run(command: Sequence[str]) -> int:
    """Run the command until end of file; its status. Should we be killed, it ends as well."""
    with subprocess.Popen(tethered(command), stdin=subprocess.DEVNULL) as process:
        sys.stdin.buffer.read()
        process.terminate()
        return process.wait()


if __name__ == "__main__":
    if sys.argv[1] == "with":
        _become(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    sys.exit(_run(sys.argv[2:]))
