"""What a fleet of so many instances a day takes, on paper: `python -m benchmarks.model`.

Every input is an option, with the measured or published value as its default; docs/cost-model.md
is this program's output. Prices are us-east-1's: EBS direct $0.003 per 1,000 Get and $0.0006 per
1,000 List, snapshots $0.05 a GB-month, an interface endpoint $0.01 a GB, a core $0.036 an hour.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from math import ceil

from sidelight.aws.ebs import USD_PER_GET, USD_PER_LIST
from sidelight.fleet.rate_limit.slots import SECOND, SLACK, is_few
from sidelight.fleet.stages.take_snapshots import LONGEST_LOOK

DAY, DAYS = 86_400.0, 30.4  # seconds in a day, days in a month
USD_GB_MONTH, USD_ENDPOINT_GB = 0.05, 0.01
BLOCK_GB = 524_288 / 1e9
DESCRIBED_AT_ONCE = 200  # values of a filter, the most that EC2 takes
INSPECTOR_USD, TARGET_USD = 1.75, 0.15  # an instance-month
PENDING_TIMES = (0.5, 1, 2, 5, 10, 30, 60)  # minutes


@dataclass(frozen=True)
class Inputs:
    """A machine is README's: Debian 12, 86,000 paths, read with 259 blocks."""

    instances: float = 100_000  # scanned a day
    places: float = 1  # accounts and regions that they are in, in equal parts
    volumes: float = 1.3  # of an instance
    gb: float = 20.0  # written on them, together
    blocks: float = 259  # read of a machine (`make bench BENCH=trivy_vm`)
    read_cpu: float = 1.68  # seconds to read and parse a machine (the same)
    stages_cpu: float = 0.06  # of the other stages and the store (`make load`)
    queue_cpu: float = 0.0075  # of Celery, over all tasks of a scan (`make load`)
    pending_minutes: float = 5.0  # until a snapshot is completed
    other_minutes: float = 5.0  # in queues and being read
    poll_seconds: float = 10.0  # SIDELIGHT_POLL_SECONDS
    busy: float = 0.6  # share of the workers' cores that is used
    usd_core_hour: float = 0.036
    get_budget: float = 900.0
    list_budget: float = 40.0
    create_budget: float = 2.5
    delete_budget: float = 2.5
    describe_budget: float = 10.0
    pending_budget: float = 50.0  # SIDELIGHT_SNAPSHOTS_PENDING=auto: half of what AWS allows
    in_flight_budget: float = 1000.0


def polls(inputs: Inputs) -> int:
    """Looks at a pending snapshot: after a second, then every tenth to every thirtieth second."""
    age, count = 1.0, 1
    while age < 60 * inputs.pending_minutes:
        age += max(inputs.poll_seconds, min(LONGEST_LOOK, age / 5))
        count += 1
    return count


def looks(inputs: Inputs) -> float:
    """DescribeSnapshots calls a scan for what is pending: a place's are looked at together."""
    a_second = inputs.instances / DAY / inputs.places
    snapshots = a_second * inputs.poll_seconds * polls(inputs) * inputs.volumes
    together = max(1, ceil(snapshots / DESCRIBED_AT_ONCE)) / inputs.poll_seconds / a_second
    # In a small place no other scan waits: it is polled for each alone, and only while it waits.
    return min(together, float(polls(inputs)))


def sustained(budget: float) -> float:
    """Calls a second that a budget lets through over a while."""
    return budget / (1 + is_few(budget) * SLACK / SECOND)


