"""A stage that takes too long, or too much memory, ends its scan and never looks like success."""

from __future__ import annotations

import ast
import os
import re
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.errors import CageError
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.fleet.settings import Settings
from sidelight.fleet.stages import stage_limits
from sidelight.fleet.stages.stage_limits import StageTimeError
from sidelight.inventory.collect import collect
from sidelight.inventory.protocol import Wants
from sidelight.model import State
from tests.fakes.host_directory import HostDirectory
from workers.app import make_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.model import Inventory
    from tests.fakes.fake_fleet import FakeFleet

ROOT = Path(__file__).resolve().parents[3]
TIME_LIMIT = "AGENTLESS_INSTANCE_COLLECTION_TIME_LIMIT_EXCEEDED"
SHORT = 0.05


def swallowing() -> None:
    """A reader that takes every fault for a fault of its file."""
    while True:
        try:
            for _ in range(1000):
                pass
        except Exception:  # noqa: BLE001, S110 - what is tested
            pass


def suppressing() -> None:
    while True:
        with suppress(Exception):
            sum(range(1000))


def in_a_generator() -> None:
    def numbers() -> Any:
        while True:
            try:
                yield 1
            except Exception:  # noqa: BLE001 - what is tested
                yield 2

    for _ in numbers():
        pass


def in_a_callback() -> None:
    """C calls Python, as numpy and sqlite3 do."""
    while True:
        sorted(range(1000), key=lambda number: -number)


def in_a_regular_expression() -> None:
    re.match("(a|a)*$", "a" * 60 + "b")


def waiting_for_a_thread() -> None:
    from concurrent.futures import Future

    Future[int]().result()


def swallowed_once() -> None:
    """As `except:` and `__del__` do, and then it comes again."""
    with suppress(StageTimeError):
        swallowing()
    swallowing()


# The limit may strike within a callback of the garbage collector's, Hypothesis's for one, which
# drops it with this warning; it strikes again.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "work",
    [swallowing, suppressing, in_a_generator, in_a_callback, in_a_regular_expression,
     waiting_for_a_thread, swallowed_once],
)  # fmt: skip
def test_nothing_that_reads_outlasts_the_time_of_its_stage(
    make_fake_fleet: Callable[..., FakeFleet], work: Callable[[], None]
) -> None:
    fake_fleet = make_fake_fleet()

    def inspect(*_: object) -> Inventory:
        # The time is nearly spent, of this stage alone.
        signal.setitimer(signal.ITIMER_REAL, SHORT, SHORT)
        work()
        raise AssertionError("it ended by itself")

    object.__setattr__(fake_fleet.context, "inspect", inspect)
    fake_fleet.start()
    fake_fleet.run()
    (scan,) = fake_fleet.store.scans.select()
    assert scan.state is State.FAILED
    assert scan.failure_code == TIME_LIMIT
    (row,) = fake_fleet.store.instances.coverage()
    assert (row.status_code, row.reason) == ("INACTIVE", TIME_LIMIT)
    assert "SIDELIGHT_STAGE_SECONDS" in row.detail
    assert not fake_fleet.ec2.snapshots
    begun = [e for e in fake_fleet.store.scans.events(scan.id) if e.what == "READING: given up"]
    assert len(begun) == 1, "a machine that holds a process once does not hold it again"


@pytest.mark.parametrize(
    ("limit", "code", "attempts"),
    [("time", TIME_LIMIT, 1), ("memory", "INTERNAL_ERROR", 1), ("", "INTERNAL_ERROR", 5)],
)
def test_a_reader_that_ended_fails_its_scan_and_is_tried_again_only_after_a_crash(
    make_fake_fleet: Callable[..., FakeFleet], limit: str, code: str, attempts: int
) -> None:
    fake_fleet = make_fake_fleet()
    fake_fleet.inspect_error = CageError("the reader is no more", where="snap-1", limit=limit)
    fake_fleet.start()
    fake_fleet.run()
    (scan,) = fake_fleet.store.scans.select()
    assert (scan.state, scan.failure_code) == (State.FAILED, code)
    assert "the reader is no more" in scan.failure
    opened = [source.name for source in fake_fleet.sources]
    assert len(opened) == attempts * len(set(opened))
    assert not fake_fleet.ec2.snapshots


def test_an_extractor_does_not_swallow_the_end_of_its_time_or_memory(tmp_path: Path) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text("x")
    for error in (StageTimeError, MemoryError):

        class Greedy:
            name = "os/dpkg"

            def __init__(self, raised: type[BaseException]) -> None:
                self.wants = Wants(paths=frozenset({"var/lib/dpkg/status"}))
                self._raised = raised

            def extract(self, *_: object) -> None:
                raise self._raised

        with pytest.raises(error):
            collect(MachineTree(HostDirectory(tmp_path)), extractors=[Greedy(error)])  # type: ignore[list-item] # raises


