"""Flower's application names every queue, since workers do not answer it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = "from workers.monitoring import app; print(*sorted(q.name for q in app.conf.task_queues))"


def queue_names(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, **environment}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_all_five_queues_are_listed() -> None:
    assert queue_names() == ["await", "delete", "evaluate", "inspect", "take"]


@pytest.mark.parametrize("queue", ["take.eu-west-1", "delete.us-east-1"])
def test_regional_queues_are_listed_for_each_region(queue: str) -> None:
    assert queue in queue_names(SIDELIGHT_REGIONAL_QUEUES="true")
