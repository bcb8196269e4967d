"""A broker and workers for one command: `sidelight fleet scan --embedded`, the demo.

The workers are the same processes that a fleet runs. Only processes that were started here are
ended, by their id. On Linux they also end when the command is killed.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dispatcher.cli.interrupts import at_once
from dispatcher.cli.local_stack.valkey import Valkey
from sidelight.errors import SidelightError
from sidelight.process_guard import tethered
from workers.worker_command import ENVIRONMENT, worker_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from sidelight.fleet.settings import Settings

log = logging.getLogger(__name__)

STOP_SECONDS = 15.0
MOST_REVIVED = 10


class Embedded:
    """A broker and workers that run from `start` to `stop`, or in a `with` block.

    `settings` are the constructor's, with the broker's URL.
    """

    def __init__(  # noqa: PLR0913 - all but one by keyword, each with a default
        self,
        settings: Settings,
        *,
        concurrency: int = 2,
        regions: Sequence[str] = (),
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        application: str = "workers.celery_main",
        broker: bool = True,
    ) -> None:
        """`concurrency`: processes that read and match. The workers' logs go to `directory`.

        `application` is the module that the workers load. Without `broker`, only workers are
        started, on the settings' broker.
        """
        self._initial_settings = settings
        self.settings = settings
        self._concurrency = concurrency
        self._regions = regions or ("",)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._directory = directory
        self._environment = dict(os.environ if environment is None else environment)
        self._server: Valkey | None = None
        self._workers: list[_Worker] = []
        self._revived = 0
        self._application = application
        self._broker = broker
        self._forget: Callable[[], None] = lambda: None

    def start(self) -> Self:
        """Start broker and workers. Raises UsageError if the broker is absent or does not start."""
        if self._directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="sidelight-")
            self._directory = Path(self._temporary.name)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._forget = at_once(self.kill)
        try:
            if self._broker:
                self._server = Valkey(self._directory)
                self.settings = self._initial_settings.replaced(broker_url=f"{self._server.url}/0")
            self._start_workers(self._directory)
        except BaseException:
            self.stop()
            raise
        return self

    def revive(self) -> None:
        """Restart each worker that has ended. Raises SidelightError after MOST_REVIVED restarts."""
        for place, worker in enumerate(self._workers):
            status = worker.process.poll()
            if status is None:
                continue
            self._revived += 1
            if self._revived > MOST_REVIVED:
                raise SidelightError(
                    f"workers keep exiting (last status {status})",
                    where=str(worker.log_path),
                )
            log.warning("a worker ended with status %s and is started again", status)
            self._workers[place] = self._launch(worker.command, worker.log_path)

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers' main processes."""
        return [worker.process.pid for worker in self._workers]

    def ended(self) -> list[int]:
        """Return those of `pids` whose process has ended."""
        return [w.process.pid for w in self._workers if w.process.poll() is not None]

    def stop(self) -> None:
        """End the workers, then the broker. A second call is a no-op."""
        for worker in self._workers:
            with suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGTERM)
        for worker in self._workers:
            _end(worker)
        self._workers.clear()
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
        self._forget()

    def kill(self) -> None:
        """Kill the workers, for a command that ends at once; the broker ends after the command."""
        for worker in self._workers:
            with suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self, command: Sequence[str], log_path: Path) -> _Worker:
        environment = self._environment | self.settings.as_environment() | ENVIRONMENT
        with log_path.open("ab") as output:
            process = subprocess.Popen(
                tethered(command),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches only us, and we end the workers in order.
                start_new_session=True,
                pass_fds=() if self._server is None else (self._server.held,),
            )
        return _Worker(command, log_path, process)

    def _start_workers(self, directory: Path) -> None:
        sizes = {"waiting": max(16, 8 * self._concurrency), "computing": self._concurrency}
        for kind, size in sizes.items():
            command = worker_command(
                kind, self.settings, regions=self._regions, size=size, application=self._application
            )
            self._workers.append(self._launch(command, directory / f"worker-{kind}.log"))


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker's process, and the command that restarts it."""

    command: Sequence[str]
    log_path: Path
    process: subprocess.Popen[bytes]


def _end(worker: _Worker) -> None:
    """Wait for a worker that got SIGTERM, and kill it after STOP_SECONDS."""
    try:
        worker.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # Its group contains only the worker and its pool's processes.
        with suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
