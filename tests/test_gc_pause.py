"""Batches that the cycle collector does not look through, and what it must collect all the same."""

from __future__ import annotations

import gc
import weakref

from sidelight.gc_pause import uncollected


class Cycle:
    """Holds itself, so that just the collector can free it."""

    def __init__(self) -> None:
        self.own = self


def test_no_collection_runs_within() -> None:
    cycle = weakref.ref(Cycle())
    with uncollected():
        batch = [(number, b"") for number in range(gc.get_threshold()[0] * 20)]
        assert cycle() is not None
    assert batch
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_cycles_made_between_batches_are_freed() -> None:
    rounds, alive = gc.get_threshold()[0] * 4, weakref.WeakSet[Cycle]()
    for _ in range(rounds):
        alive.add(Cycle())
        with uncollected():
            batch = [(number, b"") for number in range(20)]
    assert batch
    assert len(alive) < rounds / 3
