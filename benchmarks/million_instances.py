"""What a dispatcher does for a million instances: `python -m benchmarks.million_instances 1000000`.

Discovery, plan, coverage, the minute's tick, the counts of overviews and a day's events, in one
process on one SQLite store, without AWS and without a broker: CPU seconds, memory and statements of
each. 5,000 accounts with 20 Regions each have equal parts; with fewer instances there are fewer
accounts, so that an account-region keeps ten instances. docs/scale.md has the figures.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.counts.stores import written
from benchmarks.dispatcher_tick import instance, scanned_before, silent
from benchmarks.drawn_store import fill
from dispatcher.discovery.accounts import AccountRegion
from dispatcher.discovery.discoverer import discover
from dispatcher.enqueue import tick
from dispatcher.events.publisher import Publisher
from dispatcher.fleet_counter import FleetCounter
from dispatcher.planning import cadence
from dispatcher.planning.eligibility import Configuration
from dispatcher.scan_starter import ScanStarter
from sidelight.aws.events import Sent
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from dispatcher.discovery.discoverer import Discovery
    from sidelight.aws.events import Message
    from sidelight.model import Instance

REGIONS = 20
OF_A_PLACE = 10  # instances of an account-region: a million in 5,000 accounts and 20 Regions
TICKS = 10
DISCOVERIES_A_DAY, TICKS_A_DAY = 24, 1440
START = datetime(2026, 3, 1, tzinfo=UTC)


class SteppedClock:
    """A clock that the benchmark moves."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        """Return the time."""
        return self.time

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.time += timedelta(seconds=seconds)


class ListedInstances:
    """The EC2 and KMS of all account-regions, which answer at once."""

    def __init__(self, account_regions: dict[AccountRegion, list[Instance]]) -> None:
        self.places = account_regions

    def tagged(self, key_ids: Iterable[str], tag: str) -> frozenset[str]:  # noqa: ARG002 - KMS's
        """No key has a tag."""
        return frozenset()


class PlaceListing:
    """EC2 of one account-region."""

    def __init__(self, found: list[Instance]) -> None:
        self._found = found

    def instances(self) -> list[Instance]:
        """All of them."""
        return self._found

    def instances_by_id(self, ids: Sequence[str]) -> tuple[list[Instance], list[str]]:
        """Some of them."""
        return [one for one in self._found if one.id in ids], []


class LocalDiscoverer:
    """The dispatcher's discovery without AWS."""

    def __init__(self, store: Store, listed: ListedInstances) -> None:
        self._store, self._listed = store, listed

    def __call__(self, account_region: AccountRegion, configuration: Configuration) -> Discovery:
        """Discover, and write."""
        return discover(
            self._store, PlaceListing(self._listed.places[account_region]), self._listed,
            account=account_region.account, region=account_region.region,
            tag=configuration.exclusion_tag,
        )  # fmt: skip


class NullSink:
    """A target that takes every event."""

    whole = True

    def send(self, messages: Sequence[Message]) -> Sent:
        """Take them."""
        return Sent(len(messages))


@dataclass(frozen=True, slots=True)
class StepCost:
    """The cost of a step for `items` of it. CPU and wall in seconds."""

    name: str
    items: int
    cpu: float
    wall: float
    statements: int
    peak_mib: int


