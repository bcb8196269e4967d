"""Which machines need not be read again: what is not certain is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.sources.unchanged_volumes import UnchangedCandidate, candidate
from sidelight.model import DiskReading, Instance, Volume

LAST = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = LAST + timedelta(hours=24)
WEEK = timedelta(days=7)
BEFORE = LAST - timedelta(days=9)
READ = DiskReading("1", "i-1", frozenset({"vol-a", "vol-b"}), LAST, LAST, "0.1.0 0")
RUNNING = Instance(
    "i-1", "1", "eu-west-1", "running",
    (
        Volume("vol-a", "/dev/xvda", 8, attached_at=BEFORE),
        Volume("vol-b", "/dev/sdf", 8, attached_at=BEFORE),
    ),
    launched_at=BEFORE,
)  # fmt: skip
STOPPED = replace(RUNNING, state="stopped", stopping_at=LAST - timedelta(hours=2))


def test_a_running_machine_is_left_to_its_volumes_writes() -> None:
    assert candidate(RUNNING, READ, WEEK, NOW) == UnchangedCandidate(READ, is_stopped=False)


def test_a_machine_that_was_stopped_before_its_last_read_is_unchanged() -> None:
    assert candidate(STOPPED, READ, WEEK, NOW) == UnchangedCandidate(READ, is_stopped=True)


def volumes(first: int, **changes: object) -> tuple[Volume, ...]:
    found = list(RUNNING.volumes)
    found[first] = replace(found[first], **changes)  # type: ignore[arg-type]
    return tuple(found)


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        (replace(RUNNING, launched_at=LAST + timedelta(hours=1)), "it was started since"),
        (replace(RUNNING, launched_at=None), "it was started since"),
        (replace(RUNNING, state="stopping"), "it is stopping"),
        (replace(RUNNING, state="pending"), "it is pending"),
        (replace(RUNNING, volumes=()), "it has other volumes"),
        (replace(RUNNING, volumes=RUNNING.volumes[:1]), "it has other volumes"),
        (replace(RUNNING, volumes=volumes(0, id="vol-new")), "it has other volumes"),
        (replace(RUNNING, volumes=volumes(1, attached_at=NOW)), "vol-b was attached since"),
        (replace(RUNNING, volumes=volumes(1, attached_at=None)), "vol-b was attached since"),
        (replace(STOPPED, stopping_at=None), "it was stopped after its last scan"),
        (replace(STOPPED, stopping_at=LAST + timedelta(hours=1)), "it was stopped after"),
        # It wrote for a while after its stop was asked for.
        (replace(STOPPED, stopping_at=LAST - timedelta(minutes=5)), "shortly before"),
        (replace(STOPPED, volumes=volumes(0, multi_attach=True)), "another instance may write"),
    ],
)
def test_what_is_not_certain_is_read(machine: Instance, why: str) -> None:
    assert why in str(candidate(machine, READ, WEEK, NOW))


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (None, "not read yet"),
        (replace(READ, reader=""), "partial, or its agent's"),
        (replace(READ, read_at=NOW - timedelta(days=8)), "more than 7 days ago"),
        (replace(READ, data_at=NOW), "nothing is known since"),
    ],
)
def test_a_last_read_that_proves_nothing(last: DiskReading | None, why: str) -> None:
    assert why in str(candidate(STOPPED, last, WEEK, NOW))