def test_a_machine_that_needs_too_much_memory_fails_at_once_and_says_so(
    make_fake_fleet: Callable[..., FakeFleet],
) -> None:
    fake_fleet = make_fake_fleet()
    fake_fleet.inspect_error = MemoryError()
    fake_fleet.start()
    fake_fleet.run()
    (row,) = fake_fleet.store.instances.coverage()
    assert (row.status_code, row.reason) == ("INACTIVE", "INTERNAL_ERROR")
    assert "SIDELIGHT_MEMORY_MIB" in row.detail
    assert len(fake_fleet.sources) == 2, "read once"
    assert not fake_fleet.ec2.snapshots


def broad_handlers(path: Path) -> list[tuple[int, bool]]:
    """Each `except Exception` of a file: its line, and whether a MemoryError gets by."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Try):
            continue
        before: set[str] = set()
        for handler in node.handlers:
            names = (
                {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
                if (handler.type)
                else {"BaseException"}
            )
            last = handler.body[-1]
            reraises = isinstance(last, ast.Raise) and last.exc is None
            if names & {"Exception", "BaseException"} and not reraises:
                found.append((handler.lineno, "MemoryError" in before))
            if reraises:
                before |= names
    return found


@pytest.mark.slow
def test_no_broad_handler_of_the_readers_takes_memory_for_damage() -> None:
    for path in sorted((ROOT / "sidelight").rglob("*.py")):
        if {"fleet", "localcloud", "report"} & {*path.parts}:
            continue
        for line, lets_by in broad_handlers(path):
            assert lets_by, f"{path}:{line}"


@pytest.mark.slow
def test_no_handler_but_the_holders_names_the_end_of_time() -> None:
    for package in ("sidelight", "workers", "dispatcher"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.ExceptHandler):
                    continue
                bare = node.type is None or "BaseException" in ast.unparse(node.type)
                last = node.body[-1]
                assert not bare or isinstance(last, ast.Raise), f"{path}:{node.lineno}"


def test_celery_ends_a_process_after_the_stage_has_had_its_chance() -> None:
    settings = Settings()
    conf = make_app(settings).conf
    assert conf.task_soft_time_limit is None
    assert conf.task_time_limit > settings.workers.stage_seconds
    assert settings.workers.stage_seconds <= 3600, "a machine holds a process for less than an hour"


def test_a_timer_that_ran_before_goes_on_after_the_stage() -> None:
    before, _ = signal.getitimer(signal.ITIMER_REAL)
    handler = signal.getsignal(signal.SIGALRM)
    with stage_limits.stage_time(1000.0):
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1000.0
    after, _ = signal.getitimer(signal.ITIMER_REAL)
    assert (after > 0) == (before > 0)
    assert after <= before
    assert signal.getsignal(signal.SIGALRM) is handler


HOG = """
import sys
from sidelight.fleet.stages import stage_limits as stage_time
stage_time.limit_memory({mib}, 1)
try:
    bytearray(400 << 20)
except MemoryError:
    sys.exit(7)
"""
STUCK = """
import hashlib, time
from sidelight.fleet.stages import stage_limits as stage_time
stage_time.LEAST_PULSE = 0.1
stage_time.own_process()
stage_time.pulse(0.1)
sum(range(1 << 40))  # one call into C: no signal's handler and no other thread runs
"""


def status_of(code: str) -> int:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode


@pytest.mark.slow
def test_a_process_gets_a_memory_error_before_it_takes_what_others_need() -> None:
    assert status_of(HOG.format(mib=256)) == 7
    assert status_of(HOG.format(mib=4096)) == 0


def test_a_call_into_c_that_never_returns_is_ended_by_the_kernel() -> None:
    assert status_of(STUCK) == -signal.SIGPROF


def test_an_equal_share_of_the_memory_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair[0]))
    monkeypatch.setattr(stage_limits, "memory", lambda: 8 << 30)
    assert stage_limits.limit_memory(0, 2) == 4 << 30
    assert stage_limits.limit_memory(0, 100) == stage_limits.LEAST_MEMORY
    assert stage_limits.limit_memory(512, 2) == 512 << 20
    assert limits == [4 << 30, 1 << 30, 512 << 20]


def test_a_container_s_limit_is_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(stage_limits, "_CGROUPS", (limit,))
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert stage_limits.memory() == machine
    limit.write_text("max\n")
    assert stage_limits.memory() == machine
    limit.write_text(f"{1 << 30}\n")
    assert stage_limits.memory() == 1 << 30
