"""How late events are for each target that a dispatcher sends to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.api import metrics
from dispatcher.discovery.accounts import ScanScope
from dispatcher.loop import DispatcherLoop
from dispatcher.on_demand import in_process
from dispatcher.planning.eligibility import Configuration
from dispatcher.services.cached_value import RefreshingValue
from dispatcher.services.fleet_totals import sums
from sidelight.fleet.settings import Settings
from tests.fixtures.stored_findings import inventory, package, says, scanned

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.store import Store
    from tests.fakes.clocks import Clock

NAMES = {"webhook:https://hooks.example/secret": "webhook:hooks.example", "file:a": "file:a"}


def happen(store: Store, machine: str) -> None:
    scanned(store, says("a"), inventory(package("a")), machine)


def test_the_oldest_event_that_a_target_has_not_taken_is_its_lag(
    store: Store, clock: Clock
) -> None:
    assert store.outbox.lags(clock()) == {}
    store.outbox.follow(NAMES)
    assert store.outbox.lags(clock()) == {}  # neither has begun
    happen(store, "i-0")
    for name in NAMES:
        store.outbox.position(name)
    assert store.outbox.lags(clock()) == {"webhook:hooks.example": 0, "file:a": 0}
    happen(store, "i-1")
    for machine in ("i-2", "i-3"):
        clock.advance(600)
        happen(store, machine)
    store.outbox.reached("file:a", store.outbox.last() - 1)
    clock.advance(2400)
    assert store.outbox.lags(clock()) == {"webhook:hooks.example": 3600, "file:a": 2400}
    store.outbox.reached("file:a", store.outbox.last())
    store.outbox.follow({"file:a": "file:a"})  # the other target was taken out
    assert store.outbox.lags(clock()) == {"file:a": 0}


def test_a_dispatcher_s_targets_are_reported_without_their_secrets(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    """A target that is refused grows late; one that takes all is not."""
    good, bad = f"file:{tmp_path}/events.jsonl", f"file:{tmp_path}/no/folder.jsonl"
    settings = Settings.of(
        store_url="sqlite://", broker_url="memory://", publish=f"{good} {bad}",
        event_types="findings",
    )  # fmt: skip
    schedule = DispatcherLoop(in_process(settings, store=store), ScanScope(), Configuration())

    def beat() -> None:
        schedule._publish_new_events()
        schedule._delivery.join()

    beat()
    happen(store, "i-1")
    beat()
    clock.advance(2700)
    kept = RefreshingValue(lambda: sums(store))
    text = metrics.exposition(store, settings, kept).decode()
    lines = sorted(line for line in text.splitlines() if line.startswith("sidelight_event_lag"))
    assert lines == [
        f'sidelight_event_lag_seconds{{target="{good}"}} 0.0',
        f'sidelight_event_lag_seconds{{target="{bad}"}} 2700.0',
    ]
