"""The demo's processes: each ends with the demo, in order, by Ctrl-C as well as by kill -9."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from sidelight.process_guard import tethered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 90.0
END_SECONDS = 30.0
LOOPBACK = "127.0.0.1"
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Python starts with SIGINT blocked (see `child`): its imports would end in a traceback.
START = """
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
from dispatcher.cli import main
main()
"""
SIDELIGHT = (sys.executable, "-c", START)


def raise_interruptions() -> None:
    """Let the first SIGINT, SIGTERM or SIGHUP raise KeyboardInterrupt; others are ignored then.

    So a second Ctrl-C does not interrupt the ending of what the first one ends.
    """

    def interrupt(*_: object) -> None:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in ENDINGS:
        signal.signal(number, interrupt)


@contextmanager
def foreground() -> Iterator[None]:
    """Have the terminal's Ctrl-C reach this process and not `make`, which would report an error.

    Does nothing without a terminal, or where another job has it. Ctrl-Z is off: the shell would
    not see it.
    """
    if not sys.stdin.isatty() or os.tcgetpgrp(0) != os.getpgrp() or os.getsid(0) == os.getpid():
        yield
        return
    before = os.getpgrp()
    # From a background group, tcsetpgrp(3) stops its caller by SIGTTOU.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        with suppress(OSError):
            os.tcsetpgrp(0, before)


@contextmanager
def child(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    number: signal.Signals = signal.SIGTERM,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process from here to the end of `with`, where it gets the signal if it is still running.

    It has a session of its own: Ctrl-C reaches the demo alone, which ends all in order. Where
    `number` is SIGINT the command starts with it blocked, and unblocks it when it can answer.
    """
    blocked = {number} & {signal.SIGINT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        process = subprocess.Popen(
            tethered(command), env=environment, stdin=subprocess.DEVNULL, stdout=stdout,
            stderr=stderr, text=True, start_new_session=True,
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield process
    finally:
        end(process, number)
        if process.stdout is not None:
            process.stdout.close()


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> None:
    """Signal the process and wait for its end; kill it where it does not end in time."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def exports(process: subprocess.Popen[str], count: int) -> dict[str, str]:
    """Read `count` lines `export NAME=VALUE`. Exits where the process ends before, or is late."""
    if process.stdout is None:
        raise ValueError("the process has no pipe")
    pipe = process.stdout.fileno()
    until = time.monotonic() + START_SECONDS
    buffer = b""
    while buffer.count(b"\n") < count:
        readable, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not readable:
            sys.exit(f"the local cloud did not start within {START_SECONDS:.0f} s")
        received = os.read(pipe, 4096)
        if not received:
            sys.exit("the local cloud ended before it was ready")
        buffer += received
    variables = {}
    for line in buffer.decode().splitlines()[:count]:
        name, _, value = line.removeprefix("export ").partition("=")
        variables[name.strip()] = value.strip().strip("'\"")
    return variables


def wait_for_port(port: int, process: subprocess.Popen[str], name: str, log: Path) -> None:
    """Return when the process listens. Exits where it ends before, or is late."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
            return
        time.sleep(0.1)
    sys.exit(f"{name} did not start; its log is {log}")


def free_port(wanted: int) -> int:
    """The wanted port, or any free one where it is in use."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted
