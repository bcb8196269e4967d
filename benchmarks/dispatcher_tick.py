"""What the dispatcher's tick costs with a large fleet: `python -m benchmarks.dispatcher_tick`.

Discovery's write, the plan over all instances, enqueueing a part of them, the look for what is
due, and the stages' own store work for one scan. SQLite in a temporary directory; CPU seconds of
this process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from typing import TYPE_CHECKING

from dispatcher.eligibility import Configuration
from dispatcher.enqueue import enqueue, tick
from dispatcher.plan import plan
from sidelight.model import Instance, Volume
from sidelight.store import LIVE, State, Store

if TYPE_CHECKING:
    from workers.holding import Next

ACCOUNT, REGION = "123456789012", "eu-west-1"
DUE = 5_000


def instance(number: int) -> Instance:
    """A machine of two volumes with three tags."""
    volumes = (Volume(f"vol-{number:017x}", "/dev/xvda", 8), Volume(f"vol-{number}", "/dev/sdf", 9))
    tags = (("Name", f"m{number}"), ("Team", "a"), ("Stage", "production"))
    return Instance(f"i-{number:017x}", ACCOUNT, REGION, "running", volumes, tags, f"m{number}")


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


def main(count: int) -> None:
    """Measure with `count` instances."""
    with tempfile.TemporaryDirectory() as directory, Store(f"sqlite:///{directory}/s.db") as store:
        store.migrate()
        fleet = [instance(number) for number in range(count)]
        started = now()
        store.fleet.discovered(ACCOUNT, REGION, fleet)
        report(f"discovery of {count} written", started)
        started = now()
        planned = plan(store.fleet.known(), store.clock(), Configuration())
        report(f"plan over {count}", started)
        started = now()
        scans = enqueue(store, silent, planned.due[:DUE], "here")
        report(f"enqueue of {len(scans)}", started, len(scans))
        started = now()
        tick(store, silent)
        report(f"tick with {len(scans)} live", started)
        started = now()
        for scan in scans[:500]:
            for to in (State.SNAPSHOTS_PENDING, State.READING, State.EVALUATING, State.DELETING):
                held = store.scans.claim(scan.id, LIVE, 60)
                assert held is not None
                store.scans.advance(held, to)
        report("claims and changes of state of a scan", started, 500)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