def table(inputs: Inputs) -> list[str]:
    """The model as Markdown."""
    a_second = inputs.instances / DAY
    lists = inputs.volumes * max(1.0, inputs.gb / inputs.volumes / BLOCK_GB / 10_000)
    describes = looks(inputs) + 3  # deletion: by id before it, by tag and by id after it
    fees = inputs.blocks * USD_PER_GET + lists * USD_PER_LIST
    minutes = inputs.pending_minutes + inputs.other_minutes
    storage = inputs.gb * USD_GB_MONTH * minutes / (DAY * DAYS / 60)
    by_the_hour = inputs.gb * USD_GB_MONTH * max(1.0, minutes / 60) / (24 * DAYS)
    cpu = inputs.read_cpu + inputs.stages_cpu + inputs.queue_cpu
    cores = a_second * cpu / inputs.busy
    compute = cpu / inputs.busy / 3600 * inputs.usd_core_hour
    endpoint = inputs.blocks * BLOCK_GB * USD_ENDPOINT_GB
    rates = [
        ("GetSnapshotBlock", inputs.blocks, inputs.get_budget),
        ("ListSnapshotBlocks", lists, inputs.list_budget),
        ("CreateSnapshots", 1.0, inputs.create_budget),
        ("DescribeSnapshots", describes, inputs.describe_budget),
        ("DeleteSnapshot", inputs.volumes, inputs.delete_budget),
    ]
    rates = [(name, calls, sustained(budget)) for name, calls, budget in rates]
    each = a_second * 60 * inputs.volumes / inputs.places
    at_once = [
        ("snapshots pending at once", each * inputs.pending_minutes, inputs.pending_budget),
        ("snapshots that exist at once", each * minutes, inputs.in_flight_budget),
    ]
    lines = [
        f"{inputs.instances:,.0f} instances a day are {a_second:.2f} a second.",
        "",
        f"| each of {inputs.places:.0f} place(s) | a scan | a second | our budget | used |",
        "|---|---|---|---|---|",
    ]
    for name, calls, budget in rates:
        rate = calls * a_second / inputs.places
        lines.append(f"| {name} | {calls:.1f} | {rate:.1f} | {budget:.3g} | {rate / budget:.0%} |")
    lines += [
        f"| {name} | {inputs.volumes:.1f} | {count:.0f} | {most:.0f} | {count / most:.0%} |"
        for name, count, most in at_once
    ]
    lines += [
        "",
        "| workers | |",
        "|---|---|",
        _cpu(inputs, cpu),
        f"| cores, {inputs.busy:.0%} busy | {cores:.1f} |",
        f"| read from snapshots | {a_second * inputs.blocks * BLOCK_GB * 8:.2f} Gbit/s |",
        (f"| transactions of the store | {a_second * (11 + 3 * looks(inputs)):.0f} a second |"),
        "",
        "| dollars | a scan | an instance-month |",
        "|---|---|---|",
        _money("API fees of the EBS direct calls", fees),
        _money(f"snapshots' storage, {inputs.gb:.0f} GB for {minutes:.0f} minutes", storage),
        _money("the same if each begun hour were billed", by_the_hour),
        _money("workers", compute),
        _money("an interface endpoint, where the calls go through one", endpoint),
        f"| Inspector's agentless scanning, derived from published examples | | {INSPECTOR_USD} |",
        "",
    ]
    return [*lines, _limits(inputs, rates, at_once), _target(fees * DAYS, storage * DAYS)]


def _cpu(inputs: Inputs, cpu: float) -> str:
    return (
        f"| CPU of a scan | {cpu:.2f} s: reading {inputs.read_cpu:.2f}, other stages and store "
        f"{inputs.stages_cpu:.2f}, queue {inputs.queue_cpu:.3f} |"
    )


def _limits(
    inputs: Inputs, rates: list[tuple[str, float, float]], at_once: list[tuple[str, float, float]]
) -> str:
    """Which budgets are exceeded, and how many accounts and Regions the fleet needs."""
    a_second = inputs.instances / DAY
    over = [name for name, calls, budget in rates if calls * a_second / inputs.places > budget]
    over += [name for name, count, most in at_once if count > most]
    least = max(
        [calls * a_second / budget for _, calls, budget in rates]
        + [count * inputs.places / most for _, count, most in at_once]
    )
    return (
        f"Over budget: {', '.join(over) or 'nothing'}. As the inputs are, the fleet needs "
        f"{max(1.0, least):.1f} accounts and regions of equal size, or higher limits."
    )


def _target(fees: float, storage: float) -> str:
    """Whether the API fees of an instance-month, in dollars, meet the target."""
    verdict = "met" if fees < TARGET_USD else "MISSED"
    return (
        f"Target of ${TARGET_USD} an instance-month in API fees: {verdict}, with ${fees:.4f}; "
        f"with storage ${fees + storage:.4f}, {INSPECTOR_USD / fees:.0f} and "
        f"{INSPECTOR_USD / (fees + storage):.0f} times less than Inspector's price."
    )


def capacity(inputs: Inputs, minutes: float, pending: float) -> float:
    """Instances an hour that an account and Region can snapshot, by how long one is pending."""
    at_a_time = max(1.0, pending / inputs.volumes)
    return min(at_a_time * 60 / minutes, 3600 * sustained(inputs.create_budget))


def capacities(inputs: Inputs) -> list[str]:
    """What AWS's limit on pending snapshots lets through, as Markdown."""
    half, whole = inputs.pending_budget, 2 * inputs.pending_budget
    lines = [
        f"| pending for | {half:.0f} at once: instances an hour | a day | {whole:.0f} | a day |",
        "|---|---|---|---|---|",
    ]
    for minutes in PENDING_TIMES:
        hours = [capacity(inputs, minutes, pending) for pending in (half, whole)]
        cells = [f"{hour:,.0f} | {24 * hour:,.0f}" for hour in hours]
        lines.append(f"| {minutes:g} min | {' | '.join(cells)} |")
    return lines


def _money(what: str, scan: float) -> str:
    return f"| {what} | {scan:.6f} | {scan * DAYS:.4f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Inputs):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=float, default=field.default, metavar="N"
        )
    inputs = Inputs(**vars(parser.parse_args()))
    print("\n".join([*table(inputs), "", *capacities(inputs)]))


if __name__ == "__main__":
    main()
