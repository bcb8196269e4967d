"""End child processes with their parent, even if the parent is killed with SIGKILL.

This module is also the program. `python process_guard.py with PARENT SIGNAL COMMAND…` asks Linux
for the signal at its parent's death and becomes the command: the request outlives execve
(prctl(2)). `python process_guard.py until-eof COMMAND…` runs the command until its own standard
input ends, that is when all holders of the pipe's other end have ended.
"""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Ctrl-C before the command runs: end without Python's traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import os
import sys

TYPE_CHECKING = False  # instead of typing's, whose import takes longer than this whole program
if TYPE_CHECKING:
    from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Isolated and without site: it adds some 10 ms before the command.
START = (sys.executable, "-I", "-S", os.path.realpath(__file__))


def tethered(command: Sequence[str], number: signal.Signals = signal.SIGTERM) -> list[str]:
    """Return a command that gets the signal when this process ends in any way.

    Linux watches the thread that starts it: that thread has to live as long as the command is
    needed. On other systems the command is unchanged.
    """
    if sys.platform != "linux":
        return list(command)
    return [*START, "with", str(os.getpid()), str(int(number)), *command]


def until_eof(command: Sequence[str]) -> list[str]:
    """Return a command that gets SIGTERM when its standard input ends."""
    return [*START, "until-eof", *command]


def _become(parent: int, number: int, command: Sequence[str]) -> None:
    """Request the signal, and become the command; exit if the parent has already ended."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have ended before the request, and then no signal comes.
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(command[0], list(command))  # noqa: S606 - that is what it is for


def _run(command: Sequence[str]) -> int:
    """Run the command until end of file; return its status. If we are killed, it ends as well."""
    import subprocess

    with subprocess.Popen(tethered(command), stdin=subprocess.DEVNULL) as process:
        sys.stdin.buffer.read()
        process.terminate()
        return process.wait()


if __name__ == "__main__":
    if sys.argv[1] == "with":
        _become(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    sys.exit(_run(sys.argv[2:]))
