"""A dispatcher and a worker in one process that ends where it is told to: real calls, real kill -9.

The process reads a JSON request a line and answers one a line. It loads everything once and forks
a child for each request, so that a life costs tenths of a second. A child discovers, plans,
enqueues, takes messages from the broker as a worker does (late acknowledgement, the tasks' own
code), ticks, and sweeps, until every scan has ended. On its way every call to AWS, every commit,
every message and every slot of the budget is a point, where it may fail before, fail after (done,
and the answer lost), be killed, or run a command.

The request: `environment`, `log`, `points` (a file that gets a name a line), `hours` (by which this
life's clock is ahead: a dead worker's leases have ended), and the `fault`:
`{"mode", "at": number}` or `{"mode", "name", "nth"}`, `{"seed", "rate"}`, with `command` for "run".
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from botocore import client as botocore_client
from botocore import session as botocore_session
from botocore.exceptions import ConnectionClosedError
from celery import Celery
from kombu.exceptions import OperationalError

from dispatcher.enqueue import tick
from dispatcher.planning.eligibility import Configuration
from dispatcher.services.fleet_service import FleetService
from sidelight.aws.session import Session
from sidelight.errors import StoreError
from sidelight.fleet import bootstrap
from sidelight.fleet.rate_limit import slots
from sidelight.fleet.settings import Settings
from sidelight.model import STAGES, TERMINAL
from sidelight.store import Store
from sidelight.store.base.engine import Database
from workers.app import app, make_app, queues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODES = ("fail before", "fail after", "kill before", "kill after")
KILLS = ("kill before", "kill after")
IDLE_SECONDS = 15.0
ROUNDS = 4000
PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Retries wait with jitter, and here nobody has the time: before the modules that keep `sleep`.
START = """
import time
sleep = time.sleep
time.sleep = lambda seconds: sleep(min(seconds, 0.001))
from tests.faults.life import main
main()
"""


@dataclass
class Points:
    """Counts the points of a life and decides what befalls it there."""

    fault: dict[str, Any]
    file: int
    life: int
    count: int = 0
    met: int = 0
    tripped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._dice = random.Random(f"{self.fault.get('seed')} {self.life}")

    def __call__(self, name: str, work: Callable[[], Any], error: Exception) -> Any:
        """Do the work, if it comes to that."""
        mode = self._mode(name)
        if mode == "kill before":
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "run":
            subprocess.run(self.fault["command"], check=True, stdout=subprocess.DEVNULL)
        if mode == "fail before":
            raise error
        result = work()
        if mode == "kill after":
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "fail after":
            raise error
        return result

    def _mode(self, name: str) -> str:
        with self.lock:
            number, self.count = self.count, self.count + 1
            os.write(self.file, f"{name}\n".encode())
            if "seed" in self.fault:
                if self._dice.random() >= self.fault["rate"]:
                    return ""
                return self._dice.choice(MODES)
            self.met += name == self.fault.get("name")
            here = number == self.fault.get("at") or (
                name == self.fault.get("name") and self.met == self.fault.get("nth", 1)
            )
            if not here or self.tripped:
                return ""
            self.tripped = True
            return str(self.fault["mode"])


class Wired:
    """A transaction of the store's that is a point at its beginning or its end, by its method."""

    def __init__(self, points: Points, made: Any) -> None:
        self._points, self._made = points, made

    def __enter__(self) -> Any:
        self._name = f"store.{sys._getframe(1).f_code.co_name}"
        self._mode = self._points._mode(self._name)
        if self._mode == "kill before":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._mode == "run":
            subprocess.run(self._points.fault["command"], check=True, stdout=subprocess.DEVNULL)
        if self._mode == "fail before":
            raise StoreError("injected before", where=self._name)
        return self._made.__enter__()

    def __exit__(self, *error: object) -> Any:
        result = self._made.__exit__(*error)
        if error[0] is None:
            if self._mode == "kill after":
                os.kill(os.getpid(), signal.SIGKILL)
            if self._mode == "fail after":
                raise StoreError("committed, and the answer was lost", where=self._name)
        return result


def wire(points: Points) -> None:
    """Make a point of everything that a life does to the outside."""
    client: Any = botocore_client.BaseClient
    rate: Any = slots.RedisRate
    database: Any = Database
    call, send, ask, write = client._make_api_call, Celery.send_task, rate._run, database.write

    def called(self: Any, operation: str, request: Any) -> Any:
        name = f"{self.meta.service_model.service_name}.{operation}"
        lost = ConnectionClosedError(endpoint_url="injected")
        return points(name, lambda: call(self, operation, request), lost)

    def sent(self: Any, *args: Any, **named: Any) -> Any:
        lost = OperationalError("injected")
        return points("broker.publish", lambda: send(self, *args, **named), lost)

    def asked(self: Any, *args: Any) -> Any:
        lost = redis.ConnectionError("injected")
        return points("budget.slot", lambda: ask(self, *args), lost)

    client._make_api_call = called
    Celery.send_task = sent
    rate._run = asked
    database.write = lambda self: Wired(points, write(self))


class Clock:
    """The time of this life: some hours ahead, and moved on where there is nothing to do."""

    def __init__(self, hours: float) -> None:
        self.ahead = timedelta(hours=hours)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


def live(request: dict[str, Any], points: Points) -> None:
    """From discovery to sweep."""
    settings = Settings.from_environment()
    clock = Clock(request.get("hours", 0.0))
    store = Store(settings.store.url, clock=clock, busy_seconds=2.0)
    # The tasks' own application was made before this life knew its broker.
    app.conf.broker_url = settings.broker.url
    control = FleetService(settings, store=store)
    bootstrap._contexts.append(bootstrap.make_context(settings, store=store))
    (place,) = control.places((), ())
    control.scans.start_scans(place, Configuration(), on_demand=False)
    application = make_app(settings)
    with application.connection_for_read() as connection:
        for _ in range(ROUNDS):
            tick(store, control.queue.publish)
            if not work(connection.default_channel, points, clock):
                if all(scan.state in TERMINAL for scan in store.scans.select()):
                    break
                clock.advance(IDLE_SECONDS)
        else:
            raise AssertionError(f"stuck: {store.scans.counts()}")
    control.sweeper.sweep(place)


def work(channel: Any, points: Points, clock: Clock) -> bool:
    """Take a message, run its task, acknowledge it; False where there is none."""
    for name in queues(STAGES, [""], Settings.from_environment()):
        message = channel.basic_get(name, no_ack=False)
        if message is None:
            continue
        due = message.headers.get("eta")
        if due:
            clock.advance((datetime.fromisoformat(due) - datetime.now(UTC)).total_seconds())
        (scan_id,), _, _ = message.decode()
        task = functools.partial(app.tasks[message.headers["task"]], scan_id)
        stage = message.headers["task"].rpartition(".")[2]
        points(f"worker.{stage}", task, StoreError("injected"))
        points("broker.acknowledge", message.ack, StoreError("injected"))
        return True
    return False


def child(request: dict[str, Any]) -> int:
    """One life; its exit status."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(request["environment"])
    file = os.open(request["points"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    points = Points(request.get("fault") or {}, file, request.get("life", 0))
    wire(points)
    try:
        live(request, points)
    except Exception:  # noqa: BLE001 - the parent is told by the status, a reader by the log
        traceback.print_exc()
        return 3
    return 0


def answers() -> Iterator[dict[str, Any]]:
    """A fork for each request."""
    # Loaded once, for all children: what botocore reads from its files, EC2's model above all.
    parent_ends_me()
    loader = botocore_session.create_loader()
    botocore_session.create_loader = lambda *_: loader
    for service in ("ec2", "ebs", "sts", "kms"):
        Session().client(service, region="us-east-1")
    app.loader.import_default_modules()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 4
            try:
                parent_ends_me()
                status = child(request)
            finally:
                os._exit(status)
        _, ended = os.waitpid(pid, 0)
        yield {"status": os.waitstatus_to_exitcode(ended)}


def parent_ends_me() -> None:
    """A life outlives no test: it would take the next one's messages, were its port the same."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Zygote:
    """The process that forks lives, for the tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        environment = os.environ | {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )

    def live(self, **request: Any) -> tuple[int, list[str]]:
        """One life: its exit status (-9 where it was killed), and the points that it came by."""
        points = self.directory / "points"
        points.unlink(missing_ok=True)
        request |= {"log": str(self.directory / "lives.log"), "points": str(points)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["status"], points.read_text().splitlines() if points.exists() else []

    def close(self) -> None:
        """End it: it ends at the end of its input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main() -> None:
    """Answer until the input ends."""
    for answered in answers():
        sys.stdout.write(json.dumps(answered) + "\n")
        sys.stdout.flush()