class Meter:
    """Measures steps, and prints each as it ends, unless it is `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self.costs: list[StepCost] = []

    @contextmanager
    def step(self, store: Store, name: str, items: int) -> Iterator[None]:
        """Measure what is done within."""
        cpu, wall = time.process_time(), time.perf_counter()
        with written(store) as seen:
            yield
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        cost = StepCost(
            name,
            items,
            time.process_time() - cpu,
            time.perf_counter() - wall,
            seen.statements,
            peak,
        )
        self.costs.append(cost)
        if self._quiet:
            return
        print(
            f"| {name} | {items:,} | {cost.cpu:.2f} | {cost.wall:.2f} | {cost.statements:,} |"
            f" {cost.peak_mib:,} |",
            flush=True,
        )

    def cpu(self, name: str) -> float:
        """Return the CPU seconds of a step."""
        return next(cost.cpu for cost in self.costs if cost.name == name)


def fleet_of(count: int) -> dict[AccountRegion, list[Instance]]:
    """Return so many instances in their account-regions."""
    places: dict[AccountRegion, list[Instance]] = {}
    for number in range(count):
        index = number // OF_A_PLACE
        account_region = AccountRegion(
            f"{100_000_000_000 + index // REGIONS}", f"region-{index % REGIONS}"
        )
        one = instance(number, account_region.account, account_region.region)
        places.setdefault(account_region, []).append(one)
    return places


def dispatcher_costs(url: str, count: int, meter: Meter) -> int:
    """Measure the dispatcher's work; return how many scans it started."""
    clock = SteppedClock()
    places = fleet_of(count)
    fleet = [one for found in places.values() for one in found]
    # 16 threads of the discovery write; on a busy machine they wait for each other.
    with Store(url, clock=clock, busy_seconds=600.0) as store:
        store.migrate()
        starter = ScanStarter(
            store=store,
            discoverer=LocalDiscoverer(store, ListedInstances(places)),  # type: ignore[arg-type]
            publish=silent,
            deployment="here",
        )
        rules = Configuration()
        with meter.step(store, "first discovery, plan and coverage", count):
            starter.discover_everywhere(list(places), rules)
        scanned_before(store, fleet)
        with meter.step(store, "discovery and plan of the hour", count):
            started = starter.start_everywhere(
                list(places), rules, on_demand=False, is_due=cadence.is_due
            )
        begun = len(started.scans)
        with meter.step(store, f"{TICKS} ticks of a minute", count):
            for _ in range(TICKS):
                clock.advance(60.0)
                begun += len(starter.start_due(rules))
                tick(store, silent)
        with meter.step(store, "counts of overviews", count):
            FleetCounter(store).run()
        with meter.step(store, "coverage in sums", count):
            store.totals.coverage()
    return begun


def dispatcher_counts(directory: Path) -> dict[str, int]:
    """Return the statements of a dispatcher's steps over 40 account-regions: they do not vary."""
    meter = Meter(quiet=True)
    dispatcher_costs(f"sqlite:///{directory}/dispatcher.db", 40 * OF_A_PLACE, meter)
    return {f"dispatcher, 40 places: {cost.name}: statements": cost.statements
            for cost in meter.costs}  # fmt: skip


def event_costs(directory: Path, count: int, meter: Meter) -> int:
    """Measure a day's events, one of ten instances: written as findings close, and sent."""
    url = f"sqlite:///{directory}/events.db"
    machines = max(count // 10, 3)
    fill(url, count, machines, min(2000, count))
    with Store(url) as store:
        target = "benchmark"
        publisher = Publisher(store, target, NullSink(), after=store.outbox.last())
        known = store.instances.known()
        by_account: dict[str, list[str]] = {}
        for row in known:
            by_account.setdefault(row.instance.account, []).append(row.instance.id)
        first = store.outbox.last()
        with meter.step(store, "events written", count):
            for account, ids in by_account.items():
                _close(store, account, ids)
        number = store.outbox.last() - first
        with meter.step(store, "events sent", number):
            publisher.run()
    return number


def _close(store: Store, account: str, ids: Collection[str]) -> None:
    store.findings.close_instances(account, ids)


def report(count: int, begun: int, events: int, meter: Meter) -> list[str]:
    """Return a day's sums as Markdown lines."""
    discovery = meter.cpu("discovery and plan of the hour") * DISCOVERIES_A_DAY
    ticks = meter.cpu(f"{TICKS} ticks of a minute") / TICKS * TICKS_A_DAY
    sent = meter.cpu("events written") + meter.cpu("events sent")
    a_day = discovery + ticks + sent
    return [
        "",
        f"{begun:,} scans were started, {events:,} events written and sent.",
        (
            f"A day: {DISCOVERIES_A_DAY} discoveries {discovery:,.0f} s, {TICKS_A_DAY:,} ticks"
            f" {ticks:,.0f} s, events {sent:,.0f} s: {a_day:,.0f} CPU seconds, {a_day / 86400:.3f}"
            f" cores, {a_day / count * 1e6 / 86400:.2f} cores a million instances."
        ),
    ]


def main(count: int) -> None:
    """Print the table."""
    meter = Meter()
    print("| step | items | CPU s | wall s | statements | peak MiB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        begun = dispatcher_costs(f"sqlite:///{scratch}/fleet.db", count, meter)
        events = event_costs(Path(scratch), max(count // 10, 30), meter)
    print("\n".join(report(count, begun, events, meter)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("instances", type=int, nargs="?", default=100_000)
    main(parser.parse_args().instances)
