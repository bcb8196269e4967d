"""The count of leaks: every orphan once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock


def test_orphans_add_up_and_one_that_stays_is_counted_once(store: Store, clock: Clock) -> None:
    assert store.sweeps.all() == []
    store.sweeps.record("1", "r", orphans=0, remaining=0)
    store.sweeps.record("1", "r", orphans=3, remaining=2)
    clock.advance(60)
    store.sweeps.record("1", "r", orphans=2, remaining=1)  # the same two
    store.sweeps.record("2", "r", orphans=1, remaining=0)
    first, second = store.sweeps.all()
    assert (first.account, first.orphans, first.remaining) == ("1", 3, 1)
    assert first.swept_at == clock()
    assert (second.account, second.orphans) == ("2", 1)
    store.sweeps.record("1", "r", orphans=0, remaining=0)  # somebody else removed it
    assert store.sweeps.all()[0].orphans == 3
