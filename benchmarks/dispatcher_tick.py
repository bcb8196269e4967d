"""What the dispatcher's tick costs with a large fleet: `python -m benchmarks.dispatcher_tick`.

Discovery's write, the plan over all instances, enqueueing a part of them, the look for what is
due, the queries of overviews, and the stages' own store work for one scan. A tick is discovery,
plan, coverage, the enqueueing of an hour's share, and the sweep's question. SQLite or, with
`--postgres`, PostgreSQL, in a temporary directory; CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import update

from benchmarks.postgresql import postgresql
from dispatcher.enqueue import enqueue, tick
from dispatcher.planning.eligibility import Configuration
from dispatcher.planning.plan import plan
from sidelight.model import LIVE, Instance, State, Volume
from sidelight.store import Store
from sidelight.store.base.schema import scans

if TYPE_CHECKING:
    from sidelight.fleet.stages.stage_runner import Next
    from sidelight.model import Scan

ACCOUNT, REGION = "123456789012", "eu-west-1"


def instance(number: int, account: str = ACCOUNT, region: str = REGION) -> Instance:
    """A machine of two volumes with three tags."""
    volumes = (Volume(f"vol-{number:017x}", "/dev/xvda", 8), Volume(f"vol-{number}", "/dev/sdf", 9))
    tags = (("Name", f"m{number}"), ("Team", "a"), ("Stage", "production"))
    return Instance(f"i-{number:017x}", account, region, "running", volumes, tags, f"m{number}")


def silent(_scan_id: str, _following: Next) -> None:
    """No broker: its cost is Celery's."""


def report(what: str, started: tuple[float, float], count: int = 1) -> None:
    """One line."""
    wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    each = f", {cpu / count * 1e3:.2f} ms CPU each" if count > 1 else ""
    print(f"{what}: {wall:.2f} s, {cpu:.2f} s CPU{each}")


def now() -> tuple[float, float]:
    """Wall and CPU."""
    return time.perf_counter(), time.process_time()


def main(count: int, *, postgres: bool) -> None:
    """Measure with `count` instances."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(postgresql()) if postgres else f"sqlite:///{directory}/s.db"
        store = stack.enter_context(Store(url))
        store.migrate()
        fleet = [instance(number) for number in range(count)]
        store.instances.discovered(ACCOUNT, REGION, fleet)
        scanned_before(store, fleet)
        begin = time.perf_counter()
        scans = dispatch(store, fleet)
        wall = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"a tick of {count} known instances: {wall:.1f} s (target: 10); {peak} MiB at most")
        look(store)
        work(store, scans)


def scanned_before(store: Store, fleet: list[Instance]) -> None:
    """Each was scanned once in the last 25 hours, so that an hour's share is due."""
    for begin in range(0, len(fleet), 1000):
        part = fleet[begin : begin + 1000]
        store.scans.create([(one.account, one.region, one.id) for one in part], "here")
        ago = store.clock() - timedelta(hours=25 * begin / len(fleet))
        with store._database.write() as connection:  # noqa: SLF001 - no scan is run here
            ids = scans.c.instance.in_([one.id for one in part])
            connection.execute(
                update(scans)
                .where(ids)
                .values(state=State.DONE.value, created_at=ago, finished_at=ago, publish_at=ago)
            )


def dispatch(store: Store, fleet: list[Instance]) -> list[Scan]:
    """One tick: an hour's share of the fleet is due."""
    share = len(fleet) // 24
    started = now()
    store.instances.discovered(ACCOUNT, REGION, fleet)
    report(f"discovery of {len(fleet)} written again", started)
    started = now()
    planned = plan(
        store.instances.with_history(ACCOUNT, REGION, fleet), store.clock(), Configuration()
    )
    report(f"plan over {len(fleet)}", started)
    started = now()
    store.instances.cover(planned.coverage[:share])
    report(f"coverage of {share} written", started)
    started = now()
    created = enqueue(store, silent, planned.due[:share], "here")
    report(f"enqueue of {len(created)}", started, len(created))
    started = now()
    tick(store, silent)
    store.origins.of([scan.id for scan in created])
    report(f"look for what is due, and the sweep's question, with {len(created)} live", started)
    return created


def look(store: Store) -> None:
    """What overviews ask."""
    for what, ask in (
        ("status of all live scans", lambda: store.scans.select(live=True)),
        ("coverage by instance", store.instances.coverage),
        ("coverage in sums", store.totals.coverage),
        ("costs by account and day", lambda: store.costs.sums(["account", "day"])),
    ):
        started = now()
        ask()
        report(what, started)


def work(store: Store, live: list[Scan]) -> None:
    """The stages' own share."""
    started = now()
    for scan in live[:500]:
        for to in list(State)[1:6]:  # SNAPSHOTTING to DELETING
            held = store.scans.claim(scan.id, LIVE, 60)
            assert held is not None
            store.scans.advance(held, to)
    report("claims and changes of state of a scan", started, 500)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("instances", type=int, nargs="?", default=100_000)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    main(options.instances, postgres=options.postgres)
