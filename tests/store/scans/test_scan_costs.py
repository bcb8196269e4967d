"""Work on live scans reads as much where an account has four times as many ended ones.

Ended scans are kept for thirty days. SQLite keeps no statistics here, and takes an index of the
account for as good as that of its few live scans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from benchmarks.dispatcher_tick import ACCOUNT, REGION, instance, scanned_before
from benchmarks.query_costs import cost
from sidelight.store import Store
from sidelight.store.scans.snapshot_quota import Caps, no_room
from tests.fixtures.store_templates import lay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.model import Instance, Scan

SMALL, LARGE = 500, 2_000
SPARE = 300  # steps of SQLite's virtual machine, of 100: depths of indexes


def quota(store: Store) -> None:
    scan = live(store)
    with store._database.read() as connection:
        no_room(connection, scan, {"vol-1": 1}, Caps(existing=1000, pending=50), store.clock())


def live(store: Store) -> Scan:
    (scan_id,) = store.account_scans.live(ACCOUNT)
    return store.scans.get(scan_id)


WORK: Final[dict[str, Callable[[Store], object]]] = {
    "quota of snapshots": quota,
    "claim for a snapshot poll": lambda store: store.snapshot_polls.claim_waiting(
        ACCOUNT, REGION, 60.0, 200
    ),
    "next snapshot poll": lambda store: store.snapshot_polls.schedule(live(store), 10.0),
    "live scans": lambda store: store.account_scans.live(ACCOUNT),
    "undeleted snapshots": lambda store: store.account_scans.undeleted(ACCOUNT),
    "counts of an account": lambda store: store.account_scans.counts([ACCOUNT]),
    "snapshots of ended scans": lambda store: store.origins.undeleted(ACCOUNT, REGION),
    "end an account's scans": lambda store: store.account_scans.end(ACCOUNT, "disabled", "X"),
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Store]]:
    filled = {}
    for ended in (SMALL, LARGE):
        url = f"sqlite:///{tmp_path_factory.mktemp('costs')}/store.db"
        lay(url)
        store = filled[ended] = Store(url)
        fleet: list[Instance] = [instance(number) for number in range(ended)]
        store.instances.discovered(ACCOUNT, REGION, fleet)
        scanned_before(store, fleet)
        store.scans.create([(ACCOUNT, REGION, fleet[0].id)], "here")
    yield filled
    for store in filled.values():
        store.close()


@pytest.mark.parametrize("name", WORK)
def test_ended_scans_cost_the_work_on_live_ones_nothing(
    stores: dict[int, Store], name: str
) -> None:
    run = WORK[name]
    steps = {
        size: cost(store._database, lambda store=store: run(store)).steps  # type: ignore[misc]
        for size, store in stores.items()
    }
    assert steps[LARGE] <= steps[SMALL] + SPARE
