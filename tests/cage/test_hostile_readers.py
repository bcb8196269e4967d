"""A reader in the hands of a disk's owner gets nowhere, and the next machine is read."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.cage import CagedReading, caged_reading
from sidelight.cage.reader_process import ReaderProcess
from sidelight.errors import CageError
from tests.fakes.sources import MemorySource
from tests.fixtures.kernel_protections import NEEDS_SECCOMP
from tests.worker_programs.hostile_reader import ATTEMPTS, CHANNEL_ATTEMPTS, FRAMES, STACKS

if TYPE_CHECKING:
    import socket

    from sidelight.cage.seal import Bounds
    from sidelight.model import Problem

pytestmark = pytest.mark.slow

PROGRAM = ("-m", "tests.worker_programs.hostile_reader")
MEMORY = 512 << 20
# Those that seccomp ends; without it, the other protections refuse them with an error.
ENDED = {
    "socket", "unix-socket", "fork", "thread", "exec", "spawn", "ptrace", "signal-parent",
    "signal-zygote", "memfd", "x32", "resolve", "io-uring", "userfaultfd", "keyring", "bpf", "perf",
}  # fmt: skip
STOPPED = "made a system call that readers do not make"


def hostile(seconds: float = 60.0, memory: int = MEMORY) -> CagedReading:
    return CagedReading(seconds=seconds, memory=memory, program=PROGRAM)


def doing(name: str, reading: CagedReading) -> Problem:
    """What a reader that does this answers."""
    (problem,) = reading.inspect([MemorySource(b"disk" * 128, name)]).problems
    return problem


def _next_machine_is_read() -> None:
    assert doing("another disk", hostile()).what == "disk"


@NEEDS_SECCOMP
@pytest.mark.parametrize("name", sorted(ATTEMPTS | CHANNEL_ATTEMPTS))
def test_a_reader_that_reaches_outside_gets_nowhere(name: str) -> None:
    if name in ENDED:
        with pytest.raises(CageError, match=STOPPED):
            doing(name, hostile())
    else:
        problem = doing(name, hostile())
        assert problem.where == "refused", problem
    _next_machine_is_read()


@pytest.mark.parametrize("name", sorted(STACKS))
def test_memory_that_counts_as_a_stack_is_within_the_limit(name: str) -> None:
    problem = doing(name, hostile())
    assert problem.where == "bytes", problem
    assert int(problem.what) <= MEMORY
    _next_machine_is_read()


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_an_answer_that_breaks_the_protocol_is_no_inventory(name: str) -> None:
    with pytest.raises(CageError, match=r"broke its protocol") as caught:
        doing(name, hostile())
    assert caught.value.where == name
    _next_machine_is_read()


@pytest.mark.parametrize(
    ("name", "seconds", "limit", "text"),
    [
        ("eat", 60.0, "memory", "needs more than the 512 MiB of memory"),
        ("spin", 1.0, "time", "took more than 1 s"),
        ("swallow", 1.0, "time", "took more than 1 s"),
        ("flood", 1.0, "time", "took more than 1 s"),
        ("flood-of-hints", 1.0, "time", "took more than 1 s"),
        ("drip", 1.0, "time", "took more than 1 s"),
        ("segv", 60.0, "", "crashed (SIGSEGV)"),
        ("exit", 60.0, "", "ended early (exit status 0)"),
        ("error", 60.0, "", "ZeroDivisionError"),
    ],
)
def test_a_reader_that_goes_too_far_is_stopped_with_a_clear_text(
    name: str, seconds: float, limit: str, text: str
) -> None:
    begun = time.monotonic()
    with pytest.raises(CageError) as caught:
        doing(name, hostile(seconds))
    assert text in caught.value.what
    assert caught.value.limit == limit
    assert time.monotonic() - begun < 50
    _next_machine_is_read()


def test_a_reader_that_only_closes_its_channel_is_ended() -> None:
    begun = time.monotonic()
    with pytest.raises(CageError):
        doing("close", hostile())
    assert time.monotonic() - begun < 50
    _next_machine_is_read()


def test_a_reader_has_none_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    monkeypatch.setenv("SIDELIGHT_BROKER_URL", "a secret")
    caged_reading._close_idle()
    assert "a secret" not in doing("environment", hostile()).what


class _Deadly(MemorySource):
    """A disk, at whose first read a process is killed."""

    def __init__(self, started: list[ReaderProcess], *, is_reader: bool) -> None:
        super().__init__(b"disk" * 128, "another disk")
        self._started = started
        self._is_reader = is_reader

    def read_at(self, offset: int, length: int) -> bytes:
        zygote = self._started[-1]._process
        if self._is_reader:
            os.kill(_children(zygote.pid)[0], signal.SIGKILL)
        else:
            zygote.kill()
            # Its end, not the signal, is what ends the reader.
            zygote.wait()
        return super().read_at(offset, length)


def _children(process: int) -> list[int]:
    return [*map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[ReaderProcess]:
    """The zygotes that got a machine, in order."""
    found: list[ReaderProcess] = []
    start = ReaderProcess.start

    def noted(process: ReaderProcess, bounds: Bounds) -> socket.socket:
        found.append(process)
        return start(process, bounds)

    monkeypatch.setattr(ReaderProcess, "start", noted)
    return found


@pytest.mark.parametrize(
    ("is_reader", "text"), [(True, "was killed (SIGKILL)"), (False, "forked from has ended")]
)
def test_a_process_that_is_killed_in_the_middle_costs_one_machine(
    started: list[ReaderProcess], is_reader: bool, text: str
) -> None:
    with pytest.raises(CageError, match=re.escape(text)):
        hostile().inspect([_Deadly(started, is_reader=is_reader)])
    _next_machine_is_read()


def test_an_idle_zygote_that_was_killed_is_replaced(started: list[ReaderProcess]) -> None:
    _next_machine_is_read()
    started[-1]._process.kill()
    started[-1]._process.wait()
    _next_machine_is_read()


def test_a_zygote_that_is_killed_before_its_reader_costs_one_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = ReaderProcess.start

    def killed(process: ReaderProcess, bounds: Bounds) -> socket.socket:
        process._process.kill()
        process._process.wait()
        return start(process, bounds)

    with monkeypatch.context() as patch:
        patch.setattr(ReaderProcess, "start", killed)
        with pytest.raises(CageError, match="forked from has ended"):
            doing("another disk", hostile())
    _next_machine_is_read()


def test_no_process_is_left_by_a_stopped_reader(started: list[ReaderProcess]) -> None:
    with pytest.raises(CageError):
        doing("swallow", hostile(1.0))
    assert _children(started[-1]._process.pid) == []
    caged_reading._close_idle()
    assert started[-1]._process.returncode == 0
